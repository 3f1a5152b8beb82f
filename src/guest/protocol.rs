//! What Larder and a guest's init say to each other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::root::Root;

/// From Larder to init. Descriptors that come along are named in the comments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Make the guest. With the network namespace, if it has one of its own.
    Start(Start),
    /// Run a command. With its standard input, output and error.
    Spawn { id: u64, command: super::launch::Command },
    /// Move a file or a tree. With the descriptor to read from or write to, and one for an error message.
    File { id: u64, operation: FileOperation },
    /// Open a terminal and run a shell in it.
    Shell { id: u64, session: super::pty::Session },
    /// Send a signal to the process group of a command.
    Signal { id: u64, signal: i32 },
    /// End everything, tidy up, say what was left running, and end.
    Shutdown,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) root: Root,
    /// Empty directory of the host to mount the root on, seen by the guest's mount namespace only.
    pub(super) mount_at: PathBuf,
    pub(super) hostname: String,
    /// What `/etc/resolv.conf` is to hold.
    pub(super) resolv_conf: String,
    /// Whether a network namespace comes along; without one the guest shares the host's network.
    pub(super) own_network: bool,
    /// Whether a user namespace comes along, after the network namespace if there is one.
    pub(super) user_namespace: bool,
}

/// A file operation, done inside the guest's root with the guest's rights.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FileOperation {
    /// Writes a file from the descriptor.
    Put { path: String, mode: u32 },
    /// Writes a file to the descriptor.
    Get { path: String },
    /// Unpacks a tar archive from the descriptor below a directory, which is made if it is missing.
    Unpack { directory: String },
    /// Packs what a directory holds into a tar archive, to the descriptor.
    Pack { directory: String },
}

/// From init to Larder.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The guest is ready.
    Ready,
    /// The guest could not be made.
    Failed { what: String, error: String, overlay_refused: bool },
    /// The terminal of a shell, which runs. With the descriptor of its master side.
    Terminal { id: u64 },
    /// A shell could not be started.
    Refused { id: u64, error: String },
    /// A command, shell or file operation has ended: its exit status, or 128 + signal.
    Exited { id: u64, status: i32 },
    /// Everything has ended.
    Down { leftovers: Vec<super::launch::Leftover>, problems: Vec<String> },
}
