//! Bundles: made, read, carried to another cache, and attacked (`docs/reference/bundle.md`).
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers fail by panicking and say why they skip"
)]

mod bed;
mod carried;
mod forms;
mod hostile;
mod mutated;
#[path = "../support/origin.rs"]
mod origin;
mod parts;
mod raw;
mod shared;
mod signatures;
#[path = "../support/larder.rs"]
mod support;
