//! Whole builds with the real program: what their guests reach, what they leave, and how they end.
//!
//! Needs root, and the Debian mirror of the host; says so and passes where there is no root.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers fail by panicking and say why they skip"
)]

mod image;
#[path = "../support/origin.rs"]
mod origin;
mod parallel;
#[path = "../support/larder.rs"]
mod support;
