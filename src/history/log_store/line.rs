//! One line of a log: its time, where it comes from, its text.

use jiff::Timestamp;

use super::index::StepBegin;
use super::reader::Raw;
use crate::output::log_file::{Mark, TEXT_AT, TIME_WIDTH, step_begun};

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Larder itself.
    Larder,
    /// Larder: a step begins. The text is `step 3: name`, counted from 1.
    StepBegan,
    /// Larder: a step ended.
    StepEnded,
    /// Larder: a warning, or why a build failed.
    Warning,
    /// What the guest, or a program on the host, wrote to standard output.
    Out,
    /// What it wrote to standard error.
    Err,
    /// A request through the proxy.
    Net,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number, from 0.
    pub number: usize,
    /// When it was written; none where the file holds something else than it should.
    pub time: Option<Timestamp>,
    /// Where it comes from.
    pub source: Source,
    /// Its text. It may hold escape sequences (see [`crate::output::ansi`]), and is valid UTF-8: what was not is U+FFFD.
    /// What a carriage return overwrote is gone.
    pub text: String,
    /// How many bytes of it are not in `text`, because it is longer than 64 kB; 0 for all others.
    pub left_out: u64,
}

/// Source and text of a line; the whole of it is output where it does not begin as a line of a log should.
pub(super) fn split(bytes: &[u8]) -> (Source, &[u8]) {
    let known = (bytes.len() >= TEXT_AT && bytes[TIME_WIDTH] == b' ' && bytes[TEXT_AT - 1] == b' ')
        .then(|| Mark::from_bytes(&bytes[TIME_WIDTH + 1..TEXT_AT - 1]))
        .flatten();
    let Some(mark) = known else { return (Source::Out, bytes) };
    let source = match mark {
        Mark::Larder => Source::Larder,
        Mark::StepBegins => Source::StepBegan,
        Mark::StepEnds => Source::StepEnded,
        Mark::Warning => Source::Warning,
        Mark::Out => Source::Out,
        Mark::Err => Source::Err,
        Mark::Net => Source::Net,
    };
    (source, &bytes[TEXT_AT..])
}

/// What is left of a line once carriage returns have made it start again: what follows the last one that something
/// follows.
pub(super) fn overwritten(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b'\r').map_or(0, |at| at + 1);
    let start = memchr::memrchr(b'\r', &text[..end]).map_or(0, |at| at + 1);
    &text[start..end]
}

/// The line, read.
pub(super) fn parse(number: usize, raw: Raw<'_>) -> LogLine {
    let (source, text) = split(raw.bytes);
    let time = (text.len() < raw.bytes.len())
        .then(|| std::str::from_utf8(&raw.bytes[..TIME_WIDTH]).ok()?.parse().ok())
        .flatten();
    let text = String::from_utf8_lossy(overwritten(text)).into_owned();
    LogLine { number, time, source, text, left_out: raw.left_out }
}

/// The step that begins with this line, which has this number.
pub(super) fn step_begin(line: usize, bytes: &[u8]) -> Option<StepBegin> {
    let (Source::StepBegan, text) = split(bytes) else { return None };
    let (index, attempt, name) = step_begun(std::str::from_utf8(text).ok()?)?;
    Some(StepBegin { line, index, attempt, name: name.to_owned() })
}
