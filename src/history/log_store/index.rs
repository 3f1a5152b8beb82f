//! Offsets of lines, and where steps begin; grown as the file grows.

use std::fs::File;
use std::io;

use super::line;
use super::reader::Reader;

/// An offset is kept for every so many lines.
pub const EVERY: usize = 64;

/// An offset is kept, too, after so many bytes, so that very long lines do not make their neighbours slow.
const EVERY_BYTES: u64 = 1024 * 1024;

/// A line and its offset in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the line, from 0.
    pub line: usize,
    /// Where it begins in the file.
    pub offset: u64,
}

/// Where a step begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepBegin {
    /// The line that says so.
    pub line: usize,
    /// Place of the step within its build, from 0.
    pub index: usize,
    /// Which of its starts it is, from 1.
    pub attempt: u32,
    /// Its name.
    pub name: String,
}

/// The index over a log.
#[derive(Debug, Default)]
pub struct Index {
    places: Vec<Place>,
    steps: Vec<StepBegin>,
    /// The line after the last, and the offset up to which lines were counted.
    end: Place,
}

impl Index {
    /// The line after the last, and its offset.
    pub fn end(&self) -> Place {
        self.end
    }

    /// Where steps begin.
    pub fn steps(&self) -> &[StepBegin] {
        &self.steps
    }

    /// The last known place at or before the line.
    pub fn before(&self, line: usize) -> Place {
        let after = self.places.partition_point(|place| place.line <= line);
        after.checked_sub(1).map_or_else(Place::default, |place| self.places[place])
    }

    /// Counts the lines of the file's first `length` bytes on from the end, some `at_most` bytes. Returns whether
    /// whole lines may be left.
    pub fn grow(&mut self, file: &File, length: u64, at_most: u64) -> io::Result<bool> {
        let stop = self.end.offset.saturating_add(at_most);
        let mut reader = Reader::new(file, self.end.offset, length);
        loop {
            if self.end.offset >= stop {
                return Ok(self.end.offset < length);
            }
            let Some(raw) = reader.next()? else { return Ok(false) };
            self.steps.extend(line::step_begin(self.end.line, raw.bytes));
            self.end = Place { line: self.end.line + 1, offset: reader.offset() };
            let last = self.places.last().copied().unwrap_or_default();
            if self.end.line - last.line >= EVERY || self.end.offset - last.offset >= EVERY_BYTES {
                self.places.push(self.end);
            }
        }
    }
}
