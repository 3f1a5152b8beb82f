//! Guests on a real kernel: what they can reach, what they leave, and what they cannot escape from.
//!
//! Needs root and a shell with its libraries to make a root file system from; says so and passes where there is none.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers fail by panicking and say why they skip"
)]

#[path = "guest/bed.rs"]
mod bed;
#[path = "guest/containment.rs"]
mod containment;
#[path = "guest/exec.rs"]
mod exec;
#[path = "guest/files.rs"]
mod files;
#[path = "guest/life.rs"]
mod life;
#[path = "guest/network.rs"]
mod network;
#[path = "guest/shell.rs"]
mod shell;
