//! A shell in a guest for somebody to sit at.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// What a shell is to be like.
#[derive(Clone, Debug)]
pub struct ShellSpec {
    /// The kind of terminal, as in `TERM`.
    pub term: String,
    /// Size of the terminal.
    pub size: WindowSize,
    /// Further variables, such as `COLORTERM`.
    pub env: BTreeMap<String, String>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// A shell that runs in a guest.
pub struct GuestShell {
    /// The side of its terminal that a person sits at: what is typed is written to it, what the shell shows is read
    /// from it, and its window size is the shell's. Once closed, the shell is told that nobody is there any more.
    pub terminal: OwnedFd,
    /// The end of the shell: its exit status, or 128 + signal. Dropped before that, it ends the shell.
    pub end: BoxFuture<'static, Result<i32>>,
}

impl fmt::Debug for GuestShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestShell").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}
