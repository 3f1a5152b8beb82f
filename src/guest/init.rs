//! The processes of a guest that are Larder's own: one outside that makes the process namespace, and the guest's init
//! inside it. Init makes the root, starts what it is told to, reaps, and ends (and with it, by the kernel's hand,
//! every process of the guest) when Larder's end of its control socket closes, however that came about.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sched::CloneFlags;
use nix::sys::signal::{self, SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;

use super::launch::{Command, Leftover};
use super::protocol::{FileOperation, Reply, Request, Start};
use super::pty::{self, Session};
use super::root::{self, Targets};
use super::{channel, containment, file, namespace, raw, reexec};

/// How long what was left running has to end by itself at shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Makes the process namespace and waits in it for init to end.
pub(super) fn launch_main() -> ExitCode {
    match launch() {
        Ok(code) => code,
        Err((what, error)) => {
            let reply = Reply::Failed { what: what.to_owned(), error: error.to_string(), overlay_refused: false };
            let _ = channel::send(io::stdin(), &reply, &[]);
            ExitCode::FAILURE
        }
    }
}

fn launch() -> Result<ExitCode, (&'static str, io::Error)> {
    let what = |what: &'static str| move |error| (what, error);
    nix::sched::unshare(CloneFlags::CLONE_NEWPID).map_err(|error| ("make a process namespace", error.into()))?;
    namespace::private_mounts().map_err(what("make a mount namespace"))?;
    let program = read_only_program().map_err(what("mount Larder's own program read-only"))?;
    let mut init = std::process::Command::new(program)
        .arg0("larder")
        .arg(reexec::INIT)
        .stdin(Stdio::inherit())
        .spawn()
        .map_err(what("start the guest's init"))?;
    close_stdin().map_err(what("let go of the control socket"))?;
    let status = init.wait().map_err(what("wait for the guest's init"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A path to the running program by which nobody can write to it. The guest's root has the host root's id, and could
/// otherwise open init's program file through `/proc` once nothing runs it any more.
fn read_only_program() -> io::Result<std::path::PathBuf> {
    let program = fs::read_link("/proc/self/exe")?;
    rustix::mount::mount_bind(&program, &program)?;
    namespace::restrict_mount(&program, MountFlags::RDONLY)?;
    Ok(program)
}

/// Init's `main`.
pub(super) fn init_main() -> ExitCode {
    let result = raw::close_strays().and_then(|()| take_control()).and_then(|control| {
        let result = run(&control);
        if let Err(error) = &result {
            let _ = channel::send(&control, &failed("run the guest's init", error), &[]);
        }
        result
    });
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(what: &str, error: &io::Error) -> Reply {
    Reply::Failed { what: what.to_owned(), error: error.to_string(), overlay_refused: false }
}

/// Moves the control socket from standard input to a descriptor that no command inherits.
fn take_control() -> io::Result<OwnedFd> {
    let control = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
    close_stdin()?;
    Ok(control)
}

fn close_stdin() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Ok(nix::unistd::dup2_stdin(&null)?)
}

fn run(control: &OwnedFd) -> io::Result<()> {
    let Some((Request::Start(start), descriptors)) = channel::receive::<Request>(control)? else {
        return Ok(());
    };
    let Some(targets) = make(control, &start, descriptors)? else { return Ok(()) };
    let mut init = Init::new(control, targets, start.own_network)?;
    channel::send(control, &Reply::Ready, &[])?;
    init.serve()
}

/// Makes the guest around this process. `None` when that failed and Larder has been told.
fn make(control: &OwnedFd, start: &Start, descriptors: Vec<OwnedFd>) -> io::Result<Option<Targets>> {
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or(io::ErrorKind::InvalidData);
    let network = if start.own_network { Some(next()?) } else { None };
    if start.user_namespace {
        namespace::enter_user(next()?)?;
    }
    if let Some(network) = network {
        namespace::enter_network(&network)?;
    }
    let own = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWCGROUP;
    nix::sched::unshare(own)?;
    namespace::private_mounts()?;
    rustix::system::sethostname(start.hostname.as_bytes())?;
    rustix::process::umask(Mode::empty());
    let targets = match root::enter(&start.root, &start.mount_at, &start.resolv_conf) {
        Ok(targets) => targets,
        Err(root::RootError { what, error, overlay_refused }) => {
            let reply = Reply::Failed { what, error: error.to_string(), overlay_refused };
            channel::send(control, &reply, &[])?;
            return Ok(None);
        }
    };
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // Nobody in the guest may look into init, nor into what it forks before that runs a program of the guest.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    if !start.own_network {
        // Abstract Unix sockets belong to the network. Best effort: older kernels have no such fence.
        let _ = raw::fence_abstract_sockets();
    }
    Ok(Some(targets))
}

struct Init<'a> {
    control: &'a OwnedFd,
    targets: Targets,
    own_network: bool,
    /// Tells of children that have ended.
    signals: SignalFd,
    /// What runs at Larder's request, by process.
    running: HashMap<Pid, u64>,
}

impl<'a> Init<'a> {
    fn new(control: &'a OwnedFd, targets: Targets, own_network: bool) -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { control, targets, own_network, signals, running: HashMap::new() })
    }

    /// Serves until told to shut down or left alone.
    fn serve(&mut self) -> io::Result<()> {
        loop {
            let mut waiting = [PollFd::new(self.control, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut waiting, None))?;
            let asked = !waiting[0].revents().is_empty();
            self.reap()?;
            if !asked {
                continue;
            }
            match channel::receive::<Request>(self.control)? {
                None => return Ok(()),
                Some((Request::Shutdown, _)) => return self.shut_down(),
                Some((request, descriptors)) => self.handle(request, descriptors)?,
            }
        }
    }

    fn handle(&mut self, request: Request, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let own_network = self.own_network;
        let (id, forked) = match request {
            Request::Spawn { id, command } => (id, raw::fork(|| run_command(&command, &descriptors, own_network))),
            Request::File { id, operation } => (id, raw::fork(|| move_file(&operation, descriptors))),
            Request::Shell { id, session } => return self.shell(id, &session),
            Request::Signal { id, signal } => {
                self.signal(id, signal);
                return Ok(());
            }
            Request::Start(_) | Request::Shutdown => return Err(io::ErrorKind::InvalidData.into()),
        };
        match forked {
            Ok(pid) => {
                self.running.insert(pid, id);
                Ok(())
            }
            // No process to be had; 126 is what a shell says.
            Err(_) => channel::send(self.control, &Reply::Exited { id, status: 126 }, &[]),
        }
    }

    /// Opens a terminal, starts a shell in it and hands its other side to Larder.
    fn shell(&mut self, id: u64, session: &Session) -> io::Result<()> {
        let own_network = self.own_network;
        let started = pty::open(session.size).and_then(|pty| {
            let pid = raw::fork(|| run_shell(session, &pty.slave, own_network))?;
            Ok((pid, pty.master))
        });
        match started {
            Ok((pid, master)) => {
                self.running.insert(pid, id);
                channel::send(self.control, &Reply::Terminal { id }, &[master.as_fd()])
            }
            Err(error) => channel::send(self.control, &Reply::Refused { id, error: error.to_string() }, &[]),
        }
    }

    /// Signals the process group of what runs under `id`, if it still does.
    fn signal(&self, id: u64, number: i32) {
        let Ok(signal) = Signal::try_from(number) else { return };
        for pid in self.running.iter().filter(|(_, running)| **running == id).map(|(pid, _)| *pid) {
            // Before its setsid the child is in no group of its own.
            if signal::killpg(pid, signal).is_err() {
                let _ = signal::kill(pid, signal);
            }
        }
    }

    /// Collects every child that has ended, adopted ones too.
    fn reap(&mut self) -> io::Result<()> {
        while self.signals.read_signal()?.is_some() {}
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, status),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                Ok(WaitStatus::StillAlive) | Err(nix::Error::ECHILD) => return Ok(()),
                Ok(_) | Err(nix::Error::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(id) = self.running.remove(&pid) {
                channel::send(self.control, &Reply::Exited { id, status }, &[])?;
            }
        }
    }

    /// Ends what still runs, first kindly, and takes out what was made to mount on.
    fn shut_down(&mut self) -> io::Result<()> {
        let leftovers = others()?;
        if !leftovers.is_empty() {
            signal::kill(Pid::from_raw(-1), Signal::SIGTERM).or_else(none_left)?;
            // A stopped process would not notice.
            signal::kill(Pid::from_raw(-1), Signal::SIGCONT).or_else(none_left)?;
            let deadline = Instant::now() + GRACE;
            while !others()?.is_empty() && Instant::now() < deadline {
                self.wait_for_child(Duration::from_millis(50))?;
            }
            signal::kill(Pid::from_raw(-1), Signal::SIGKILL).or_else(none_left)?;
            while !others()?.is_empty() {
                self.wait_for_child(Duration::from_millis(50))?;
            }
        }
        let problems = self.targets.remove();
        channel::send(self.control, &Reply::Down { leftovers, problems }, &[])
    }

    fn wait_for_child(&mut self, limit: Duration) -> io::Result<()> {
        let limit = Timespec::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut waiting = [PollFd::new(&self.signals, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut waiting, Some(&limit)))?;
        self.reap()
    }
}

fn none_left(error: nix::Error) -> io::Result<()> {
    if error == nix::Error::ESRCH { Ok(()) } else { Err(error.into()) }
}

/// Every process of the guest but init and those that have ended.
fn others() -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid == 1 {
            continue;
        }
        // One that ends while it is looked at is not there.
        let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { continue };
        let stat = String::from_utf8_lossy(&stat);
        let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else { continue };
        if rest.starts_with(['Z', 'X']) {
            continue;
        }
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = command_line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(String::from_utf8_lossy)
            .collect();
        found.push(Leftover { pid, name: name.to_owned(), command_line: words.join(" ") });
    }
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

/// In the forked child: becomes the command. Returns an exit status only if that fails, as a shell would.
fn run_command(command: &Command, descriptors: &[OwnedFd], own_network: bool) -> i32 {
    match become_command(command, descriptors, own_network) {
        Ok(never) => match never {},
        Err(error) => {
            let name = command.argv.first().map_or("", String::as_str);
            let _ = writeln!(io::stderr(), "larder: cannot run {name}: {error}");
            if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
        }
    }
}

fn become_command(
    command: &Command,
    descriptors: &[OwnedFd],
    own_network: bool,
) -> io::Result<std::convert::Infallible> {
    let [input, output, error] = descriptors else { return Err(io::ErrorKind::InvalidInput.into()) };
    let (name, arguments) = command.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    nix::unistd::dup2_stdin(input)?;
    nix::unistd::dup2_stdout(output)?;
    nix::unistd::dup2_stderr(error)?;
    raw::reset_signals()?;
    nix::unistd::setsid()?;
    containment::enter(command.uid, command.gid, own_network)?;
    rustix::process::chdir(command.directory.as_deref().unwrap_or(Path::new("/")))?;
    let error = std::process::Command::new(name).args(arguments).env_clear().envs(&command.env).exec();
    Err(error)
}

/// In the forked child: becomes the first of the shells that there is. Returns an exit status only if there is none.
fn run_shell(session: &Session, terminal: &OwnedFd, own_network: bool) -> i32 {
    let ready =
        raw::reset_signals().and_then(|()| pty::take(terminal)).and_then(|()| containment::enter(0, 0, own_network));
    if ready.is_err() {
        return 126;
    }
    for directory in &session.directories {
        if rustix::process::chdir(directory.as_str()).is_ok() {
            break;
        }
    }
    for shell in &session.shells {
        let name = shell.rsplit('/').next().unwrap_or(shell);
        // A login shell reads the guest's profile.
        let mut command = std::process::Command::new(shell);
        let error = command.arg0(format!("-{name}")).env_clear().envs(&session.env).env("SHELL", shell).exec();
        if error.kind() != io::ErrorKind::NotFound {
            let _ = writeln!(io::stderr(), "larder: cannot run {shell}: {error}\r");
        }
    }
    127
}

/// In the forked child: moves a file as the guest's root would.
fn move_file(operation: &FileOperation, descriptors: Vec<OwnedFd>) -> i32 {
    let Ok([data, report]) = <[OwnedFd; 2]>::try_from(descriptors) else { return 125 };
    let result = raw::reset_signals()
        .and_then(|()| nix::unistd::setsid().map(drop).map_err(io::Error::from))
        .and_then(|()| containment::enter(0, 0, false))
        .and_then(|()| file::perform(operation, data));
    match result {
        Ok(()) => 0,
        Err(error) => {
            write_report(report.as_fd(), &error.to_string());
            1
        }
    }
}

fn write_report(report: BorrowedFd<'_>, text: &str) {
    let _ = rustix::io::write(report, text.as_bytes());
}
