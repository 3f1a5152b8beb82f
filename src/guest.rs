//! Guests on this machine: a network of their own that leads to the proxy and nowhere else, a root file system
//! they cannot leave, and the record from which what a killed run left behind is found.
//!
//! A guest's life: [`gateway::Gateway::create`] makes the network of a build, [`launch::Guest::start`] the guest of a
//! step on a [`root::Root`] (mostly one that [`layer::Layers`] stacks); [`launch::Guest::shutdown`] ends it and names
//! what it left running.

pub mod exec;
pub mod gateway;
pub mod launch;
pub mod layer;
pub mod reap;
pub mod record;
pub mod reexec;
pub mod root;

mod channel;
mod containment;
mod copy;
pub(crate) mod file;
mod init;
mod namespace;
mod netlink;
mod protocol;
mod raw;
mod seccomp;

/// The exit status as a shell reports it: 128 + signal for a process killed by one.
pub(crate) fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}
