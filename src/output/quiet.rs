//! Only what went wrong, and what was made.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::renderer::Renderer;
use super::text::printable;
use crate::event::summary::Summary;
use crate::event::{Event, EventKind};

/// Writes failures to `errors` and, at the end, the files made to `out`.
pub struct Quiet<W, E> {
    out: W,
    errors: E,
}

impl<W: Write + Send, E: Write + Send> Quiet<W, E> {
    /// Writes to `out` and `errors`.
    pub fn new(out: W, errors: E) -> Self {
        Self { out, errors }
    }
}

impl<W: Write + Send, E: Write + Send> Renderer for Quiet<W, E> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let EventKind::BuildFinished { failure, marks, .. } = &event.kind else { return Ok(()) };
        let build = event.build.as_deref().unwrap_or_default();
        for mark in marks {
            writeln!(self.errors, "warning: build '{build}': {}", printable(&mark.to_string()))?;
        }
        if let Some(failure) = failure {
            writeln!(self.errors, "error: build '{build}': {}", printable(&failure.message))?;
            for hint in &failure.hints {
                writeln!(self.errors, "hint: {}", printable(hint))?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let mut told = BTreeSet::new();
        for artifact in summary.builds.iter().flat_map(|(_, build)| &build.artifacts) {
            for file in &artifact.files {
                // A file passed on by a post-processor is in several artifacts.
                if told.insert(file) {
                    writeln!(self.out, "{}", file.display())?;
                }
            }
        }
        self.out.flush()
    }
}
