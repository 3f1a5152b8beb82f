//! Where one is on the Cache screen.

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {}
