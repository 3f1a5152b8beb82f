//! `larder console`: expressions, evaluated with what a template declares, line by line.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FileType;

use super::Env;
use super::args::{ConfigType, ConsoleArgs};
use super::console::Console;
use super::settings::Settings;
use super::template::{Reading, redactor};
use super::version::PACKER_VERSION;
use crate::error::{Context as _, Error, Exit, Result};
use crate::event::redact::Redactor;
use crate::output::text::printable;
use crate::template::files::HostFiles;
use crate::template::hcl::show::show;
use crate::template::line::{is_blank, is_open, may_close};
use crate::template::source_map::SourceMap;
use crate::template::{Depth, Language, LoadOptions, Template, load};

mod complete;
mod help;
mod interactive;

/// Longest line, and longest text of several lines.
const MAX_TEXT: usize = 1 << 20;
/// Most bytes looked through to learn where a text of several lines ends.
const MAX_SCANNED: usize = 16 * MAX_TEXT;

/// Evaluates what is typed, or piped in, until the end.
pub(super) fn run(args: &ConsoleArgs, settings: &Settings, env: &Env, console: &Console) -> Result<Exit> {
    if args.template.as_deref() == Some(Path::new("-")) {
        return Err(Error::new("the console reads lines from standard input, not a template")
            .hint("give the template as a file"));
    }
    let mut session = Session::open(args, settings, env, console)?;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return interactive::run(&mut session, settings).map(|()| Exit::Success);
    }
    let failed = session.all_lines()?;
    Ok(if failed && comes_from_pipe() { Exit::Failure } else { Exit::Success })
}

/// As in Packer, what fails makes the program fail if it came from a pipe, and not if it came from a file.
fn comes_from_pipe() -> bool {
    let kind = rustix::fs::fstat(io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

/// What came of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Something was shown, or there was nothing to show.
    Shown,
    /// An error was shown.
    Failed,
    /// The line asks for the end.
    End,
}

/// A template, and the lines that are evaluated with it.
struct Session<'a> {
    template: Template,
    /// What it is called; none if there is none.
    name: Option<PathBuf>,
    /// What must not be shown, nor kept.
    secrets: Vec<String>,
    redactor: Redactor,
    console: &'a Console,
    /// What was begun in earlier lines and goes on.
    open: String,
    /// The line it begins in, counted from 1.
    open_at: usize,
    /// How many bytes have been looked through for its end.
    scanned: usize,
}

impl<'a> Session<'a> {
    fn open(args: &ConsoleArgs, settings: &Settings, env: &Env, console: &'a Console) -> Result<Self> {
        let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
        let template_args = args.template_args();
        let reading =
            Reading { args: &template_args, env, cwd: &cwd, warn_on_undeclared: true, settings: Some(settings) };
        let (template, secrets) = match (&args.template, args.config_type.unwrap_or_default()) {
            (Some(_), _) => {
                let (template, loaded) = reading.template(Depth::Values, console)?;
                (template, loaded.secrets.values())
            }
            (None, ConfigType::Hcl2) => (empty(args, cwd)?, Vec::new()),
            (None, ConfigType::Json) => (reading.bare(console)?, Vec::new()),
        };
        let redactor = redactor(&secrets);
        let name = args.template.clone();
        Ok(Self { template, name, secrets, redactor, console, open: String::new(), open_at: 1, scanned: 0 })
    }

    /// Evaluates every line of standard input: whether one failed.
    fn all_lines(&mut self) -> Result<bool> {
        let mut input = io::stdin().lock();
        let mut failed = false;
        for number in 1.. {
            let mut line = Vec::new();
            let limited = (&mut input).take(MAX_TEXT as u64 + 1).read_until(b'\n', &mut line);
            let length = limited.context(|| "cannot read standard input".to_owned())?;
            if length == 0 {
                break;
            }
            if length > MAX_TEXT {
                return Err(Error::new(format!("line {number} of standard input is longer than {MAX_TEXT} bytes")));
            }
            let line = String::from_utf8(line)
                .map_err(|_| Error::new(format!("line {number} of standard input is not UTF-8")))?;
            let line = line.strip_suffix('\n').unwrap_or(&line);
            match self.line(line.strip_suffix('\r').unwrap_or(line), "<stdin>", number)? {
                Outcome::Shown => {}
                Outcome::Failed => failed = true,
                Outcome::End => return Ok(failed),
            }
        }
        Ok(self.finish("<stdin>")? == Outcome::Failed || failed)
    }

    /// Takes a line, and evaluates what is whole with it. `number` is the line's, from 1, in what `source` names.
    fn line(&mut self, line: &str, source: &str, number: usize) -> Result<Outcome> {
        let begins = self.open.is_empty();
        if begins {
            (self.open_at, self.scanned) = (number, 0);
        } else {
            self.open.push('\n');
        }
        self.open.push_str(line);
        let looked_through = begins || may_close(line);
        self.scanned += if looked_through { self.open.len() } else { 0 };
        if self.open.len() > MAX_TEXT || self.scanned > MAX_SCANNED {
            return Err(Error::new(format!("what begins in line {} of standard input is too long", self.open_at))
                .hint("is a bracket or the end of a heredoc missing?"));
        }
        if !looked_through || is_open(self.template.language, &self.open) {
            return Ok(Outcome::Shown);
        }
        self.finish(source)
    }

    /// Evaluates what there is, whether it is whole or not.
    fn finish(&mut self, source: &str) -> Result<Outcome> {
        let mut text = std::mem::take(&mut self.open);
        if text.contains('\n') {
            // The last line has an end as well: that of a heredoc needs one.
            text.push('\n');
        }
        match text.trim() {
            "exit" => return Ok(Outcome::End),
            "help" => self.show(help::text(self.template.language))?,
            "variables" => self.show(&help::variables(&self.template))?,
            _ if is_blank(self.template.language, &text) => {}
            _ => return self.evaluate(&text, source),
        }
        Ok(Outcome::Shown)
    }

    fn evaluate(&self, text: &str, source: &str) -> Result<Outcome> {
        let mut sources = SourceMap::default();
        let file = sources.add_part(source, text, self.open_at - 1);
        match self.template.evaluate_line(file, text) {
            Ok(value) => self.show(&show(&value)).map(|()| Outcome::Shown),
            Err(mut found) => {
                found.add_values(&sources, &self.template.line_names());
                let frames = found.render(&sources, self.console.width, self.console.colour_err);
                self.console.note(&format!("{}\n", self.redactor.text(frames)));
                Ok(Outcome::Failed)
            }
        }
    }

    fn show(&self, text: &str) -> Result<()> {
        let text = self.redactor.text(text.to_owned());
        // What a template holds must not write elsewhere on a terminal than where it is shown.
        if io::stdout().is_terminal() {
            return text.split('\n').try_for_each(|line| self.console.line(&printable(line)));
        }
        self.console.line(&text)
    }
}

/// What there is without a template, in HCL2.
fn empty(args: &ConsoleArgs, cwd: PathBuf) -> Result<Template> {
    if !args.var.is_empty() || !args.var_file.is_empty() {
        return Err(Error::new("there is no template that declares the variables given")
            .hint("name the template: larder console -var 'name=value' TEMPLATE"));
    }
    Ok(Template::empty(Arc::new(HostFiles), cwd, jiff::Timestamp::now(), PACKER_VERSION.to_owned()))
}

impl Reading<'_> {
    /// A legacy template with nothing in it but the variables given.
    fn bare(&self, console: &Console) -> Result<Template> {
        let options = LoadOptions { stdin: Some(b"{}".to_vec()), ..self.options(Depth::Values)? };
        let mut loaded = load(&options, Arc::new(HostFiles));
        // That it builds nothing is no wonder.
        self.tell(&loaded, console)?;
        loaded.template.take().filter(|template| template.language == Language::LegacyJson).ok_or_else(|| {
            Error::new("there is nothing to evaluate with").hint("name a template, or give -config-type=hcl2")
        })
    }
}
