//! Where one is on the Log screen.

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {}
