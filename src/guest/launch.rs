//! A guest from the outside: starting it, running commands in it, moving files, ending it.

use std::collections::{BTreeMap, HashMap};
use std::io;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::pipe::PipeFlags;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::gateway::Gateway;
use super::protocol::{FileOperation, Reply, Request, Start};
use super::record::{Entry, Record};
use super::root::Root;
use super::{channel, reexec};
use crate::error::{Context as _, Error, Result};

mod shell;

pub use shell::Shell;

/// How long a guest has to end once its init has been told to.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(15);

/// What a guest is made of.
#[derive(Clone, Debug)]
pub struct GuestSpec {
    /// The program to re-execute; [`reexec::this_program`] but in tests.
    pub program: PathBuf,
    /// Its root file system.
    pub root: Root,
    /// An empty directory of the host for the root to be mounted on. The mount is seen by the guest only.
    pub mount_at: PathBuf,
    /// Its host name.
    pub hostname: String,
    /// Where the run's record of this guest is kept.
    pub record: Option<Arc<Record>>,
}

impl GuestSpec {
    /// A guest on `root`.
    pub fn new(root: Root, mount_at: PathBuf) -> Self {
        Self { program: reexec::this_program(), root, mount_at, hostname: "larder".to_owned(), record: None }
    }
}

/// A command to run in a guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// Program (looked up in `PATH` of `env`) and arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Working directory; `/` by default.
    pub directory: Option<PathBuf>,
    /// User id to run as. Supplementary groups are none.
    pub uid: u32,
    /// Group id to run as.
    pub gid: u32,
}

impl Command {
    /// A command line run by `/bin/sh` as root.
    pub fn shell(line: &str, env: BTreeMap<String, String>) -> Self {
        Self { argv: vec!["/bin/sh".into(), "-c".into(), line.into()], env, directory: None, uid: 0, gid: 0 }
    }
}

/// A process that was still running when its guest was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Its id, in the guest.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Program and arguments.
    pub command_line: String,
}

/// What the end of a guest brought to light.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// Processes that were left running, and were ended.
    pub leftovers: Vec<Leftover>,
    /// Mount points Larder had made in the root and could not take out again.
    pub problems: Vec<String>,
}

/// Why a guest did not start.
#[derive(Debug)]
pub enum StartError {
    /// The kernel refused to mount the layers over each other; a copy may take their place.
    OverlayRefused(Error),
    /// Anything else.
    Other(Error),
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::OverlayRefused(error) | StartError::Other(error) => error,
        }
    }
}

/// A running guest. Dropping it ends it without ceremony; [`Guest::shutdown`] ends it well.
#[derive(Debug)]
pub struct Guest {
    line: Arc<Line>,
    launcher: tokio::process::Child,
    reader: JoinHandle<()>,
}

/// The connection to a guest's init.
#[derive(Debug)]
struct Line {
    /// A SEQPACKET socket, which readiness is all that is asked of.
    socket: UnixStream,
    next: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    exits: HashMap<u64, oneshot::Sender<i32>>,
    /// Shells that have been asked for: the terminal, or why there is none.
    terminals: HashMap<u64, oneshot::Sender<Result<OwnedFd, String>>>,
    down: Option<oneshot::Sender<Shutdown>>,
    ended: bool,
}

impl Guest {
    /// Starts a guest in the network of `gateway`; without one it shares the host's network.
    pub async fn start(gateway: impl Into<Option<&Gateway>>, spec: GuestSpec) -> Result<Self, StartError> {
        let gateway = gateway.into();
        let (line, launcher) = launch(&spec).map_err(StartError::Other)?;
        if let (Some(record), Some(pid)) = (&spec.record, launcher.id()) {
            record.add(&Entry::process(pid, "guest")).map_err(StartError::Other)?;
        }
        let start = Start {
            root: spec.root,
            mount_at: spec.mount_at,
            hostname: spec.hostname,
            resolv_conf: gateway
                .map_or_else(host_resolv_conf, |gateway| format!("nameserver {}\n", gateway.resolver())),
            own_network: gateway.is_some(),
            user_namespace: gateway.is_some_and(|gateway| gateway.user_namespace().is_some()),
        };
        let mut descriptors: Vec<_> = gateway.map(Gateway::guest_network).into_iter().collect();
        descriptors.extend(gateway.and_then(Gateway::user_namespace));
        line.send(&Request::Start(start), &descriptors).await.map_err(StartError::Other)?;
        match line.receive().await {
            Ok(Some((Reply::Ready, _))) => {}
            Ok(Some((Reply::Failed { what, error, overlay_refused }, _))) => {
                let error = Error::new(format!("cannot make the guest: {what}: {error}"));
                return Err(if overlay_refused { StartError::OverlayRefused(error) } else { StartError::Other(error) });
            }
            Ok(other) => {
                return Err(StartError::Other(Error::new(format!("the guest did not start (init said {other:?})"))));
            }
            Err(error) => {
                return Err(StartError::Other(Error::new("cannot hear from the guest's init").caused_by(error)));
            }
        }
        let line = Arc::new(line);
        let reader = tokio::spawn(read_replies(Arc::clone(&line)));
        Ok(Self { line, launcher, reader })
    }

    /// Starts a command. Its output has to be read, or it stops when the pipes are full.
    pub async fn spawn(&self, command: Command) -> Result<Process> {
        let input = pipe_pair()?;
        let (output, error) = (pipe_pair()?, pipe_pair()?);
        for end in [&output.1, &error.1] {
            // So that a command that has become another user can open /dev/stdout.
            let _ = rustix::fs::fchmod(end, rustix::fs::Mode::from_raw_mode(0o666));
        }
        let ends = [input.0.as_fd(), output.1.as_fd(), error.1.as_fd()];
        let (id, exit) = self.line.begin(|id| Request::Spawn { id, command }, &ends).await?;
        Ok(Process {
            stdin: Some(sender(input.1)?),
            stdout: receiver(output.0)?,
            stderr: receiver(error.0)?,
            control: ProcessControl { id, line: Arc::clone(&self.line) },
            exit: Exit { receiver: Some(exit), status: None },
        })
    }

    /// Writes a file of the guest from what `data` (a file or the reading end of a pipe) holds, replacing its content
    /// if it exists. Links are followed as a command in the guest would follow them.
    pub async fn put(&self, data: BorrowedFd<'_>, path: &str, mode: u32) -> Result<()> {
        let operation = FileOperation::Put { path: path.to_owned(), mode };
        self.file(operation, data).await.context(|| format!("cannot write {path} in the guest"))
    }

    /// Writes a file of the guest from bytes in memory.
    pub async fn put_bytes(&self, content: &[u8], path: &str, mode: u32) -> Result<()> {
        let data = memory_file(content).context(|| "cannot make a file in memory".to_owned())?;
        self.put(data.as_fd(), path, mode).await
    }

    /// Copies a regular file of the guest to `data`.
    pub async fn get(&self, path: &str, data: BorrowedFd<'_>) -> Result<()> {
        let operation = FileOperation::Get { path: path.to_owned() };
        self.file(operation, data).await.context(|| format!("cannot read {path} in the guest"))
    }

    /// Unpacks a tar archive below a directory of the guest, which is made if it is missing.
    pub async fn unpack(&self, data: BorrowedFd<'_>, directory: &str) -> Result<()> {
        let operation = FileOperation::Unpack { directory: directory.to_owned() };
        self.file(operation, data).await.context(|| format!("cannot write {directory} in the guest"))
    }

    /// Packs what a directory of the guest holds into a tar archive.
    pub async fn pack(&self, directory: &str, data: BorrowedFd<'_>) -> Result<()> {
        let operation = FileOperation::Pack { directory: directory.to_owned() };
        self.file(operation, data).await.context(|| format!("cannot read {directory} in the guest"))
    }

    async fn file(&self, operation: FileOperation, data: BorrowedFd<'_>) -> Result<()> {
        let (ours, theirs) = pipe_pair()?;
        let (_, exit) = self.line.begin(|id| Request::File { id, operation }, &[data, theirs.as_fd()]).await?;
        drop(theirs);
        let mut report = String::new();
        receiver(ours)?.read_to_string(&mut report).await.context(|| "cannot read the guest's answer".to_owned())?;
        match exit.await {
            Ok(0) => Ok(()),
            Ok(status) if report.is_empty() => Err(Error::new(format!("ended with status {status}"))),
            Ok(_) => Err(Error::new(report)),
            Err(_) => Err(ended()),
        }
    }

    /// Ends the guest: names and ends what was left running, takes out the mount points Larder made, and waits until
    /// nothing of it is left.
    pub async fn shutdown(mut self) -> Result<Shutdown> {
        let (sender, down) = oneshot::channel();
        self.line.lock().down = Some(sender);
        let asked = self.line.send(&Request::Shutdown, &[]).await;
        let answer = tokio::time::timeout(SHUTDOWN_LIMIT, down).await;
        self.kill().await?;
        asked?;
        match answer {
            Ok(Ok(shutdown)) => Ok(shutdown),
            Ok(Err(_)) => Err(ended()),
            Err(_) => Err(Error::new("the guest did not end in time, and was killed")),
        }
    }

    /// Ends the guest at once and waits until nothing of it is left.
    pub async fn kill(&mut self) -> Result<()> {
        self.line.close();
        self.launcher.wait().await.context(|| "cannot wait for the guest to end".to_owned())?;
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.line.close();
        self.reader.abort();
    }
}

/// A command running in a guest.
#[derive(Debug)]
pub struct Process {
    /// Writes to its standard input; drop it for end of file.
    pub stdin: Option<pipe::Sender>,
    /// Its standard output.
    pub stdout: pipe::Receiver,
    /// Its standard error.
    pub stderr: pipe::Receiver,
    /// Signals it.
    pub control: ProcessControl,
    /// Its end.
    pub exit: Exit,
}

/// Signals a command of a guest.
#[derive(Clone, Debug)]
pub struct ProcessControl {
    id: u64,
    line: Arc<Line>,
}

impl ProcessControl {
    /// Kills the command and its process group.
    pub async fn kill(&self) -> Result<()> {
        self.signal(nix::libc::SIGKILL).await
    }

    /// Kills the command and its process group if its guest's init can be told at once, as it nearly always can.
    pub fn kill_now(&self) {
        let request = Request::Signal { id: self.id, signal: nix::libc::SIGKILL };
        let _ = channel::send(&self.line.socket, &request, &[]);
    }

    /// Sends a signal, by its number, to the command's process group.
    pub async fn signal(&self, signal: i32) -> Result<()> {
        self.line.send(&Request::Signal { id: self.id, signal }, &[]).await
    }
}

/// The end of a command of a guest.
#[derive(Debug)]
pub struct Exit {
    /// Until there is an answer.
    receiver: Option<oneshot::Receiver<i32>>,
    status: Option<i32>,
}

impl Exit {
    /// Waits for the command (not for what it left in the background) to end: its exit status, or 128 + signal. May be
    /// dropped and called again.
    pub async fn wait(&mut self) -> Result<i32> {
        if let Some(receiver) = &mut self.receiver {
            self.status = receiver.await.ok();
            self.receiver = None;
        }
        self.status.ok_or_else(ended)
    }
}

// === impl Line ===

impl Line {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request that an exit status will answer.
    async fn begin(
        &self,
        request: impl FnOnce(u64) -> Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(u64, oneshot::Receiver<i32>)> {
        let (id, receiver) = self.begin_with(|_, _| ())?;
        let sent = self.send(&request(id), descriptors).await;
        if sent.is_err() {
            self.forget(id);
        }
        sent.map(|()| (id, receiver))
    }

    /// Gives out the id of a request, of whose end the receiver will tell.
    fn begin_with(&self, also: impl FnOnce(&mut Waiting, u64)) -> Result<(u64, oneshot::Receiver<i32>)> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.ended {
            return Err(ended());
        }
        waiting.exits.insert(id, sender);
        also(&mut waiting, id);
        Ok((id, receiver))
    }

    /// Nothing will be heard of a request.
    fn forget(&self, id: u64) {
        let mut waiting = self.lock();
        waiting.exits.remove(&id);
        waiting.terminals.remove(&id);
    }

    async fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let send = || channel::send(&self.socket, request, descriptors);
        match self.socket.async_io(Interest::WRITABLE, send).await {
            Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
                Err(Error::new("the command and its environment are too long")
                    .hint("put the command into a script and upload it"))
            }
            result => result.context(|| "cannot reach the guest's init".to_owned()),
        }
    }

    async fn receive(&self) -> io::Result<Option<(Reply, Vec<OwnedFd>)>> {
        self.socket.async_io(Interest::READABLE, || channel::receive::<Reply>(&self.socket)).await
    }

    fn tell_terminal(&self, id: u64, terminal: Result<OwnedFd, String>) {
        if let Some(sender) = self.lock().terminals.remove(&id) {
            let _ = sender.send(terminal);
        }
    }

    /// Makes init see the end of its control socket, whoever else holds this.
    fn close(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

/// Hands each reply to whom it is for, until the guest's end.
async fn read_replies(line: Arc<Line>) {
    while let Ok(Some((reply, descriptors))) = line.receive().await {
        match reply {
            Reply::Exited { id, status } => {
                if let Some(sender) = line.lock().exits.remove(&id) {
                    let _ = sender.send(status);
                }
            }
            Reply::Terminal { id } => line.tell_terminal(id, descriptors.into_iter().next().ok_or_else(String::new)),
            Reply::Refused { id, error } => line.tell_terminal(id, Err(error)),
            Reply::Down { leftovers, problems } => {
                if let Some(sender) = line.lock().down.take() {
                    let _ = sender.send(Shutdown { leftovers, problems });
                }
            }
            Reply::Ready => {}
            Reply::Failed { what, error, .. } => {
                tracing::warn!("the guest's init failed to {what}: {error}");
            }
        }
    }
    let mut waiting = line.lock();
    waiting.ended = true;
    waiting.exits.clear();
    waiting.terminals.clear();
    waiting.down = None;
}

fn launch(spec: &GuestSpec) -> Result<(Line, tokio::process::Child)> {
    let (ours, theirs) = channel::pair().context(|| "cannot make a socket pair".to_owned())?;
    let launcher = tokio::process::Command::new(&spec.program)
        .arg(reexec::LAUNCH)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Keys of the terminal are not for the guest: Larder ends it in order.
        .process_group(0)
        .spawn()
        .context(|| format!("cannot run {} for the guest", spec.program.display()))?;
    let socket = std::os::unix::net::UnixStream::from(ours);
    let socket = socket
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(socket))
        .context(|| "cannot watch the guest's socket".to_owned())?;
    Ok((Line { socket, next: AtomicU64::new(1), waiting: Mutex::default() }, launcher))
}

/// For guests in the host's network, where its resolvers answer too.
fn host_resolv_conf() -> String {
    std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
}

fn ended() -> Error {
    Error::new("the guest has ended")
}

fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    use std::io::{Seek as _, Write as _};
    let memory = rustix::fs::memfd_create("larder", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

fn pipe_pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context(|| "cannot make a pipe".to_owned())
}

fn receiver(end: OwnedFd) -> Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(end).context(|| "cannot watch a pipe".to_owned())
}

fn sender(end: OwnedFd) -> Result<pipe::Sender> {
    pipe::Sender::from_owned_fd(end).context(|| "cannot watch a pipe".to_owned())
}
