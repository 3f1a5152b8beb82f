//! PAC files: scripts of the user's network that say which proxy to take for which URL.
//!
//! A script comes from a file, a URL, or by WPAD ([`Source`]); it is run in a thread of its own under [`Limits`], and
//! its answers are kept for a while. The script is somebody else's program: it gets no files and no network but the
//! addresses of names, and whatever it does ends in an answer or in a [`PacError`] that says what happened.

mod address;
mod answer;
mod engine;
mod error;
mod functions;
mod names;
mod range;
mod script;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

pub use answer::{Directive, Scheme};
pub use error::{Failure, PacError};
pub use names::{Host, System};

/// What a script may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one evaluation in all: loading, names, and the answer.
    pub time: Duration,
    /// For one name.
    pub name_time: Duration,
    /// Names that one evaluation may ask for.
    pub names: usize,
    /// Whether names are resolved at all; where they are not, no name has an address for the script.
    pub dns: bool,
    /// Bytes of memory.
    pub memory: usize,
    /// Bytes of stack.
    pub stack: usize,
    /// Bytes of the script.
    pub script: usize,
    /// Characters of an answer.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(5),
            name_time: Duration::from_secs(2),
            names: 64,
            dns: true,
            memory: 64 << 20,
            stack: 1 << 20,
            script: 1 << 20,
            answer: 16 << 10,
        }
    }
}

/// Somebody else's text for a message: on one line, without control characters, of at most `most` characters.
fn plain(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut short: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        short.push('\u{2026}');
    }
    short
}
