//! Where one is on the Templates screen.

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {}
