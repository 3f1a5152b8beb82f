//! Guests on this machine: a network of their own that leads to the proxy and nowhere else, a root file system
//! they cannot leave, trust in Larder's CA for as long as they live, the proof that neither left a trace, and the
//! record from which what a killed run left behind is found.
//!
//! A guest's life: [`gateway::Gateway::create`] makes the network of a build, [`launch::Guest::start`] the guest of a
//! step on a [`root::Root`] (mostly one that [`layer::Layers`] stacks); [`launch::Guest::shutdown`] ends it and names
//! what it left running.

pub mod authority;
pub mod device;
pub mod exec;
pub mod foreground;
pub mod gateway;
pub mod host;
pub mod jks;
pub mod journal;
pub mod launch;
pub mod layer;
pub mod layers;
pub mod mapping;
pub mod network;
pub mod reap;
pub mod record;
pub mod reexec;
pub mod root;
pub mod rooted;
pub mod stop;
pub mod tools;
pub mod trace;
pub mod trust;
pub mod xattr;

mod channel;
mod containment;
mod copy;
pub(crate) mod file;
mod init;
mod namespace;
mod netlink;
mod protocol;
mod pty;
mod raw;
mod seccomp;

pub(crate) use raw::inherited;

/// The exit status as a shell reports it: 128 + signal for a process killed by one.
pub(crate) fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}
