//! The process inside the mapping: how it gets there, and how it asks for what must be done outside.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use nix::sched::CloneFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

use super::{Made, Mapped, Notice, Request, watched};
use crate::engine::host::{Host, HostCommand, HostEnd, HostProcess};
use crate::error::{Context as _, Error, Result};
use crate::guest::{channel, namespace, raw};

/// What a process inside has of the one outside.
#[derive(Debug)]
pub struct Inside {
    socket: OwnedFd,
    outside: u32,
    user: Option<u32>,
}

/// Becomes root of a user namespace. The first argument is the number of the socket. Fails when that was refused and
/// the process outside has been told, or has gone.
pub(in crate::guest) fn enter(arguments: &[OsString]) -> Result<Inside, ExitCode> {
    let number = arguments.first().and_then(|number| number.to_str()?.parse().ok()).ok_or(ExitCode::FAILURE)?;
    let socket = raw::inherited(number).map_err(|_| ExitCode::FAILURE)?;
    let tell = |made: &Made| channel::send(&socket, made, &[]).map_err(|_| ExitCode::FAILURE);
    let refused = |mount, error: &io::Error| Made::Refused { mount, error: error.raw_os_error().unwrap_or_default() };
    if let Err(error) = nix::sched::unshare(CloneFlags::CLONE_NEWUSER) {
        tell(&refused(false, &error.into()))?;
        return Err(ExitCode::FAILURE);
    }
    tell(&Made::Namespace)?;
    match channel::receive::<Mapped>(&socket) {
        Ok(Some(_)) => {}
        Ok(None) | Err(_) => return Err(ExitCode::FAILURE),
    }
    // AppArmor may let a namespace be made in which nothing can be done.
    if let Err(error) = try_mounts() {
        tell(&refused(true, &error))?;
        return Err(ExitCode::FAILURE);
    }
    tell(&Made::Root)?;
    let outside = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    Ok(Inside { socket, outside, user: outer_root(&map) })
}

/// The id outside that is 0 in a map of ids; see user_namespaces(7).
fn outer_root(map: &str) -> Option<u32> {
    let mut lines = map.lines().map(str::split_whitespace);
    lines.find_map(|mut numbers| if numbers.next()? == "0" { numbers.next()?.parse().ok() } else { None })
}

/// Whether a mount namespace can be made; tried by a child, so that this process keeps its own.
fn try_mounts() -> io::Result<()> {
    let child = raw::fork(|| match namespace::private_mounts() {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(nix::libc::EPERM),
    })?;
    match nix::sys::wait::waitpid(child, None)? {
        nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(()),
        nix::sys::wait::WaitStatus::Exited(_, code) => Err(io::Error::from_raw_os_error(code)),
        _ => Err(io::ErrorKind::Other.into()),
    }
}

/// The process outside, as the one inside talks to it. Commands of the host run there: with the user's ids and groups,
/// and where programs of other ids (`sudo`) can be run.
#[derive(Clone, Debug)]
pub struct Outside {
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    socket: UnixStream,
    next: AtomicU64,
    running: Mutex<Option<HashMap<u64, Waiting>>>,
}

/// Whoever waits for a command.
#[derive(Debug)]
struct Waiting {
    started: Option<oneshot::Sender<Result<(), String>>>,
    ended: Option<oneshot::Sender<i32>>,
    group: Option<Pid>,
}

impl Inside {
    /// The process outside, which is the one to signal.
    pub fn outside(&self) -> u32 {
        self.outside
    }

    /// The id outside of the user who is root here.
    pub fn user(&self) -> Option<u32> {
        self.user
    }

    /// Begins to listen to the process outside. The receiver gets the numbers of signals that it passes on, and closes
    /// when it has gone: nobody then waits for what is done here. To be called in a runtime.
    pub fn listen(self) -> Result<(Outside, mpsc::UnboundedReceiver<i32>)> {
        let socket = watched(self.socket)?;
        let line = Arc::new(Line { socket, next: AtomicU64::new(1), running: Mutex::new(Some(HashMap::new())) });
        let (sender, signals) = mpsc::unbounded_channel();
        tokio::spawn(read_notices(Arc::clone(&line), sender));
        Ok((Outside { line }, signals))
    }
}

impl Line {
    fn running(&self) -> MutexGuard<'_, Option<HashMap<u64, Waiting>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let send = || channel::send(&self.socket, request, descriptors);
        match self.socket.async_io(Interest::WRITABLE, send).await {
            Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
                Err(Error::new("the command and its environment are too long").hint("put the command into a script"))
            }
            result => result.context(|| "cannot reach the process that runs commands of the host".to_owned()),
        }
    }

    fn note(&self, notice: Notice) {
        let mut running = self.running();
        let Some(running) = running.as_mut() else { return };
        match notice {
            Notice::Started { id, group } => {
                if let Some(waiting) = running.get_mut(&id) {
                    waiting.group = Pid::from_raw(group);
                    waiting.started.take().map(|started| started.send(Ok(())));
                }
            }
            Notice::Refused { id, error } => {
                let started = running.remove(&id).and_then(|waiting| waiting.started);
                started.map(|started| started.send(Err(error)));
            }
            Notice::Ended { id, status } => {
                let ended = running.get_mut(&id).and_then(|waiting| waiting.ended.take());
                ended.map(|ended| ended.send(status));
            }
            Notice::Signal { .. } => {}
        }
    }
}

/// Hands each notice to whom it is for, until the process outside has gone; then ends what it ran.
async fn read_notices(line: Arc<Line>, signals: mpsc::UnboundedSender<i32>) {
    let receive = || channel::receive::<Notice>(&line.socket);
    while let Ok(Some((notice, _))) = line.socket.async_io(Interest::READABLE, receive).await {
        if let Notice::Signal { number } = notice {
            let _ = signals.send(number);
        } else {
            line.note(notice);
        }
    }
    let running = line.running().take();
    for waiting in running.into_iter().flat_map(HashMap::into_values) {
        if let (Some(group), Some(_)) = (waiting.group, waiting.ended) {
            // Started by a process of the same user. One that has become another user is out of reach.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[async_trait]
impl Host for Outside {
    async fn start(&self, command: HostCommand) -> Result<HostProcess> {
        let name = command.argv.first().cloned().ok_or_else(|| Error::new("no command was given"))?;
        let (stdout, stderr) = (pipe_pair()?, pipe_pair()?);
        let id = self.line.next.fetch_add(1, Ordering::Relaxed);
        let (started, has_started) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        match self.line.running().as_mut() {
            Some(running) => {
                running.insert(id, Waiting { started: Some(started), ended: Some(ended), group: None });
            }
            None => return Err(gone()),
        }
        let end = Box::new(End { id, line: Arc::clone(&self.line), receiver: Some(has_ended), status: None });
        let request = Request::Run { id, argv: command.argv, env: command.env };
        self.line.send(&request, &[stdout.1.as_fd(), stderr.1.as_fd()]).await?;
        match has_started.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Error::new(format!("cannot run {name}: {error}"))),
            Err(_) => return Err(gone()),
        }
        Ok(HostProcess { stdout: Box::new(receiver(stdout.0)?), stderr: Box::new(receiver(stderr.0)?), end })
    }

    async fn attend(&self, command: HostCommand, terminal: OwnedFd) -> Result<i32> {
        let name = command.argv.first().cloned().ok_or_else(|| Error::new("no command was given"))?;
        let id = self.line.next.fetch_add(1, Ordering::Relaxed);
        let (refused, was_refused) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        match self.line.running().as_mut() {
            Some(running) => {
                running.insert(id, Waiting { started: Some(refused), ended: Some(ended), group: None });
            }
            None => return Err(gone()),
        }
        let request = Request::Attend { id, argv: command.argv, env: command.env };
        let sent = self.line.send(&request, &[terminal.as_fd()]).await;
        let status = match sent {
            Ok(()) => match has_ended.await {
                Ok(status) => Ok(status),
                // Refused, and so nobody holds the sender any more.
                Err(_) => match was_refused.await {
                    Ok(Err(error)) => Err(Error::new(format!("cannot run {name}: {error}"))),
                    _ => Err(gone()),
                },
            },
            Err(error) => Err(error),
        };
        self.line.running().as_mut().and_then(|running| running.remove(&id));
        status
    }
}

fn gone() -> Error {
    Error::new("the process that runs commands of the host has ended")
}

fn pipe_pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context(|| "cannot make a pipe".to_owned())
}

fn receiver(end: OwnedFd) -> Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(end).context(|| "cannot watch a pipe".to_owned())
}

struct End {
    id: u64,
    line: Arc<Line>,
    /// Until there is an answer.
    receiver: Option<oneshot::Receiver<i32>>,
    status: Option<i32>,
}

#[async_trait]
impl HostEnd for End {
    async fn wait(&mut self) -> Result<i32> {
        if let Some(receiver) = &mut self.receiver {
            self.status = receiver.await.ok();
            self.receiver = None;
        }
        self.status.ok_or_else(gone)
    }

    async fn signal(&mut self, signal: Signal) {
        let _ = self.line.send(&Request::Signal { id: self.id, signal: signal.as_raw() }, &[]).await;
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let tell = |request: &Request| channel::send(&self.line.socket, request, &[]);
        let waiting = self.line.running().as_mut().and_then(|running| running.remove(&self.id));
        if self.status.is_none() && tell(&Request::Signal { id: self.id, signal: Signal::KILL.as_raw() }).is_err() {
            // The line is full, or gone. What has become another user is out of reach from here.
            let alive = waiting.filter(|waiting| waiting.ended.is_some());
            let _ = alive.and_then(|waiting| waiting.group).map(|group| kill_process_group(group, Signal::KILL));
        }
        let _ = tell(&Request::Forget { id: self.id });
    }
}

#[cfg(test)]
mod tests {
    use super::outer_root;

    #[test]
    fn the_user_is_who_is_root_inside() {
        assert_eq!(outer_root("         1     100000      65536\n         0       1000          1\n"), Some(1000));
        assert_eq!(outer_root("1 100000 65536\n"), None);
        assert_eq!(outer_root(""), None);
    }
}
