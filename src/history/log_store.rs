//! A build's log file, read by line: any window of it, its steps, searches and filters, while it still grows.
//!
//! The file stays where it is. What is in memory is the offset of every 64th line and the lines where steps begin.
//! The form of the file is in [`crate::output::log_file`].

pub mod index;
pub mod line;
pub mod pattern;
mod reader;
pub mod scan;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use index::StepBegin;
use index::{Index, Place};
use line::parse;
pub use line::{LogLine, Source};
use reader::Reader;

/// A log file and the index over it. Lines are numbered from 0; a line counts once its end has been written.
pub struct LogStore {
    path: PathBuf,
    /// None until the file exists.
    file: Option<Arc<File>>,
    index: Index,
}

impl LogStore {
    /// The log at `path`, of which nothing has been read yet. The file need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, index: Index::default() }
    }

    /// The log at `path`, all of it that is there.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let mut store = Self::new(path);
        while store.grow(u64::MAX)? {}
        Ok(store)
    }

    /// Takes in what has been written since, some `at_most` bytes of it. Returns whether there is more to take in
    /// now. To be called before each drawing, with so much that no pause is felt (64 MiB take some 20 ms).
    pub fn grow(&mut self, at_most: u64) -> io::Result<bool> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(Arc::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let Some(file) = &self.file else { return Ok(false) };
        let length = file.metadata()?.len();
        if length < self.index.end().offset {
            self.index = Index::default();
        }
        self.index.grow(file, length, at_most)
    }

    /// Lines there are, as far as [`Self::grow`] has seen.
    pub fn len(&self) -> usize {
        self.index.end().line
    }

    /// Whether there is no line yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where each step begins, in the order begun.
    pub fn steps(&self) -> &[StepBegin] {
        self.index.steps()
    }

    /// The step that the line is in.
    pub fn step_at(&self, line: usize) -> Option<&StepBegin> {
        let begun = self.steps().partition_point(|step| step.line <= line);
        begun.checked_sub(1).map(|place| &self.steps()[place])
    }

    /// `count` lines from line `first` on; fewer where the log ends.
    pub fn window(&self, first: usize, count: usize) -> io::Result<Vec<LogLine>> {
        let mut lines = Vec::new();
        let wanted = first..first.saturating_add(count).min(self.len());
        if wanted.is_empty() {
            return Ok(lines);
        }
        let Some(file) = &self.file else { return Ok(lines) };
        let mut place = self.index.before(first);
        let mut reader = Reader::new(file, place.offset, self.index.end().offset);
        while place.line < wanted.end
            && let Some(raw) = reader.next()?
        {
            if place.line >= first {
                lines.push(parse(place.line, raw));
            }
            place.line += 1;
        }
        Ok(lines)
    }

    /// The lines with these numbers, which are in order. For a filter's view: near ones are read together.
    pub fn lines(&self, numbers: &[usize]) -> io::Result<Vec<LogLine>> {
        let mut lines: Vec<LogLine> = Vec::with_capacity(numbers.len());
        let mut rest = numbers;
        while let Some(first) = rest.first() {
            let near = rest.partition_point(|number| *number < first + index::EVERY);
            let last = rest[near - 1];
            let window = self.window(*first, last - first + 1)?;
            let wanted = window.into_iter().filter(|line| rest[..near].binary_search(&line.number).is_ok());
            lines.extend(wanted);
            rest = &rest[near..];
        }
        Ok(lines)
    }

    /// What a search in a thread of its own needs.
    fn reading(&self) -> Option<(Arc<File>, Place)> {
        self.file.clone().map(|file| (file, self.index.end()))
    }
}
