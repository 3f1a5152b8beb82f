//! The communicator of rootfs guests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::pipe::PipeFlags;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::{RwLock, mpsc};
use tokio_util::sync::CancellationToken;

use super::transfer;
use crate::engine::component::{Communicator, Content, Output};
use crate::engine::shell::{GuestShell, ShellSpec};
use crate::error::{Context as _, Error, Result};
use crate::guest::launch::{Command, Guest, ProcessControl, Shutdown};

/// How long a killed command has to be reported as ended.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Reaches a rootfs guest through its init.
#[derive(Debug)]
pub struct RootfsCommunicator {
    /// `None` once the guest has been shut down.
    guest: RwLock<Option<Guest>>,
    env: BTreeMap<String, String>,
}

impl RootfsCommunicator {
    /// A communicator for `guest`, whose commands get the environment `env` (`PATH` and `HOME` have defaults).
    pub fn new(guest: Guest, env: BTreeMap<String, String>) -> Arc<Self> {
        let defaults = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("LANG", "C.UTF-8"),
            ("SHELL", "/bin/sh"),
        ];
        let mut all: BTreeMap<String, String> =
            defaults.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        all.extend(env);
        Arc::new(Self { guest: RwLock::new(Some(guest)), env: all })
    }

    /// Ends the guest; what it had left running is named. Waits for transfers under way. The second time there is
    /// nothing to end.
    pub async fn shutdown(&self) -> Result<Shutdown> {
        match self.guest.write().await.take() {
            Some(guest) => guest.shutdown().await,
            None => Ok(Shutdown::default()),
        }
    }
}

/// Kills a command whose caller has stopped waiting for it.
struct KillOnDrop(Option<ProcessControl>);

impl KillOnDrop {
    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(control) = &self.0 {
            control.kill_now();
        }
    }
}

fn gone() -> Error {
    Error::new("the guest has been shut down")
}

#[async_trait]
impl Communicator for RootfsCommunicator {
    async fn run(&self, command: &str, output: mpsc::Sender<Output>, cancel: &CancellationToken) -> Result<i32> {
        // The process does not need the guest's lock: shutting down ends it.
        let process = {
            let guest = self.guest.read().await;
            guest.as_ref().ok_or_else(gone)?.spawn(Command::shell(command, self.env.clone())).await?
        };
        let (control, mut exit) = (process.control, process.exit);
        let mut unfinished = KillOnDrop(Some(control.clone()));
        drop(process.stdin);
        let (mut stdout, mut stderr) = (process.stdout, process.stderr);
        // What a command leaves in the background may hold its pipes open for ever: the end of the command ends the
        // reading, not the end of the file.
        let ended = CancellationToken::new();
        let mut relay = std::pin::pin!(async {
            let (out, err) = (output.clone(), output);
            tokio::join!(
                relay(&mut stdout, out, Output::Stdout, &ended),
                relay(&mut stderr, err, Output::Stderr, &ended)
            );
        });
        let (mut status, mut relayed) = (None, false);
        loop {
            tokio::select! {
                exit = exit.wait(), if status.is_none() => {
                    status = Some(exit?);
                    unfinished.disarm();
                    ended.cancel();
                }
                () = &mut relay, if !relayed => relayed = true,
                () = cancel.cancelled() => {
                    control.kill().await?;
                    let _ = tokio::time::timeout(KILL_LIMIT, exit.wait()).await;
                    return Err(Error::new("the command was ended: the build was cancelled"));
                }
            }
            if let (Some(status), true) = (status, relayed) {
                return Ok(status);
            }
        }
    }

    async fn upload(&self, content: Content<'_>, destination: &str, mode: u32) -> Result<()> {
        let guest = self.guest.read().await;
        let guest = guest.as_ref().ok_or_else(gone)?;
        match content {
            Content::Bytes(bytes) => guest.put_bytes(bytes, destination, mode).await,
            Content::File(path) => {
                let file = File::open(path).context(|| format!("cannot read {}", path.display()))?;
                guest.put(file.as_fd(), destination, mode).await
            }
        }
    }

    async fn upload_dir(&self, source: &str, destination: &str) -> Result<()> {
        let target = transfer::directory_target(source, destination)?;
        let guest = self.guest.read().await;
        let guest = guest.as_ref().ok_or_else(gone)?;
        let (reader, writer) = pipe_pair()?;
        let directory = std::path::PathBuf::from(source);
        let packed = tokio::task::spawn_blocking(move || crate::guest::file::pack_tree(&directory, File::from(writer)));
        let unpacked = guest.unpack(reader.as_fd(), &target).await;
        drop(reader);
        let packed = packed.await.context(|| format!("reading {source} was given up"))?;
        match packed {
            // The guest stopped reading, and has said why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => unpacked,
            Err(error) => Err(error).context(|| format!("cannot read {source}")),
            Ok(()) => unpacked,
        }
    }

    async fn download(&self, source: &str, destination: &Path) -> Result<()> {
        let guest = self.guest.read().await;
        let guest = guest.as_ref().ok_or_else(gone)?;
        transfer::replace_file(destination, |file| async move { guest.get(source, file.as_fd()).await }).await
    }

    async fn download_dir(&self, source: &str, destination: &Path) -> Result<()> {
        let destination_text = destination.to_string_lossy();
        let target = std::path::PathBuf::from(transfer::directory_target(source, &destination_text)?);
        let guest = self.guest.read().await;
        let guest = guest.as_ref().ok_or_else(gone)?;
        let (reader, writer) = pipe_pair()?;
        let unpacked = tokio::task::spawn_blocking(move || {
            let mut reader = File::from(reader);
            let unpacked = transfer::unpack_from_guest(&mut reader, &target);
            // The padding at the archive's end, lest the guest see a broken pipe.
            let _ = io::copy(&mut reader, &mut io::sink());
            unpacked
        });
        let packed = guest.pack(source, writer.as_fd()).await;
        drop(writer);
        let unpacked = unpacked.await.context(|| format!("writing {} was given up", destination.display()))?;
        packed.and(unpacked.context(|| format!("cannot write {}", destination.display())))
    }

    async fn shell(&self, spec: ShellSpec) -> Result<GuestShell> {
        let mut env = self.env.clone();
        // What is typed is not part of the image: neither shells nor pagers are to write it down there.
        env.extend([("HISTFILE", ""), ("LESSHISTFILE", "-")].map(|(name, value)| (name.to_owned(), value.to_owned())));
        env.extend(spec.env);
        env.insert("TERM".to_owned(), spec.term);
        // As with commands, the guest's lock is not held for as long as it runs: shutting down ends it.
        let shell = {
            let guest = self.guest.read().await;
            guest.as_ref().ok_or_else(gone)?.shell(spec.size, env).await?
        };
        let (mut exit, mut unfinished) = (shell.exit, KillOnDrop(Some(shell.control)));
        let end = Box::pin(async move {
            let status = exit.wait().await?;
            unfinished.disarm();
            Ok(status)
        });
        Ok(GuestShell { terminal: shell.terminal, end })
    }

    fn generated_data(&self) -> BTreeMap<String, String> {
        [("ConnType", "rootfs"), ("User", "root"), ("Host", "localhost")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// Passes on what arrives, until the end of file or, once `ended` fires, what is in the pipe by then. A receiver that
/// was dropped does not stop the reading.
async fn relay(
    from: &mut pipe::Receiver,
    to: mpsc::Sender<Output>,
    wrap: fn(Vec<u8>) -> Output,
    ended: &CancellationToken,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            () = ended.cancelled() => break,
        };
        match read {
            Ok(0) | Err(_) => return,
            Ok(length) => drop(to.send(wrap(buffer[..length].to_vec())).await),
        }
    }
    // Read past the runtime, which may not have heard yet that there is something. No more than a pipe holds was
    // written before the command ended.
    let mut left = rustix::pipe::fcntl_getpipe_size(&*from).unwrap_or(64 * 1024);
    while left > 0 {
        match rustix::io::read(&*from, &mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                left = left.saturating_sub(length);
                let _ = to.send(wrap(buffer[..length].to_vec())).await;
            }
        }
    }
}

fn pipe_pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context(|| "cannot make a pipe".to_owned())
}
