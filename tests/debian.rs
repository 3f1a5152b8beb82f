//! Larder's Debian bootstrap through the real program: beside mmdebstrap's, and when something goes wrong.
//!
//! Needs root; the comparison also mmdebstrap and the mirror of the host's apt configuration. Where something is
//! missing a test says so and passes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test's helpers fail by panicking, report timings and say why they skip"
)]

#[path = "debian/archive.rs"]
mod archive;
#[path = "debian/faults.rs"]
mod faults;
#[path = "debian/parity.rs"]
mod parity;
#[path = "support/pty.rs"]
mod pty;
#[path = "debian/retry.rs"]
mod retry;
#[path = "support/larder.rs"]
mod support;
