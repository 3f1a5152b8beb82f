//! The process between Larder and a caged command: it changes what the command sees, starts it, passes signals on, and
//! ends what is left of it when Larder has gone.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::signal::{self, SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::{Answer, Order};
use crate::guest::{channel, namespace, raw};

/// Proxies of the caller's own, which no port of the gateway leads to: the command does without.
const PROXY_VARIABLES: &[&str] = &[
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "ftp_proxy",
    "FTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "PIP_PROXY",
    "CARGO_HTTP_PROXY",
];

type Refused = (&'static str, io::Error);

/// Directories with sockets by which names would be resolved past the gateway.
const RESOLVER_SOCKETS: &[&str] = &["/run/systemd/resolve", "/run/nscd", "/var/run/nscd"];

pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let Some(control) = control(arguments) else { return ExitCode::FAILURE };
    match run(&control) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err((what, error)) => {
            let answer = Answer::Failed { what: what.to_owned(), error: error.to_string() };
            let _ = channel::send(&control, &answer, &[]);
            ExitCode::FAILURE
        }
    }
}

/// The control socket, which was inherited under the number given.
fn control(arguments: &[OsString]) -> Option<OwnedFd> {
    let number = arguments.first()?.to_str()?.parse().ok()?;
    raw::inherited(number).ok()
}

fn run(control: &OwnedFd) -> Result<i32, Refused> {
    let what = |what: &'static str| move |error| (what, error);
    let received = channel::receive::<Order>(control).map_err(what("hear what to run"))?;
    let (order, descriptors) = received.ok_or(("hear what to run", io::ErrorKind::UnexpectedEof.into()))?;
    if let Some(resolver) = order.resolver {
        enter(&order, descriptors).map_err(what("enter the proxy's network"))?;
        own_name_service(resolver).map_err(what("set up name resolution"))?;
    }

    // What the command leaves behind becomes a child of this process, and so can be ended with it.
    nix::sys::prctl::set_child_subreaper(true).map_err(|error| ("adopt processes", error.into()))?;
    let signals = block_signals().map_err(what("watch for signals"))?;
    let child = raw::fork(|| run_command(&order)).map_err(what("make a process"))?;
    channel::send(control, &Answer::Started, &[]).map_err(what("tell Larder"))?;
    supervise(control, &signals, child).map_err(what("watch the command"))
}

fn enter(order: &Order, descriptors: Vec<OwnedFd>) -> io::Result<()> {
    let mut descriptors = descriptors.into_iter();
    let network = descriptors.next().ok_or(io::ErrorKind::InvalidData)?;
    if order.user_namespace {
        namespace::enter_user(descriptors.next().ok_or(io::ErrorKind::InvalidData)?)?;
    }
    namespace::enter_network(&network)?;
    // The working directory is by way of the old mounts; they are the same in the new namespace.
    namespace::private_mounts()
}

/// Gives the command name resolution by the gateway alone: files of its own bound over the host's, and the sockets of
/// resolver services covered. All in this process's mount namespace.
fn own_name_service(resolver: IpAddr) -> io::Result<()> {
    let resolver = format!("nameserver {resolver}\n");
    let switch = name_service_switch(&fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default());
    // What /etc/resolv.conf leads to may be about to be covered.
    let resolver_file = fs::canonicalize("/etc/resolv.conf").ok();

    // Any directory that is always there can lend its place for as long as the files are made and bound.
    let workshop = Path::new("/tmp");
    rustix::mount::mount("tmpfs", workshop, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755,size=1m")?;
    let made = (|| {
        write(&workshop.join("resolv.conf"), &resolver)?;
        write(&workshop.join("nsswitch.conf"), &switch)?;
        for directory in RESOLVER_SOCKETS {
            cover(Path::new(directory))?;
        }
        if let Some(target) = resolver_file {
            if target.exists() {
                rustix::mount::mount_bind(workshop.join("resolv.conf"), &target)?;
            } else {
                // Covered a moment ago, so the file system is this process's own.
                write(&target, &resolver)?;
            }
        }
        if Path::new("/etc/nsswitch.conf").exists() {
            rustix::mount::mount_bind(workshop.join("nsswitch.conf"), "/etc/nsswitch.conf")?;
        }
        Ok(())
    })();
    // The bound files stay; the place is given back.
    rustix::mount::unmount(workshop, UnmountFlags::DETACH)?;
    made
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn cover(directory: &Path) -> io::Result<()> {
    // By way of a link (/var/run) it may have been covered already, and is covered again.
    if !directory.is_dir() {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(rustix::mount::mount("tmpfs", directory, "tmpfs", flags, c"mode=0755,size=1m")?)
}

/// The name service switch with hosts looked up in files and DNS only; every other line as it was.
fn name_service_switch(host: &str) -> String {
    let mut text: String =
        host.lines().filter(|line| !line.trim_start().starts_with("hosts:")).flat_map(|line| [line, "\n"]).collect();
    text.push_str("hosts: files dns\n");
    text
}

fn block_signals() -> io::Result<SignalFd> {
    let mut mask = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        mask.add(signal);
    }
    signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

/// Waits for the command; ends it and what it has left when Larder has gone.
fn supervise(control: &OwnedFd, signals: &SignalFd, child: Pid) -> io::Result<i32> {
    loop {
        let mut waiting = [PollFd::new(control, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut waiting, None))?;
        let larder_gone = !waiting[0].revents().is_empty();
        while let Some(signal) = signals.read_signal()? {
            pass_on(&signal, child);
        }
        if let Some(status) = reap(child)? {
            end_children()?;
            return Ok(status);
        }
        if larder_gone {
            end_children()?;
            return Ok(1);
        }
    }
}

/// Passes a signal on that was sent to this process alone. What the terminal sends, it sends to the command too.
fn pass_on(received: &nix::libc::signalfd_siginfo, child: Pid) {
    let by_a_process = received.ssi_code <= 0;
    let signal = i32::try_from(received.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
    if let Some(signal) = signal.filter(|signal| by_a_process && *signal != Signal::SIGCHLD) {
        let _ = signal::kill(child, signal);
    }
}

/// Collects children that have ended; the command's status if it is among them.
fn reap(child: Pid) -> io::Result<Option<i32>> {
    loop {
        let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) => (pid, status),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(nix::Error::ECHILD) => return Ok(None),
            Ok(_) | Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if pid == child {
            return Ok(Some(status));
        }
    }
}

/// Kills every child, adopted ones too, until there is none.
fn end_children() -> io::Result<()> {
    let own = std::process::id();
    loop {
        let children = fs::read_to_string(format!("/proc/self/task/{own}/children"))?;
        let mut any = false;
        for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            any = true;
            let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if !any {
            return Ok(());
        }
        match waitpid(None, None) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(nix::Error::ECHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn run_command(order: &Order) -> i32 {
    match become_command(order) {
        Ok(never) => match never {},
        Err(error) => {
            let name = order.argv.first().map_or("", String::as_str);
            let _ = writeln!(io::stderr(), "larder: cannot run {name}: {error}");
            if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
        }
    }
}

fn become_command(order: &Order) -> io::Result<Infallible> {
    let (name, arguments) = order.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    raw::reset_signals()?;
    let mut command = std::process::Command::new(name);
    for variable in PROXY_VARIABLES {
        command.env_remove(variable);
    }
    Err(command.args(arguments).envs(&order.env).exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_from_files_and_dns_and_the_rest_stays() {
        let host = "passwd: files systemd\nhosts: files mdns4_minimal [NOTFOUND=return] resolve dns\ngroup: files\n";
        assert_eq!(name_service_switch(host), "passwd: files systemd\ngroup: files\nhosts: files dns\n");
        assert_eq!(name_service_switch(""), "hosts: files dns\n");
    }
}
