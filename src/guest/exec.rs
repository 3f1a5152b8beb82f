//! Any command of the host in a gateway's network: what `larder exec -- CMD` does.
//!
//! The command has the host's files, the caller's ids and terminal, and the network of the gateway. It cages network
//! traffic, not the command: root can leave a network namespace.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::gateway::Gateway;
use super::{channel, reexec};
use crate::error::{Context as _, Error, Result};

mod cage;

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct ExecSpec {
    /// The program to re-execute; [`reexec::this_program`] but in tests.
    pub program: PathBuf,
    /// The command and its arguments. Looked up in the caller's `PATH`.
    pub argv: Vec<String>,
    /// Added to the caller's environment.
    pub env: BTreeMap<String, String>,
}

/// What the helper needs to know. Comes with the network namespace, and the user namespace, if there are such.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    /// Whom to ask names of in the network namespace; without one the command stays in the host's.
    resolver: Option<IpAddr>,
    user_namespace: bool,
}

/// What went wrong before the command ran.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// The cage stands and the command has been started.
    Started,
    Failed {
        what: String,
        error: String,
    },
}

/// Runs a command in the network of `gateway` (or, without one, of the host) with the caller's standard input, output and error, and returns its exit
/// status (128 + signal when killed by one; 126 and 127 as a shell has them). Signals from the terminal reach the
/// command by themselves; SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 to this process are passed on. When this process ends,
/// so does the command.
pub async fn run(gateway: Option<&Gateway>, spec: ExecSpec) -> Result<i32> {
    let (ours, theirs) = channel::pair().context(|| "cannot make a socket pair".to_owned())?;
    // Standard input is the command's, so the socket is inherited under its own number.
    rustix::io::fcntl_setfd(&theirs, FdFlags::empty()).context(|| "cannot hand over a socket".to_owned())?;
    // Before the command can be interrupted, lest the interruption end Larder and the command with it.
    let signals = [
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ];
    let [mut interrupt, mut quit, mut terminate, mut hangup, mut user1, mut user2] = {
        let streams: std::io::Result<Vec<_>> = signals.into_iter().map(signal).collect();
        let streams = streams.context(|| "cannot watch for signals".to_owned())?;
        <[_; 6]>::try_from(streams).map_err(|_| Error::new("cannot watch for signals"))?
    };
    let mut helper = tokio::process::Command::new(&spec.program)
        .arg(reexec::EXEC)
        .arg(theirs.as_raw_fd().to_string())
        .stdin(Stdio::inherit())
        .spawn()
        .context(|| format!("cannot run {} for the command", spec.program.display()))?;
    drop(theirs);
    let order = Order {
        argv: spec.argv,
        env: spec.env,
        resolver: gateway.map(Gateway::resolver),
        user_namespace: gateway.is_some_and(|gateway| gateway.user_namespace().is_some()),
    };
    let mut descriptors: Vec<_> = gateway.map(Gateway::network).into_iter().collect();
    descriptors.extend(gateway.and_then(Gateway::user_namespace));
    channel::send(&ours, &order, &descriptors).context(|| "cannot tell the helper what to run".to_owned())?;
    let id = helper.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let pass_on = |signal| {
        if let Some(id) = id {
            let _ = kill(id, signal);
        }
    };
    let status = loop {
        tokio::select! {
            status = helper.wait() => break status.context(|| "cannot wait for the command".to_owned())?,
            // The terminal has sent these to the command too.
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => pass_on(Signal::SIGTERM),
            _ = hangup.recv() => pass_on(Signal::SIGHUP),
            _ = user1.recv() => pass_on(Signal::SIGUSR1),
            _ = user2.recv() => pass_on(Signal::SIGUSR2),
        }
    };
    match channel::receive::<Answer>(&ours).context(|| "cannot hear from the helper".to_owned())? {
        Some((Answer::Started, _)) => Ok(crate::guest::exit_code(status)),
        Some((Answer::Failed { what, error }, _)) => {
            Err(Error::new(format!("cannot run the command in the proxy's network: cannot {what}: {error}")))
        }
        None => Err(Error::new(format!("the helper that was to run the command ended early ({status})"))),
    }
}

/// Hidden subcommand: builds the cage, runs the command in it and ends with its status.
pub(super) fn exec_main(arguments: &[OsString]) -> ExitCode {
    cage::main(arguments)
}
