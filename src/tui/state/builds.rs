//! Where one is on the Builds screen.

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {}
