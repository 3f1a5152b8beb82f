//! Where one is on the History screen.

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {}
