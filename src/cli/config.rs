//! `larder config`: settings and where they come from, and trust in a project's file.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Env;
use super::args::{ConfigArgs, ConfigCommand, ConfigGetArgs, JsonArgs, TrustArgs};
use super::console::Console;
use super::environment;
use super::settings::report::line;
use super::settings::trust::{self, Trust};
use super::settings::{KEYS, Key, PROJECT_FILE, Settings};
use crate::error::{Error, Result};
use crate::output::text::{printable, table};
use crate::template::diagnostic::did_you_mean;

/// Runs a subcommand.
pub(super) fn run(args: &ConfigArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    match &args.command {
        None => show(&JsonArgs { json: false }, settings, env, console),
        Some(ConfigCommand::Show(args)) => show(args, settings, env, console),
        Some(ConfigCommand::Get(args)) => get(args, settings, console),
        Some(ConfigCommand::Path(args)) => path(args, settings, console),
        Some(ConfigCommand::Trust(args)) => {
            let path = project_file(args, settings)?;
            trust::trust(&settings.state_dir.value, &path)?;
            console.line(&format!("{} is trusted as it is now", path.display()))
        }
        Some(ConfigCommand::Distrust(args)) => {
            let path = project_file(args, settings)?;
            let was = trust::distrust(&settings.state_dir.value, &path)?;
            let now = if was { "is no longer trusted" } else { "was not trusted" };
            console.line(&format!("{} {now}", path.display()))
        }
    }
}

fn project_file(args: &TrustArgs, settings: &Settings) -> Result<PathBuf> {
    let found = settings.files.project.as_ref().map(|file| file.path.clone());
    args.path.clone().or(found).ok_or_else(|| {
        Error::new(format!("there is no {PROJECT_FILE} in this directory or above it"))
            .hint("name the file: larder config trust FILE")
    })
}

fn standing(trust: Trust) -> &'static str {
    match trust {
        Trust::Trusted => "trusted",
        Trust::Changed => "changed since it was trusted",
        Trust::Unknown => "not trusted",
    }
}

fn show(args: &JsonArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    if args.json {
        return console.json(&as_json(settings, env));
    }
    let mut rows = vec![["setting", "value", "source"].map(str::to_owned).to_vec()];
    for key in KEYS {
        let (value, source) = settings.shown(key);
        rows.push(vec![key.name.to_owned(), printable(&line(&value)), source.to_string()]);
    }
    let mut lines = table(&rows, &[]);
    lines.push(String::new());
    lines.extend(file_lines(settings));
    let refused = settings.files.project.as_ref().filter(|file| !file.not_taken.is_empty());
    if let Some(file) = refused {
        lines.push(String::new());
        lines.push(format!("Not taken from {}:", file.path.display()));
        let rows = file.not_taken.iter().map(|(name, value)| vec![format!("  {name}"), printable(&line(value))]);
        lines.extend(table(&rows.collect::<Vec<_>>(), &[]));
        lines.push(format!("Read the file; if you agree with it, run `larder config trust {}`.", file.path.display()));
    }
    let ignored: Vec<_> = environment::ignored_and_set(env).collect();
    if !ignored.is_empty() {
        lines.push(String::new());
        lines.push("Variables that are set, and ignored:".to_owned());
        let rows = ignored.iter().map(|(name, variable)| vec![format!("  {name}"), variable.meaning.to_owned()]);
        lines.extend(table(&rows.collect::<Vec<_>>(), &[]));
    }
    console.line(&lines.join("\n"))
}

fn file_lines(settings: &Settings) -> Vec<String> {
    let files = &settings.files;
    let there = if files.user_exists { "" } else { " (not there)" };
    let project = match &files.project {
        Some(file) => format!("{} ({})", file.path.display(), standing(file.trust)),
        None => format!("no {PROJECT_FILE} in this directory or above it"),
    };
    let rows = vec![
        vec!["user's file".to_owned(), format!("{}{there}", files.user.display())],
        vec!["project's file".to_owned(), project],
    ];
    table(&rows, &[])
}

fn files_json(settings: &Settings) -> Value {
    let files = &settings.files;
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let project = files.project.as_ref().map(|file| {
        let trust = match file.trust {
            Trust::Trusted => "trusted",
            Trust::Changed => "changed",
            Trust::Unknown => "unknown",
        };
        let not_taken: Map<String, Value> =
            file.not_taken.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        json!({ "path": shown(&file.path), "trust": trust, "not_taken": not_taken })
    });
    json!({ "user": { "path": shown(&files.user), "exists": files.user_exists }, "project": project })
}

fn as_json(settings: &Settings, env: &Env) -> Value {
    let settings_json: Map<String, Value> = KEYS
        .iter()
        .map(|key| {
            let (value, source) = settings.shown(key);
            let from = if source.kind() == "default" { Value::Null } else { json!(source.to_string()) };
            (key.name.to_owned(), json!({ "value": value, "source": source.kind(), "from": from }))
        })
        .collect();
    let ignored: Map<String, Value> =
        environment::ignored_and_set(env).map(|(name, variable)| (name.to_owned(), json!(variable.meaning))).collect();
    json!({ "settings": settings_json, "files": files_json(settings), "ignored_variables": ignored })
}

fn get(args: &ConfigGetArgs, settings: &Settings, console: &Console) -> Result<()> {
    let Some(key) = Key::named(&args.key) else {
        let near = did_you_mean(&args.key, KEYS.iter().map(|key| key.name));
        let hint = near.map_or_else(
            || format!("settings are: {}", KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean {near}?"),
        );
        return Err(Error::new(format!("there is no setting {}", args.key)).hint(hint));
    };
    let (value, source) = settings.shown(key);
    if args.json.json {
        let from = if source.kind() == "default" { Value::Null } else { json!(source.to_string()) };
        return console.json(&json!({ "value": value, "source": source.kind(), "from": from }));
    }
    // For scripts: nothing for what is not set, a line for each of several.
    match &value {
        Value::Null => Ok(()),
        Value::Array(list) => list.iter().try_for_each(|one| console.line(&line(one))),
        Value::Object(map) => map.iter().try_for_each(|(from, to)| console.line(&format!("{from}={}", line(to)))),
        one => console.line(&line(one)),
    }
}

fn path(args: &JsonArgs, settings: &Settings, console: &Console) -> Result<()> {
    if args.json { console.json(&files_json(settings)) } else { console.line(&file_lines(settings).join("\n")) }
}
