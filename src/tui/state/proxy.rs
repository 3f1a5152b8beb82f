//! Where one is on the Proxy screen.

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {}
