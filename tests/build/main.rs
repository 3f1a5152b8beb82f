//! Whole builds with the real program: what their guests reach, what they leave, and how they end.
//!
//! Needs root, and the Debian mirror of the host; says so and passes where there is no root.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers fail by panicking and say why they skip"
)]

mod air_gap;
mod asking;
mod build_values;
mod busybox;
mod cancel;
#[path = "../support/certificates.rs"]
mod certificates;
mod containment;
mod corporate;
mod egress;
mod exec;
mod faults;
mod host;
mod image;
mod interception;
mod kills;
mod legacy;
mod mirror;
mod observed;
mod origin;
mod outputs;
mod parallel;
#[path = "../support/origin.rs"]
mod plain_origin;
#[path = "../support/pty.rs"]
mod pty;
#[path = "../support/repository.rs"]
mod repository;
mod reproducible;
mod running;
#[path = "../support/schema.rs"]
mod schema;
#[path = "../support/larder.rs"]
mod support;
mod templates;
mod trace;
mod unprivileged;
