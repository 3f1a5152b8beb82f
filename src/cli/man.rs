//! `larder man`: manual pages from the definitions of the command line, the settings, the variables and the exit codes.

use std::fs;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::args::{Cli, ManArgs};
use super::console::Console;
use super::environment::{Use, VARIABLES};
use super::exit_codes::EXIT_CODES;
use super::settings::KEYS;
use super::version::VERSION;
use crate::error::{Context as _, Error, Result};

/// The date at the foot of the pages: when what they say was last looked through.
const DATE: &str = "2026-11-22";

/// Where things are, for the page of `larder`.
const FILES: &[(&str, &str)] = &[
    ("~/.config/larder/config.toml", "The user's settings (`$XDG_CONFIG_HOME/larder/config.toml`)."),
    (
        "larder.toml",
        "A project's settings, in the working directory or the nearest directory above it. Settings that choose where \
         bytes come from, or who is trusted, are heeded after `larder config trust` alone.",
    ),
    ("~/.cache/larder", "The cache (`$XDG_CACHE_HOME/larder`)."),
    ("~/.local/state/larder/logs", "The whole log of each build, a directory a run (`$XDG_STATE_HOME/larder/logs`)."),
    ("~/.local/state/larder/runs", "Records of runs under way, and of dead ones until `larder cleanup`."),
    ("~/.local/state/larder/scratch", "Trees that builds work in; removed with the build."),
];

/// Prints a page, or writes all of them to a directory.
pub(super) fn run(args: &ManArgs, console: &Console) -> Result<()> {
    let pages = pages()?;
    if let Some(directory) = &args.dir {
        fs::create_dir_all(directory).context(|| format!("cannot make {}", directory.display()))?;
        for (name, page) in &pages {
            let path = directory.join(format!("{name}.1"));
            fs::write(&path, page).context(|| format!("cannot write {}", path.display()))?;
        }
        return console.line(&format!("{} pages are in {}", pages.len(), directory.display()));
    }
    let name = ["larder"].into_iter().chain(args.command.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
    let page = pages.iter().find(|(known, _)| *known == name).map(|(_, page)| page).ok_or_else(|| {
        Error::new(format!("there is no command {}", args.command.join(" "))).hint("`larder help` lists the commands")
    })?;
    console.line(page.trim_end())
}

/// Every page by its name without the section, as in `larder-cache-ls`.
fn pages() -> Result<Vec<(String, String)>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    add_pages(&root, None, &mut pages)?;
    Ok(pages)
}

fn add_pages(command: &Command, parent: Option<&str>, pages: &mut Vec<(String, String)>) -> Result<()> {
    if command.is_hide_set() {
        return Ok(());
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.push((name.clone(), page(command, &name, parent)?));
    command.get_subcommands().try_for_each(|subcommand| add_pages(subcommand, Some(&name), pages))
}

fn page(command: &Command, name: &str, parent: Option<&str>) -> Result<String> {
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .date(DATE)
        .source(format!("Larder {VERSION}"))
        .manual("Larder Manual");
    let mut out = Vec::new();
    let mut rendered = || -> std::io::Result<()> {
        man.render_title(&mut out)?;
        man.render_name_section(&mut out)?;
        synopsis(command).to_writer(&mut out)?;
        man.render_description_section(&mut out)?;
        description(command, parent).to_writer(&mut out)?;
        man.render_options_section(&mut out)?;
        if command.has_subcommands() {
            commands(command).to_writer(&mut out)?;
        }
        exit_status(name).to_writer(&mut out)?;
        environment(parent).to_writer(&mut out)?;
        files(parent).to_writer(&mut out)?;
        examples(command).to_writer(&mut out)?;
        see_also(command, name, parent).to_writer(&mut out)
    };
    rendered().context(|| format!("cannot write the page of {name}"))?;
    let text = String::from_utf8(out).context(|| format!("the page of {name} is not text"))?;
    // Each part brings the same definitions; once is enough.
    Ok(once(&text))
}

/// The page with roff's preamble, which each part begins with, at its top alone.
fn once(text: &str) -> String {
    const PREAMBLE: [&str; 2] = [r".ie \n(.g .ds Aq \(aq", r".el .ds Aq '"];
    let body = text.lines().filter(|line| !PREAMBLE.contains(line));
    PREAMBLE.into_iter().chain(body).collect::<Vec<_>>().join("\n") + "\n"
}

/// What the help says below the options: paragraphs, and lines of examples, which begin with two spaces.
fn after_help(command: &Command) -> (Vec<String>, Vec<String>) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (mut paragraphs, mut examples) = (Vec::new(), Vec::new());
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let shown = paragraph.lines().filter_map(|line| line.strip_prefix("  "));
        examples.extend(shown.map(str::to_owned));
        let rest: Vec<_> = paragraph.lines().filter(|line| !line.starts_with("  ")).collect();
        let rest = rest.join(" ");
        // The exit codes have a section of their own.
        if !rest.is_empty() && !rest.starts_with("Example") && !rest.starts_with("Exit codes") {
            paragraphs.push(rest);
        }
    }
    (paragraphs, examples)
}

/// As help has it: every option by name would fill half a page.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let (words, rest) = usage.split_at(usage.find(['[', '<']).unwrap_or(usage.len()));
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(words.trim_end()), roman(" "), roman(rest)]);
    roff
}

fn description(command: &Command, parent: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    let mut paragraphs = after_help(command).0;
    if parent.is_none() {
        paragraphs.insert(
            0,
            "A template becomes an image; every byte that is downloaded on the way, by the guest or by Larder itself, goes \
             through a proxy of Larder's own, and what was fetched once is not fetched again. Templates are Packer's."
                .to_owned(),
        );
    }
    for paragraph in paragraphs {
        roff.control("PP", []);
        roff.text(inline(&paragraph));
    }
    roff
}

/// Text in which `words` in backquotes are set in bold.
fn inline(text: &str) -> Vec<Inline> {
    let pieces = text.split('`').enumerate().filter(|(_, piece)| !piece.is_empty());
    pieces.map(|(index, piece)| if index % 2 == 1 { bold(piece) } else { roman(piece) }).collect()
}

fn entries<'a>(roff: &mut Roff, entries: impl IntoIterator<Item = (String, &'a str)>) {
    for (term, text) in entries {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text(inline(text));
    }
}

fn commands(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        roff.control("TP", []);
        roff.text([bold(subcommand.get_display_name().unwrap_or_default()), roman("(1)")]);
        roff.text(inline(&about));
    }
    roff
}

fn exit_status(name: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    if name == "larder-exec" {
        roff.text([roman("That of the command; 1 if it could not be run.")]);
        return roff;
    }
    let command = name.strip_prefix("larder-").unwrap_or_default().replace('-', " ");
    let concerns = |commands: &str| {
        commands == "all" || command.is_empty() || commands.split(", ").any(|one| one == format!("`{command}`"))
    };
    let codes = EXIT_CODES.iter().filter(|code| concerns(code.commands));
    entries(&mut roff, codes.map(|code| ((code.code as u8).to_string(), code.meaning)));
    roff
}

fn environment(parent: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    if parent.is_some() {
        roff.text([roman("See "), bold("larder"), roman("(1).")]);
        return roff;
    }
    roff.text(inline("An option goes before a variable, and a variable before a file."));
    entries(&mut roff, KEYS.iter().map(|key| (key.variable(), key.help)));
    let heeded = VARIABLES.iter().filter(|variable| variable.usage != Use::Ignored);
    entries(&mut roff, heeded.map(|variable| (variable.name.to_owned(), variable.meaning)));
    let ignored: Vec<_> = VARIABLES.iter().filter(|variable| variable.usage == Use::Ignored).collect();
    roff.control("PP", []);
    roff.text([roman("These are Packer's, and ignored:")]);
    entries(&mut roff, ignored.iter().map(|variable| (variable.name.to_owned(), variable.meaning)));
    roff
}

fn files(parent: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    if parent.is_some() {
        return roff;
    }
    roff.control("SH", ["FILES"]);
    for (path, text) in FILES {
        roff.control("TP", []);
        roff.text([italic(*path)]);
        roff.text(inline(text));
    }
    roff
}

fn examples(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let examples = after_help(command).1;
    if examples.is_empty() {
        return roff;
    }
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in examples {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

fn see_also(command: &Command, name: &str, parent: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    let mut pages: Vec<&str> = subcommands.filter_map(Command::get_display_name).collect();
    pages.extend(parent);
    if parent.is_some_and(|parent| parent != "larder") {
        pages.push("larder");
    }
    pages.retain(|page| *page != name);
    if pages.is_empty() {
        return roff;
    }
    pages.sort_unstable();
    roff.control("SH", ["SEE ALSO"]);
    let last = pages.len() - 1;
    for (index, page) in pages.iter().enumerate() {
        roff.text([bold(*page), roman(if index == last { "(1)" } else { "(1)," })]);
    }
    roff
}
