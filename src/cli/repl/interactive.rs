//! The console at a terminal: a line that can be edited, earlier lines, completion.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustyline::completion::{Completer, Pair};
use rustyline::config::{ColorMode, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};

use super::super::settings::Settings;
use super::complete::complete;
use super::{Outcome, Session};
use crate::error::{Error, Result};
use crate::template::line::is_open;
use crate::template::{Language, Template};

/// Earlier lines that are kept.
const KEPT: usize = 1000;
/// The file they are kept in, below the directory of state.
const FILE: &str = "console-history";

/// Reads lines and shows what they give, until the person has enough.
pub(super) fn run(session: &mut Session<'_>, settings: &Settings) -> Result<()> {
    let mut editor = editor(session).map_err(|error| no_terminal(&error))?;
    let mut history = History::open(&settings.state_dir.value, &mut editor);
    session.console.note(&banner(session));
    loop {
        let text = match editor.readline("> ") {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(no_terminal(&error)),
        };
        history.add(&text, session, &mut editor);
        // What was pasted may be several lines, each an expression of its own.
        for (number, line) in text.lines().enumerate() {
            if session.line(line, "<console>", number + 1)? == Outcome::End {
                return Ok(());
            }
        }
        if !session.open.is_empty() && session.finish("<console>")? == Outcome::End {
            return Ok(());
        }
    }
}

fn editor(session: &Session<'_>) -> rustyline::Result<Editor<Typing, FileHistory>> {
    let config = Config::builder()
        .max_history_size(KEPT)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .color_mode(if session.console.colour_out { ColorMode::Enabled } else { ColorMode::Disabled })
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Typing { template: session.template.clone() }));
    Ok(editor)
}

fn no_terminal(error: &ReadlineError) -> Error {
    Error::new(format!("cannot read from the terminal: {error}"))
}

fn banner(session: &Session<'_>) -> String {
    let language = match session.template.language {
        Language::Hcl2 => "HCL2",
        Language::LegacyJson => "legacy JSON",
    };
    let about = match &session.name {
        Some(name) => format!(", with {}", name.display()),
        None if session.template.language == Language::LegacyJson => {
            "; for HCL2, name a template or give -config-type=hcl2".to_owned()
        }
        None => String::new(),
    };
    format!("{language}{about}. `help` says more, Ctrl-D leaves.")
}

/// Earlier lines, on disk. That they cannot be kept is no reason to stop.
struct History {
    path: Option<PathBuf>,
}

impl History {
    fn open(state: &Path, editor: &mut Editor<Typing, FileHistory>) -> Self {
        let path = state.join(FILE);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
        let read = match editor.load_history(&path) {
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        if let Err(error) = &read {
            tracing::warn!(%error, path = %path.display(), "earlier lines of the console cannot be read");
        }
        Self { path: (made.is_ok() && read.is_ok()).then_some(path) }
    }

    /// Keeps a text, unless there is a secret in it: then it is not even kept for this session.
    fn add(&mut self, text: &str, session: &Session<'_>, editor: &mut Editor<Typing, FileHistory>) {
        if session.secrets.iter().any(|secret| text.contains(secret)) {
            return;
        }
        let added = editor.add_history_entry(text);
        if let (Ok(true), Some(path)) = (added, &self.path)
            && let Err(error) = editor.append_history(path)
        {
            tracing::warn!(%error, path = %path.display(), "a line of the console cannot be kept");
            self.path = None;
        }
    }
}

/// What helps while a line is typed.
struct Typing {
    template: Template,
}

impl Completer for Typing {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = complete(&self.template, &line[..at]);
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Validator for Typing {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let open = is_open(self.template.language, context.input());
        Ok(if open { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Hinter for Typing {
    type Hint = String;
}

impl Highlighter for Typing {}

impl Helper for Typing {}
