//! `larder new`: the templates that come with Larder, written to where they can be changed and built.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

mod prompts;

use super::Env;
use super::args::NewArgs;
use super::components;
use super::console::Console;
use super::environment::is_unattended;
use super::version::PACKER_VERSION;
use crate::catalogue::Around;
use crate::catalogue::builtin::{self, TEMPLATES, Unpacked};
use crate::catalogue::discover::{Card, Origin, card};
use crate::catalogue::evaluate::{Evaluated, Request, evaluate};
use crate::catalogue::field::Field;
use crate::catalogue::wizard::{Placement, Proposal, propose};
use crate::catalogue::write::{Change, Existing};
use crate::error::{Context as _, Error, Result};
use crate::template::schema::page::wrap;

/// A template, for programs.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    description: &'a str,
    builders: &'a [String],
    variables: Vec<Variable<'a>>,
    files: Vec<&'a str>,
}

/// A variable, for programs.
#[derive(Serialize)]
struct Variable<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: &'a str,
    description: &'a str,
    required: bool,
    sensitive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'a str>,
}

/// What was written, for programs.
#[derive(Serialize)]
struct Written<'a> {
    template: &'a Path,
    files: &'a [PathBuf],
    missing: Vec<&'a str>,
}

/// What reading templates depends on, as the command line has it.
pub(super) fn around(env: &Env, cwd: &Path) -> Around {
    let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    Around {
        cwd: cwd.to_owned(),
        env: env.clone(),
        user_templates: config.map(|config| config.join("larder/templates")),
        packer_version: PACKER_VERSION.to_owned(),
        now: jiff::Timestamp::now,
        check: components::check,
    }
}

/// Lists templates, or writes one.
pub(super) fn run(args: &NewArgs, env: &Env, console: &Console) -> Result<()> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let around = around(env, &cwd);
    let temporary = env.get("TMPDIR").filter(|path| !path.is_empty()).map_or(Path::new("/tmp"), Path::new);
    let unpacked = Unpacked::new(temporary)?;
    match &args.template {
        None => list(args, &around, &unpacked, console),
        Some(name) => write(name, args, &around, &unpacked, env, console),
    }
}

fn own_card(around: &Around, unpacked: &Unpacked, name: &str) -> Card {
    Card { name: name.to_owned(), ..card(around, &unpacked.path(name), Origin::BuiltIn) }
}

fn list(args: &NewArgs, around: &Around, unpacked: &Unpacked, console: &Console) -> Result<()> {
    let cards: Vec<Card> = TEMPLATES.iter().map(|template| own_card(around, unpacked, template.name)).collect();
    if !args.json.json {
        let width = cards.iter().map(|card| card.name.len()).max().unwrap_or(0);
        for card in &cards {
            let wrapped = wrap(&card.description, console.width.saturating_sub(width + 2).max(30));
            for (index, line) in wrapped.iter().enumerate() {
                let name = if index == 0 { card.name.as_str() } else { "" };
                console.line(&format!("{name:width$}  {line}"))?;
            }
        }
        console.note("\nnext: `larder new TEMPLATE`");
        return Ok(());
    }
    let forms: Vec<Evaluated> =
        cards.iter().map(|card| evaluate(around, &Request { path: card.path.clone(), ..Request::default() })).collect();
    let listed = cards.iter().zip(&forms).zip(TEMPLATES).map(|((card, form), template)| Listed {
        name: &card.name,
        description: &card.description,
        builders: &card.builders,
        variables: form.fields.iter().map(variable).collect(),
        files: template.files.iter().map(|file| file.path).collect(),
    });
    console.json(&listed.collect::<Vec<_>>())
}

fn variable(field: &Field) -> Variable<'_> {
    Variable {
        name: &field.name,
        ty: &field.ty,
        description: &field.description,
        required: field.is_required(),
        sensitive: field.sensitive,
        default: field.default.as_deref().filter(|_| !field.sensitive),
    }
}

fn write(name: &str, args: &NewArgs, around: &Around, unpacked: &Unpacked, env: &Env, console: &Console) -> Result<()> {
    builtin::find(name)?;
    let card = own_card(around, unpacked, name);
    let mut typed = typed(&args.var)?;
    // Values of the environment are the environment's also when it is built.
    let evaluated = |typed: &BTreeMap<String, String>| {
        evaluate(around, &Request { path: card.path.clone(), typed: typed.clone(), ..Request::default() })
    };
    let mut form = evaluated(&typed);
    refuse_values(&form, &typed, name)?;
    if !args.defaults && !args.json.json && is_somebody_there(env) {
        let mut wrong = |typed: &BTreeMap<String, String>, name: &str| {
            let form = evaluated(typed);
            let mut problems = form.of_field(name).filter(|problem| problem.is_error && !problem.is_missing);
            problems.next().map(|problem| problem.message.clone())
        };
        prompts::ask(&form.fields, &mut typed, &mut wrong, &mut prompts::AtTerminal)?;
        form = evaluated(&typed);
    }
    let directory = args.directory.clone().unwrap_or_else(|| PathBuf::from(name));
    let proposal = propose(around, &card, &Placement::Copy(directory), &typed, &form)?;
    let may_replace = args.force || (proposal.replaces() && may_replace(&proposal, env)?);
    let existing = if may_replace { Existing::Replace } else { Existing::Refuse };
    let written: Vec<PathBuf> = proposal.write(around, existing)?;
    let relative = |path: &PathBuf| path.strip_prefix(&around.cwd).unwrap_or(path).to_owned();
    let files: Vec<PathBuf> = written.iter().map(relative).collect();
    let missing =
        form.problems.iter().filter(|problem| problem.is_missing).filter_map(|problem| problem.field.as_deref());
    let missing: Vec<&str> = missing.collect();
    if args.json.json {
        return console.json(&Written { template: &proposal.template, files: &files, missing });
    }
    for file in &files {
        console.line(&file.display().to_string())?;
    }
    for (name, _) in &proposal.vars {
        console.warning(&format!("{name} is sensitive, and was not written: set PKR_VAR_{name} when you build"));
    }
    let values: Vec<String> = missing.iter().map(|name| format!("-var {name}=… ")).collect();
    console.note(&format!("next: `larder build {}{}`", values.concat(), proposal.template.display()));
    Ok(())
}

fn typed(vars: &[String]) -> Result<BTreeMap<String, String>> {
    let pair =
        |pair: &String| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Error::new(format!("-var {pair:?} is not of the form NAME=VALUE"))
                .hint("write it as -var 'name=value'")),
        };
    vars.iter().map(pair).collect()
}

/// Values that the template does not accept are not written.
fn refuse_values(form: &Evaluated, typed: &BTreeMap<String, String>, name: &str) -> Result<()> {
    if let Some(unknown) = typed.keys().find(|typed| form.fields.iter().all(|field| field.name != **typed)) {
        let names: Vec<&str> = form.fields.iter().map(|field| field.name.as_str()).collect();
        return Err(Error::new(format!("-var sets `{unknown}`, which {name} does not declare"))
            .hint(format!("it has: {}", names.join(", "))));
    }
    let is_given = |field: &Option<String>| field.as_ref().is_some_and(|field| typed.contains_key(field));
    let Some(problem) = form.problems.iter().find(|problem| problem.is_error && is_given(&problem.field)) else {
        return Ok(());
    };
    let about = problem.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    let error = Error::new(format!("{about}{}", problem.message)).hint("nothing was written");
    Err(match &problem.hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// Whether a person is at the terminal, to be asked.
fn is_somebody_there(env: &Env) -> bool {
    !is_unattended(env) && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks the person at the terminal, if there is one, whether files that are there may be replaced.
fn may_replace(proposal: &Proposal, env: &Env) -> Result<bool> {
    if !is_somebody_there(env) {
        return Ok(false);
    }
    let in_the_way = proposal.files.iter().filter(|(_, change)| matches!(change, Change::Differs(_)));
    let names: Vec<String> =
        in_the_way.map(|(file, _)| proposal.directory.join(&file.path).display().to_string()).collect();
    let _ = write!(io::stderr().lock(), "There already, with other content: {}\nReplace? [y/N] ", names.join(", "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context(|| "cannot read an answer".to_owned())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
