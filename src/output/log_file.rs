//! Each build's whole log in a file of its own: `docs/reference/logs.md` is its form.
//!
//! Each line is a time, a mark, and text: `2026-11-02T10:15:30.250Z out Get:1 ...`. Both have a fixed width, so that a
//! reader finds marks without looking for them, and a guest cannot forge one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::renderer::Renderer;
use crate::engine::ui::duration;
use crate::event::summary::Summary;
use crate::event::{Event, EventKind};

/// Width of the time a line begins with: RFC 3339, in UTC, to the millisecond.
pub const TIME_WIDTH: usize = 24;

/// Where the text of a line begins.
pub const TEXT_AT: usize = TIME_WIDTH + 5;

/// Where a line of a log comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Larder says something.
    Larder,
    /// A step begins: `step 3: name`, counted from 1; `step 3 attempt 2: name` where it begins again.
    StepBegins,
    /// A step ended: `step 3: name succeeded after 1.4 s`.
    StepEnds,
    /// Larder warns, or says why the build failed.
    Warning,
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// A request through the proxy.
    Net,
}

impl Mark {
    const ALL: [Self; 7] =
        [Self::Larder, Self::StepBegins, Self::StepEnds, Self::Warning, Self::Out, Self::Err, Self::Net];

    /// The mark as written, three characters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Larder => "==>",
            Self::StepBegins => ">>>",
            Self::StepEnds => "<<<",
            Self::Warning => "!!!",
            Self::Out => "out",
            Self::Err => "err",
            Self::Net => "net",
        }
    }

    /// The mark that is written so.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.as_str().as_bytes() == bytes)
    }
}

/// Writes what concerns a build to the file its `BuildStarted` names. A log that cannot be written is given up
/// with a warning; the build goes on.
#[derive(Default)]
pub struct LogFiles {
    files: HashMap<Arc<str>, BufWriter<File>>,
}

impl LogFiles {
    fn open(&mut self, build: &Arc<str>, path: &Path) {
        let opened = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create(path));
        match opened {
            Ok(file) => {
                self.files.insert(build.clone(), BufWriter::new(file));
            }
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot write the build's log"),
        }
    }

    fn attempt(&mut self, build: &Arc<str>, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let Some(file) = self.files.get_mut(build) else { return };
        if let Err(error) = write(file) {
            tracing::warn!(%build, %error, "the build's log ends here: it cannot be written (hint: make room where `state_dir` is)");
            self.files.remove(build);
        }
    }
}

impl Renderer for LogFiles {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let Some(build) = event.build.as_ref().or(flow_build(&event.kind)) else { return Ok(()) };
        if let EventKind::BuildStarted { log, .. } = &event.kind {
            self.open(build, log);
        }
        self.attempt(build, |file| write_event(file, event));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        for build in self.files.keys().cloned().collect::<Vec<_>>() {
            self.attempt(&build, Write::flush);
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        self.flush()
    }
}

/// Flows carry their build themselves.
fn flow_build(kind: &EventKind) -> Option<&Arc<str>> {
    match kind {
        EventKind::Flow { flow } => Some(&flow.identity.build),
        _ => None,
    }
}

fn write_event(file: &mut impl Write, event: &Event) -> io::Result<()> {
    let time = event.time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    let mut line = |mark: Mark, text: &str| writeln!(file, "{time} {} {text}", mark.as_str());
    let mut lines = |mark: Mark, text: &str| text.lines().try_for_each(|text| line(mark, text));
    match &event.kind {
        EventKind::BuildStarted { .. } => lines(Mark::Larder, "build started"),
        EventKind::StepStarted { index, name, attempt } => line(Mark::StepBegins, &step(*index, name, *attempt)),
        EventKind::StepFinished { index, name, ending, seconds, attempt } => {
            let took = duration(Duration::from_secs_f64(*seconds));
            line(Mark::StepEnds, &format!("{} {} after {took}", step(*index, name, *attempt), ending.as_str()))
        }
        EventKind::Message { text } => lines(Mark::Larder, text),
        EventKind::Stdout { line: text } => line(Mark::Out, text),
        EventKind::Stderr { line: text } => line(Mark::Err, text),
        EventKind::Warning { text } => lines(Mark::Warning, text),
        EventKind::Flow { flow } => {
            let text =
                format!("{} {} {} {} {}: {}", flow.outcome, flow.status, flow.method, flow.url, flow.route, flow.why);
            lines(Mark::Net, &text)
        }
        EventKind::Question { question } => {
            lines(Mark::Larder, &format!("[{}] waits for an answer: {}", question.step, question.summary()))
        }
        EventKind::Answered { answer, by, .. } => line(Mark::Larder, &format!("{}: {}", by.as_str(), answer.as_str())),
        EventKind::BuildFinished { ending, failure, marks, .. } => {
            lines(Mark::Larder, &format!("build {}", ending.as_str()))?;
            marks.iter().try_for_each(|mark| lines(Mark::Warning, &mark.to_string()))?;
            failure.iter().try_for_each(|failure| lines(Mark::Warning, &failure.message))
        }
        EventKind::Progress { .. }
        | EventKind::Deadline { .. }
        | EventKind::Scan { .. }
        | EventKind::RunStarted { .. }
        | EventKind::RunFinished { .. } => Ok(()),
    }
}

/// A step on one line, counted from 1. It is read by [`step_begun`].
fn step(index: usize, name: &str, attempt: u32) -> String {
    let attempt = if attempt > 1 { format!(" attempt {attempt}") } else { String::new() };
    format!("step {}{attempt}: {}", index + 1, name.replace(['\n', '\r'], " "))
}

/// Place, attempt and name of the step that a text with the mark [`Mark::StepBegins`] names.
pub fn step_begun(text: &str) -> Option<(usize, u32, &str)> {
    let (step, name) = text.strip_prefix("step ")?.split_once(": ")?;
    let (number, attempt) = step.split_once(" attempt ").unwrap_or((step, "1"));
    let index = number.parse::<usize>().ok()?.checked_sub(1)?;
    Some((index, attempt.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_were_written() {
        for (index, name, attempt) in [(0, "shell", 1), (11, "copy: a attempt 3: b", 2), (3, "step 1: x", 1)] {
            assert_eq!(step_begun(&step(index, name, attempt)), Some((index, attempt, name)));
        }
    }
}
