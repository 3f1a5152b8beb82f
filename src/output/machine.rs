//! Packer's form of output for machines: `time,target,category,data…`, a line each.
//!
//! The target of what a build says is its name. Packer means it to be (its manual says so) and leaves it empty.

use std::io::{self, Write};
use std::time::Duration;

use larder_proxy::flow::Outcome;

use super::machine_line::machine_line;
use super::renderer::Renderer;
use super::text::{printable, step_begins};
use crate::engine::ui::duration;
use crate::event::summary::{BuildSummary, Summary};
use crate::event::{ArtifactLine, Ending, Event, EventKind};

/// Writes lines to `out`.
pub struct Machine<W> {
    out: W,
    /// When the last event happened: the time of what is written at the end.
    last: jiff::Timestamp,
}

impl<W: Write + Send> Machine<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, last: jiff::Timestamp::default() }
    }

    fn write(&mut self, target: &str, category: &str, data: &[&str]) -> io::Result<()> {
        writeln!(self.out, "{}", machine_line(self.last, target, category, data))
    }

    /// Something for people, with the mark that Packer puts before each line of a build's.
    fn ui(&mut self, event: &Event, kind: &str, mark: &str, text: &str) -> io::Result<()> {
        let target = event.build.as_deref().unwrap_or_default();
        let marked = |line: &str| {
            let line = printable(line);
            if target.is_empty() { format!("{mark} {line}") } else { format!("{mark} {target}: {line}") }
        };
        let text: Vec<String> = text.lines().map(marked).collect();
        self.write(target, "ui", &[kind, &text.join("\n")])
    }

    fn errors(&mut self, summary: &Summary) -> io::Result<()> {
        let failed: Vec<_> = summary.builds.iter().filter_map(|(name, build)| Some((name, why(build)?))).collect();
        if failed.is_empty() {
            return Ok(());
        }
        self.write("", "error-count", &[&failed.len().to_string()])?;
        self.write("", "ui", &["error", "\n==> Some builds didn't complete successfully and had errors:"])?;
        for (name, why) in failed {
            self.write(name, "error", &[&why])?;
            self.write("", "ui", &["error", &format!("--> {name}: {why}")])?;
        }
        Ok(())
    }

    fn artifacts(&mut self, summary: &Summary) -> io::Result<()> {
        let made = |build: &BuildSummary| build.ending == Some(Ending::Succeeded) || !build.artifacts.is_empty();
        if !summary.builds.iter().any(|(_, build)| made(build)) {
            return self.write("", "ui", &["say", "\n==> Builds finished but no artifacts were created."]);
        }
        self.write("", "ui", &["say", "\n==> Builds finished. The artifacts of successful builds are:"])?;
        for (name, build) in summary.builds.iter().filter(|(_, build)| made(build)) {
            self.write(name, "artifact-count", &[&build.artifacts.len().to_string()])?;
            for (index, artifact) in build.artifacts.iter().enumerate() {
                self.artifact(name, &index.to_string(), artifact)?;
            }
        }
        Ok(())
    }

    fn artifact(&mut self, build: &str, index: &str, artifact: &ArtifactLine) -> io::Result<()> {
        let description = printable(&artifact.description);
        self.write(build, "artifact", &[index, "builder-id", &artifact.builder_id])?;
        self.write(build, "artifact", &[index, "id", &artifact.id])?;
        self.write(build, "artifact", &[index, "string", &description])?;
        self.write(build, "artifact", &[index, "files-count", &artifact.files.len().to_string()])?;
        for (number, file) in artifact.files.iter().enumerate() {
            self.write(build, "artifact", &[index, "file", &number.to_string(), &file.to_string_lossy()])?;
        }
        self.write(build, "artifact", &[index, "end"])?;
        self.write("", "ui", &["say", &format!("--> {build}: {description}")])
    }
}

/// Why a build made nothing; none if it succeeded.
fn why(build: &BuildSummary) -> Option<String> {
    match (&build.failure, build.ending) {
        (Some(failure), _) => Some(printable(&failure.message.replace('\n', "; "))),
        (None, Some(Ending::Succeeded)) => None,
        (None, ending) => Some(ending.map_or("not started", Ending::as_str).to_owned()),
    }
}

impl<W: Write + Send> Renderer for Machine<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.last = event.time;
        match &event.kind {
            EventKind::StepStarted { name, attempt, .. } => self.ui(event, "say", "==>", &step_begins(name, *attempt)),
            EventKind::Question { question } => {
                let text = format!("[{}] waits for an answer: {}", question.step, question.summary());
                self.ui(event, "say", "==>", &text)
            }
            EventKind::Answered { answer, by, .. } => {
                self.ui(event, "say", "==>", &format!("{}: {}", by.as_str(), answer.as_str()))
            }
            EventKind::Message { text } => self.ui(event, "say", "==>", text),
            EventKind::Stdout { line } => self.ui(event, "message", "   ", line),
            EventKind::Stderr { line } => self.ui(event, "error", "==>", line),
            EventKind::Warning { text } => self.ui(event, "error", "==>", &format!("warning: {text}")),
            EventKind::Flow { flow } if matches!(flow.outcome, Outcome::Denied | Outcome::Error) => {
                let text = format!("{} {} {}: {}", flow.outcome, flow.method, flow.url, flow.why);
                self.ui(event, "error", "==>", &text)
            }
            EventKind::BuildFinished { seconds, failure, ending, marks, .. } => {
                let name = event.build.as_deref().unwrap_or_default();
                for mark in marks {
                    self.ui(event, "error", "==>", &format!("marked: {mark}"))?;
                }
                let took = duration(Duration::from_secs_f64(*seconds));
                match (failure, ending) {
                    (None, Ending::Succeeded) => {
                        self.write(name, "ui", &["say", &format!("Build '{name}' finished after {took}.")])
                    }
                    (failure, _) => {
                        let why = failure.as_ref().map_or("cancelled", |failure| &failure.message);
                        let text = format!("Build '{name}' errored after {took}: {}", printable(why));
                        self.write(name, "ui", &["error", &text])
                    }
                }
            }
            EventKind::RunFinished { seconds, .. } => {
                let took = duration(Duration::from_secs_f64(*seconds));
                self.write("", "ui", &["say", &format!("\n==> Wait completed after {took}")])
            }
            EventKind::RunStarted { .. }
            | EventKind::BuildStarted { .. }
            | EventKind::StepFinished { .. }
            | EventKind::Flow { .. }
            | EventKind::Progress { .. }
            | EventKind::Deadline { .. }
            | EventKind::Scan { .. } => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.errors(summary)?;
        self.artifacts(summary)?;
        self.out.flush()
    }
}
