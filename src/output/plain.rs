//! Lines for people and for CI logs: `==> build: message`, and the guest's own output below it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use larder_proxy::flow::Outcome;

use super::renderer::Renderer;
use super::report;
use super::text::{bytes, printable, step_begins};
use crate::engine::ui::duration;
use crate::event::question::AnsweredBy;
use crate::event::summary::Summary;
use crate::event::{Ending, Event, EventKind};

/// The colours builds take in turn (Packer's).
const COLOURS: [AnsiColor; 5] =
    [AnsiColor::Green, AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Blue];

/// Seconds between two progress lines of one build.
const PROGRESS_EVERY: i64 = 10;

/// How the plain form looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Whether to use colour.
    pub colour: bool,
    /// Whether each line begins with its time (`-timestamp-ui`).
    pub timestamps: bool,
}

/// Writes lines to `out`.
pub struct Plain<W> {
    out: W,
    look: Look,
    colours: HashMap<Arc<str>, AnsiColor>,
    /// The last warning of each build, so that a failure already told is not told again.
    warned: HashMap<Arc<str>, String>,
    /// What each build is at, and when that was last said.
    progress: HashMap<Arc<str>, (String, jiff::Timestamp)>,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W, look: Look) -> Self {
        Self { out, look, colours: HashMap::new(), warned: HashMap::new(), progress: HashMap::new() }
    }

    fn line(&mut self, event: &Event, lead: &str, text: &str, style: Option<Style>) -> io::Result<()> {
        let build = event.build.as_deref();
        let style = style.or_else(|| {
            let colour = *self.colours.get(build?)?;
            Some(Style::new().fg_color(Some(colour.into())).bold())
        });
        let (start, end) = match style {
            Some(style) if self.look.colour => (style.render().to_string(), style.render_reset().to_string()),
            _ => (String::new(), String::new()),
        };
        for line in text.lines() {
            if self.look.timestamps {
                write!(self.out, "{}: ", event.time.strftime("%Y-%m-%dT%H:%M:%SZ"))?;
            }
            let line = printable(line);
            match build {
                Some(build) => writeln!(self.out, "{start}{lead} {build}: {line}{end}")?,
                None => writeln!(self.out, "{start}{lead} {line}{end}")?,
            }
        }
        Ok(())
    }

    fn progress(&mut self, event: &Event, what: &str, done: u64, total: Option<u64>) -> io::Result<()> {
        let Some(build) = &event.build else { return Ok(()) };
        let (shown, last) = self.progress.entry(build.clone()).or_insert_with(|| (what.to_owned(), event.time));
        if shown != what {
            (*shown, *last) = (what.to_owned(), event.time);
        }
        if event.time.as_second() - last.as_second() < PROGRESS_EVERY {
            return Ok(());
        }
        *last = event.time;
        let of = total.map_or_else(String::new, |total| format!(" of {}", bytes(total)));
        self.line(event, "   ", &format!("{what}: {}{of}", bytes(done)), None)
    }
}

/// What failures and standard error look like.
const RED: Option<Style> = Some(Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))));

impl<W: Write + Send> Renderer for Plain<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { builds, .. } => {
                for (index, name) in builds.iter().enumerate() {
                    self.colours.insert(name.as_str().into(), COLOURS[index % COLOURS.len()]);
                }
                Ok(())
            }
            EventKind::StepStarted { name, attempt, .. } => self.line(event, "==>", &step_begins(name, *attempt), None),
            EventKind::StepFinished { name, ending, seconds, .. } if *ending != Ending::Succeeded => {
                let text =
                    format!("[{name}] {} after {}", ending.as_str(), duration(Duration::from_secs_f64(*seconds)));
                self.line(event, "==>", &text, RED)
            }
            EventKind::Message { text } => self.line(event, "==>", text, None),
            EventKind::Stdout { line } => self.line(event, "   ", line, Some(Style::new())),
            EventKind::Stderr { line } => self.line(event, "   ", line, RED),
            EventKind::Warning { text } => {
                if let Some(build) = &event.build {
                    self.warned.insert(build.clone(), text.clone());
                }
                self.line(event, "==>", &format!("warning: {text}"), RED)
            }
            EventKind::Progress { what, done, total } => self.progress(event, what, *done, *total),
            EventKind::Flow { flow } if matches!(flow.outcome, Outcome::Denied | Outcome::Error) => {
                let text = format!("{} {} {}: {}", flow.outcome, flow.method, flow.url, flow.why);
                self.line(event, "   ", &text, RED)
            }
            EventKind::Question { question } => {
                self.line(event, "==>", &format!("[{}] waits for an answer", question.step), None)?;
                // What is asked comes after it, on standard error.
                self.out.flush()
            }
            EventKind::Answered { answer, by, .. } => {
                if matches!(by, AnsweredBy::Deadline | AnsweredBy::TerminalLost) {
                    // The cursor is where nobody has typed.
                    writeln!(self.out)?;
                }
                self.line(event, "==>", &format!("{}: {}", by.as_str(), answer.as_str()), None)
            }
            EventKind::BuildFinished { ending, seconds, failure, marks, .. } => {
                for mark in marks {
                    self.line(event, "==>", &format!("marked: {mark}"), RED)?;
                }
                let took = duration(Duration::from_secs_f64(*seconds));
                match failure {
                    Some(failure) => {
                        let told = event.build.as_ref().and_then(|build| self.warned.get(build));
                        let why = if told == Some(&failure.message) { "" } else { &failure.message };
                        let colon = if why.is_empty() { "" } else { ": " };
                        self.line(event, "==>", &format!("{} after {took}{colon}{why}", ending.as_str()), RED)
                    }
                    None => self.line(event, "==>", &format!("{} after {took}", ending.as_str()), None),
                }
            }
            EventKind::BuildStarted { .. }
            | EventKind::StepFinished { .. }
            | EventKind::Flow { .. }
            | EventKind::Deadline { .. }
            | EventKind::Scan { .. }
            | EventKind::RunFinished { .. } => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.out.write_all(report::render(summary).as_bytes())?;
        self.out.flush()
    }
}
