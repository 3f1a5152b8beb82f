//! Each build's whole log in a file of its own.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::renderer::Renderer;
use super::text::step_begins;
use crate::engine::ui::duration;
use crate::event::summary::Summary;
use crate::event::{Event, EventKind};

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
            tracing::warn!(%build, %error, "the build's log ends here: it cannot be written");
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
    let mut lines = |mark: &str, text: &str| text.lines().try_for_each(|line| writeln!(file, "{time} {mark} {line}"));
    match &event.kind {
        EventKind::BuildStarted { .. } => lines("==>", "build started"),
        EventKind::StepStarted { name, attempt, .. } => lines("==>", &step_begins(name, *attempt)),
        EventKind::StepFinished { name, ending, seconds, .. } => {
            let took = duration(Duration::from_secs_f64(*seconds));
            lines("==>", &format!("[{name}] {} after {took}", ending.as_str()))
        }
        EventKind::Message { text } => lines("==>", text),
        EventKind::Stdout { line } => writeln!(file, "{time} out {line}"),
        EventKind::Stderr { line } => writeln!(file, "{time} err {line}"),
        EventKind::Warning { text } => lines("!!!", text),
        EventKind::Flow { flow } => {
            let text =
                format!("{} {} {} {} {}: {}", flow.outcome, flow.status, flow.method, flow.url, flow.route, flow.why);
            lines("net", &text)
        }
        EventKind::Question { question } => {
            lines("???", &format!("[{}] waits for an answer: {}", question.step, question.summary()))
        }
        EventKind::Answered { answer, by, .. } => lines("???", &format!("{}: {}", by.as_str(), answer.as_str())),
        EventKind::BuildFinished { ending, failure, marks, .. } => {
            lines("==>", &format!("build {}", ending.as_str()))?;
            marks.iter().try_for_each(|mark| lines("!!!", &mark.to_string()))?;
            failure.iter().try_for_each(|failure| lines("!!!", &failure.message))
        }
        EventKind::Progress { .. }
        | EventKind::Scan { .. }
        | EventKind::RunStarted { .. }
        | EventKind::RunFinished { .. } => Ok(()),
    }
}
