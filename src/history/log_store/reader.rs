//! The lines of a part of a file, one after the other, without holding more than one in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Longest line handed out, in bytes; what is beyond is left out.
pub(super) const MAX_LINE: usize = 64 * 1024;

const BUFFER: usize = 4 * MAX_LINE;

/// A line as it is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    /// Its bytes without the newline; at most [`MAX_LINE`].
    pub(super) bytes: &'a [u8],
    /// How many bytes of it were left out.
    pub(super) left_out: u64,
}

/// Reads lines from an offset on.
pub(super) struct Reader<'a> {
    file: &'a File,
    /// Where the next read begins, and where the part ends.
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    /// What of the buffer has not been handed out.
    start: usize,
    filled: usize,
    /// Offset of the line that comes next.
    offset: u64,
}

impl<'a> Reader<'a> {
    /// Reads the file from `offset`, where a line begins, to `end`.
    pub(super) fn new(file: &'a File, offset: u64, end: u64) -> Self {
        Self { file, at: offset, end, buffer: Vec::new(), start: 0, filled: 0, offset }
    }

    /// Where the line begins that comes next.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line; none at the end, also where the last line has no newline yet.
    pub(super) fn next(&mut self) -> io::Result<Option<Raw<'_>>> {
        let mut looked = 0;
        let mut left_out = 0;
        loop {
            let fresh = &self.buffer[self.start + looked..self.filled];
            if let Some(at) = memchr::memchr(b'\n', fresh) {
                let line = self.start..self.start + looked + at;
                self.start = line.end + 1;
                let shown = line.len().min(MAX_LINE);
                left_out += (line.len() - shown) as u64;
                self.offset += shown as u64 + left_out + 1;
                return Ok(Some(Raw { bytes: &self.buffer[line.start..line.start + shown], left_out }));
            }
            looked = self.filled - self.start;
            if looked > MAX_LINE {
                left_out += (looked - MAX_LINE) as u64;
                self.filled = self.start + MAX_LINE;
                looked = MAX_LINE;
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads more behind what is left. Returns false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.resize(BUFFER, 0);
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = left.min(self.buffer.len() - self.filled);
        let read = self.file.read_at(&mut self.buffer[self.filled..self.filled + room], self.at)?;
        self.at += read as u64;
        self.filled += read;
        Ok(read > 0)
    }
}
