//! The hidden subcommands by which Larder runs itself inside namespaces.
//!
//! A process with several threads cannot enter a user namespace, so namespaces are entered by fresh processes of the
//! same program, before an async runtime or anything else has started a thread.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

/// Hidden subcommand: makes a gateway's namespaces and sockets, hands them over and ends.
pub(super) const GATEWAY: &str = "__gateway";
/// Hidden subcommand: makes the process namespace of a guest and waits for its init.
pub(super) const LAUNCH: &str = "__guest-launch";
/// Hidden subcommand: the init of a guest.
pub(super) const INIT: &str = "__guest-init";
/// Hidden subcommand: tries whether overlay mounts work.
pub(super) const OVERLAY: &str = "__overlay";
/// Hidden subcommand: enters a gateway's network and runs a command of the host there.
pub(super) const EXEC: &str = "__exec-init";
/// Hidden subcommand: goes on as the root of an id mapping, with the arguments after the first, a socket's number.
pub(super) const MAPPED: &str = "__mapped";
/// Hidden subcommand: tries what this machine allows.
pub(super) const PROBE: &str = "__probe";

/// What the program is to do.
#[derive(Debug)]
pub enum Start {
    /// End: a hidden subcommand has been run.
    End(ExitCode),
    /// Run a command of the user's, with these arguments (the program's name first), and inside a mapping if there is one.
    Command(Vec<OsString>, Option<super::mapping::Inside>),
}

/// Runs a hidden subcommand, or enters an id mapping, if `arguments` (with the program's name first) say so. To be
/// called first thing in `main`, before a thread is started.
pub fn start(mut arguments: Vec<OsString>) -> Start {
    if let Some(code) = reexec_main(&arguments) {
        return Start::End(code);
    }
    if arguments.get(1).is_none_or(|name| name != MAPPED) {
        return Start::Command(arguments, None);
    }
    match super::mapping::enter(&arguments[2..]) {
        Ok(inside) => {
            arguments.drain(1..3);
            Start::Command(arguments, Some(inside))
        }
        Err(code) => Start::End(code),
    }
}

/// Runs a hidden subcommand if `arguments` (with the program's name first) name one. To be called first thing in
/// `main`, before a thread is started.
pub fn reexec_main(arguments: &[OsString]) -> Option<ExitCode> {
    let name = arguments.get(1).map(OsString::as_os_str).and_then(OsStr::to_str)?;
    let code = match name {
        GATEWAY => super::gateway::helper_main(),
        LAUNCH => super::init::launch_main(),
        INIT => super::init::init_main(),
        OVERLAY => super::layer::overlay_main(&arguments[2..]),
        EXEC => super::exec::exec_main(&arguments[2..]),
        PROBE => super::host::probe::probe_main(&arguments[2..]),
        _ => return None,
    };
    Some(code)
}

/// The running program, as a path that stays right when the file is replaced or deleted.
pub fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}
