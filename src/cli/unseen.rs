//! A terminal that does not show what is typed.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// A terminal that does not show what is typed, until this is dropped.
pub(super) struct Unseen<'a> {
    input: &'a io::Stdin,
    before: Option<Termios>,
}

impl<'a> Unseen<'a> {
    pub(super) fn begin(input: &'a io::Stdin) -> Self {
        let before = tcgetattr(input).ok();
        if let Some(before) = &before {
            let mut unseen = before.clone();
            unseen.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(input, OptionalActions::Flush, &unseen);
        }
        Self { input, before }
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(self.input, OptionalActions::Flush, before);
        }
    }
}
