//! The process outside the mapping: it maps the ids of the one inside, and does for it what only the user can.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::Pid;
use rustix::io::FdFlags;
use rustix::process::{Signal, kill_process_group};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::{Ids, Made, Mapped, MappingSpec, Notice, Request, watched};
use crate::error::{Context as _, Error, Result};
use crate::guest::host::cause::{Facts, Kind};
use crate::guest::{channel, exit_code, reexec};

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
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [mut interrupt, mut terminate, mut hangup] = {
        let streams: io::Result<Vec<_>> = signals.into_iter().map(signal).collect();
        let streams = streams.context(|| "cannot watch for signals".to_owned())?;
        <[_; 3]>::try_from(streams).map_err(|_| Error::new("cannot watch for signals"))?
    };
    let (mut child, socket) = start(spec, ids)?;
    let agent = Arc::new(Agent { socket: watched(socket)?, running: Mutex::default() });
    let pass_on = |kind: SignalKind| agent.tell(Notice::Signal { number: kind.as_raw_value() });
    let mut open = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context(|| "cannot wait for the build".to_owned())?,
            _ = interrupt.recv() => pass_on(SignalKind::interrupt()).await,
            _ = terminate.recv() => pass_on(SignalKind::terminate()).await,
            _ = hangup.recv() => pass_on(SignalKind::hangup()).await,
            request = agent.receive(), if open => match request {
                Ok(Some((request, descriptors))) => agent.handle(request, descriptors).await,
                Ok(None) | Err(_) => open = false,
            },
        }
    };
    agent.end_all();
    if std::os::unix::process::ExitStatusExt::signal(&status).is_some() {
        return Err(Error::new(format!("the process that did the work was ended from outside ({status})"))
            .hint("`larder cleanup` removes what it left behind"));
    }
    Ok(exit_code(status))
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
    running: Mutex<HashMap<u64, i32>>,
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
                    kill_group(group, signal);
                }
            }
            Request::Forget { id } => drop(self.running().remove(&id)),
            Request::Run { id, argv, env } => match run_command(&argv, &env, descriptors) {
                Ok(mut child) => {
                    let group = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
                    self.running().insert(id, group);
                    self.tell(Notice::Started { id, group }).await;
                    let agent = Arc::clone(self);
                    tokio::spawn(async move {
                        let status = child.wait().await.map_or(1, exit_code);
                        agent.tell(Notice::Ended { id, status }).await;
                    });
                }
                Err(error) => self.tell(Notice::Refused { id, error: error.to_string() }).await,
            },
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<u64, i32>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every command, once nobody waits for them any more.
    fn end_all(&self) {
        for group in std::mem::take(&mut *self.running()).into_values() {
            kill_group(group, Signal::KILL);
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
