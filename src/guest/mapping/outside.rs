//! The process outside the mapping: it maps the ids of the one inside, and does for it what only the user can.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::Pid;
use rustix::io::FdFlags;
use rustix::process::{Signal, WaitId, WaitIdOptions, kill_process, kill_process_group};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::{Ids, Made, Mapped, MappingSpec, Notice, Request, watched};
use crate::error::{Context as _, Error, Result};
use crate::guest::host::cause::{Facts, Kind};
use crate::guest::stop::{self, Whom};
use crate::guest::{channel, exit_code, foreground, reexec};

/// What is being done, at the start of errors.
const DOING: &str = "cannot build as this user";

/// Runs Larder as the root of a mapping until it ends, and returns its exit status. Fails, with what mends it, before
/// anything is started when the ids cannot be mapped.
pub fn run(spec: &MappingSpec) -> Result<i32> {
    let ids = Ids::find(&spec.path).map_err(|cause| cause.error(DOING))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context(|| "cannot start the runtime".to_owned())?.block_on(supervise(spec, &ids))
}

async fn supervise(spec: &MappingSpec, ids: &Ids) -> Result<i32> {
    // Before the process inside is there: a signal to both must not end this one.
    let mut asked = Asked::listen()?;
    let (mut child, socket) = match start(spec, ids) {
        Ok(started) => started,
        Err(error) => return Err(asked.explain(error).await),
    };
    let mut stopped = stop::asked().context(|| "cannot watch for signals".to_owned())?;
    let agent = Arc::new(Agent { socket: watched(socket)?, running: Mutex::default() });
    let mut open = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context(|| "cannot wait for the build".to_owned())?,
            signal = asked.next() => agent.tell(Notice::Signal { number: signal.as_raw_value() }).await,
            () = next(&mut stopped) => stop_both(&child).await,
            request = agent.receive(), if open => match request {
                Ok(Some((request, descriptors))) => agent.handle(request, descriptors).await,
                Ok(None) | Err(_) => open = false,
            },
        }
    };
    agent.end_all();
    let Some(number) = std::os::unix::process::ExitStatusExt::signal(&status) else { return Ok(exit_code(status)) };
    let error = Error::new(format!("the process that did the work was ended from outside ({status})"));
    let error =
        if Asked::KINDS.iter().any(|kind| kind.as_raw_value() == number) { asked.explain(error).await } else { error };
    Err(error.hint("`larder cleanup` removes what it left behind"))
}

/// How long the process inside may take to give the terminal back.
const GIVING_BACK: Duration = Duration::from_secs(3);

async fn next(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}

/// Stops, as somebody has asked this process to, but not before the one inside, which may have the terminal: whoever waits for
/// this process takes it when this process stops.
async fn stop_both(child: &Child) {
    let inside = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    let Some(inside) = inside else { return };
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let is_stopped = || rustix::process::waitid(WaitId::Pid(inside), options).is_ok_and(|status| status.is_some());
    let _ = kill_process(inside, Signal::TSTP);
    let given_back = async {
        while !is_stopped() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // One that does not stop has its reasons: nobody would bring it back.
    if tokio::time::timeout(GIVING_BACK, given_back).await.is_ok() {
        let _ = stop::stop(Whom::Oneself).await;
        let _ = kill_process(inside, Signal::CONT);
    }
}

/// The signals by which a user wants Larder to end.
struct Asked {
    streams: [Signals; 3],
    heard: bool,
}

impl Asked {
    const KINDS: [SignalKind; 3] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];

    /// How long a signal that a terminal has sent to both processes may take to be noticed here.
    const LATEST: Duration = Duration::from_millis(200);

    fn listen() -> Result<Self> {
        let streams: io::Result<Vec<_>> = Self::KINDS.into_iter().map(signal).collect();
        let streams = streams.context(|| "cannot watch for signals".to_owned())?;
        let streams = <[_; 3]>::try_from(streams).map_err(|_| Error::new("cannot watch for signals"))?;
        Ok(Self { streams, heard: false })
    }

    async fn next(&mut self) -> SignalKind {
        let [interrupt, terminate, hangup] = &mut self.streams;
        let kind = tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = hangup.recv() => SignalKind::hangup(),
        };
        self.heard = true;
        kind
    }

    /// What to say when the other process has ended early: that it was interrupted, if this one was too, else `error`.
    async fn explain(&mut self, error: Error) -> Error {
        if self.heard || tokio::time::timeout(Self::LATEST, self.next()).await.is_ok() {
            return Error::new("interrupted before the work had begun");
        }
        error
    }
}

/// Starts the process inside and makes it root there.
fn start(spec: &MappingSpec, ids: &Ids) -> Result<(Child, OwnedFd)> {
    let (ours, theirs) = channel::pair().context(|| "cannot make a socket pair".to_owned())?;
    // Standard input is the work's own, so the socket is inherited under its number.
    rustix::io::fcntl_setfd(&theirs, FdFlags::empty()).context(|| "cannot hand over a socket".to_owned())?;
    let mut command = std::process::Command::new(&spec.program);
    std::os::unix::process::CommandExt::arg0(&mut command, "larder");
    command.arg(reexec::MAPPED).arg(theirs.as_raw_fd().to_string()).args(&spec.arguments);
    let child = Command::from(command).spawn();
    let child = child.context(|| format!("cannot run {}", spec.program.display()))?;
    drop(theirs);
    let process = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let process = process.ok_or_else(|| Error::new("the process for the build ended early"))?;
    loop {
        let made = channel::receive::<Made>(&ours).context(|| "cannot hear from the build's process".to_owned())?;
        match made {
            Some((Made::Namespace, _)) => {
                ids.map(process).map_err(|cause| cause.error(DOING))?;
                channel::send(&ours, &Mapped, &[]).context(|| "cannot tell the build's process".to_owned())?;
            }
            Some((Made::Root, _)) => return Ok((child, ours)),
            Some((Made::Refused { mount, error }, _)) => {
                let kind = if mount { Kind::Mount } else { Kind::User };
                return Err(Facts::read().cause(kind, &io::Error::from_raw_os_error(error)).error(DOING));
            }
            None => return Err(Error::new("the process for the build ended early")),
        }
    }
}

/// Runs commands as the user.
struct Agent {
    socket: UnixStream,
    /// Process groups, by the request that began them.
    running: Mutex<HashMap<u64, Group>>,
}

/// The processes of a command.
#[derive(Clone, Copy)]
struct Group {
    id: i32,
    /// Whether the command itself has ended. What it left in the background stays, and in time another group may have
    /// the number.
    ended: bool,
}

impl Agent {
    async fn receive(&self) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
        self.socket.async_io(Interest::READABLE, || channel::receive(&self.socket)).await
    }

    /// Best effort: who does not hear has gone, and is waited for.
    async fn tell(&self, notice: Notice) {
        let _ = self.socket.async_io(Interest::WRITABLE, || channel::send(&self.socket, &notice, &[])).await;
    }

    async fn handle(self: &Arc<Self>, request: Request, descriptors: Vec<OwnedFd>) {
        match request {
            Request::Signal { id, signal } => {
                let group = self.running().get(&id).copied();
                if let (Some(group), Some(signal)) = (group, Signal::from_named_raw(signal)) {
                    kill_group(group.id, signal);
                }
            }
            Request::Attend { id, argv, env } => {
                let agent = Arc::clone(self);
                tokio::spawn(async move { agent.attend(id, argv, env, descriptors).await });
            }
            Request::Forget { id } => drop(self.running().remove(&id)),
            Request::Run { id, argv, env } => match run_command(&argv, &env, descriptors) {
                Ok(mut child) => {
                    let group = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
                    self.running().insert(id, Group { id: group, ended: false });
                    self.tell(Notice::Started { id, group }).await;
                    let agent = Arc::clone(self);
                    tokio::spawn(async move {
                        let status = child.wait().await.map_or(1, exit_code);
                        if let Some(group) = agent.running().get_mut(&id) {
                            group.ended = true;
                        }
                        agent.tell(Notice::Ended { id, status }).await;
                    });
                }
                Err(error) => self.tell(Notice::Refused { id, error: error.to_string() }).await,
            },
        }
    }

    async fn attend(
        &self,
        id: u64,
        argv: Vec<String>,
        env: std::collections::BTreeMap<String, String>,
        descriptors: Vec<OwnedFd>,
    ) {
        let ended = tokio::task::spawn_blocking(move || {
            let terminal = descriptors.first().ok_or(io::ErrorKind::InvalidInput)?;
            foreground::run(&argv, &env, terminal)
        });
        let notice = match ended.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(status) => Notice::Ended { id, status },
            Err(error) => Notice::Refused { id, error: error.to_string() },
        };
        self.tell(notice).await;
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Group>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every command that has not ended, once nobody waits for them any more.
    fn end_all(&self) {
        for group in std::mem::take(&mut *self.running()).into_values().filter(|group| !group.ended) {
            kill_group(group.id, Signal::KILL);
        }
    }
}

fn kill_group(group: i32, signal: Signal) {
    if let Some(group) = rustix::process::Pid::from_raw(group) {
        let _ = kill_process_group(group, signal);
    }
}

fn run_command(
    argv: &[String],
    env: &std::collections::BTreeMap<String, String>,
    descriptors: Vec<OwnedFd>,
) -> io::Result<Child> {
    let (name, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let [stdout, stderr] = <[OwnedFd; 2]>::try_from(descriptors).map_err(|_| io::ErrorKind::InvalidInput)?;
    Command::new(name)
        .args(arguments)
        .envs(env)
        .stdin(Stdio::null())
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .process_group(0)
        .spawn()
}
