//! Where one is on the Guests screen.

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {}
