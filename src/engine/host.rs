//! Commands of the host, such as those of `shell-local`. They run as whoever started Larder, also where Larder itself
//! runs as the root of an id mapping.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use async_trait::async_trait;
use rustix::process::Signal;
use tokio::io::AsyncRead;

use crate::error::{Error, Result};

/// A command to run on the host, with no input, in Larder's working directory.
#[derive(Clone, Debug)]
pub struct HostCommand {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to Larder's own environment.
    pub env: BTreeMap<String, String>,
}

/// Starts commands of the host.
#[async_trait]
pub trait Host: Send + Sync {
    /// Starts a command in a process group of its own.
    async fn start(&self, command: HostCommand) -> Result<HostProcess>;

    /// Runs a command in the foreground of a terminal, whose keys are then the command's. Waits for its end: its exit
    /// status, or 128 + signal.
    async fn attend(&self, command: HostCommand, terminal: OwnedFd) -> Result<i32> {
        let _ = (command, terminal);
        Err(Error::new("commands cannot be run at the terminal from here"))
    }
}

/// What a command writes.
pub type Stream = Box<dyn AsyncRead + Send + Unpin>;

/// A command of the host that has been started.
pub struct HostProcess {
    /// Its standard output.
    pub stdout: Stream,
    /// Its standard error.
    pub stderr: Stream,
    /// Its end. Dropped before that, it ends the command.
    pub end: Box<dyn HostEnd>,
}

/// The end of a command of the host.
#[async_trait]
pub trait HostEnd: Send {
    /// Waits for the command (not for what it left in the background): its exit status, 128 + signal when killed by
    /// one. May be dropped and called again.
    async fn wait(&mut self) -> Result<i32>;

    /// Signals the command's process group, which may outlive it.
    async fn signal(&mut self, signal: Signal);
}
