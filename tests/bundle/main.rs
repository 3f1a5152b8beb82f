//! Bundles: made, read, carried to another cache, and attacked (`docs/reference/bundle.md`).
#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

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
#[path = "../support/larder.rs"]
mod support;
