//! Trials in processes of their own: each does what a build would do, and ends with what the kernel said.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};

use nix::sched::CloneFlags;
use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::MountFlags;

use crate::guest::{namespace, raw, reexec};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// A user namespace with one's own id mapped, and a mount namespace in it.
    User,
    /// A mount namespace, with a tmpfs mounted in it that becomes its root.
    Mount,
    /// `/proc`, mounted anew for a process namespace of its own.
    Proc,
    /// A device node, made or bound.
    Device,
}

/// How a trial ended.
#[derive(Debug)]
pub enum Outcome {
    /// As it should.
    Works(String),
    /// Refused: what, and with which error.
    Refused(String, io::Error),
}

impl Trial {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Mount => "mount",
            Self::Proc => "proc",
            Self::Device => "device",
        }
    }

    /// Tries it by running `program` anew.
    pub fn run(self, program: &Path) -> Outcome {
        let output = std::process::Command::new(program)
            .arg(reexec::PROBE)
            .arg(self.name())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) => return Outcome::Refused(format!("run {}", program.display()), error),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match text.split_once(' ') {
            Some(("ok", how)) => Outcome::Works(how.to_owned()),
            Some((code, what)) if code.parse::<i32>().is_ok() => {
                Outcome::Refused(what.to_owned(), io::Error::from_raw_os_error(code.parse().unwrap_or_default()))
            }
            _ => Outcome::Refused("hear from the trial".to_owned(), io::Error::other(output.status.to_string())),
        }
    }
}

type Tried = Result<&'static str, (&'static str, io::Error)>;

/// Hidden subcommand: makes one trial and prints how it ended.
pub(in crate::guest) fn probe_main(arguments: &[OsString]) -> ExitCode {
    let tried = match arguments.first().map(OsString::as_os_str).and_then(OsStr::to_str) {
        Some("user") => user(),
        Some("mount") => mount(),
        Some("proc") => proc(),
        Some("device") => device(),
        Some("held") => return held(),
        _ => return ExitCode::FAILURE,
    };
    let text = match tried {
        Ok(how) => format!("ok {how}"),
        Err((what, error)) => format!("{} {what}", error.raw_os_error().unwrap_or_default()),
    };
    let written = io::stdout().write_all(text.as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn what<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> (&'static str, io::Error) {
    move |error| (what, error.into())
}

/// Gains what root would have, as a build does: a mount namespace, and a user namespace where that takes one.
pub(in crate::guest) fn gain() -> Result<(), (&'static str, io::Error)> {
    // A root without the capability builds as root all the same, and is refused.
    if !rustix::process::geteuid().is_root() {
        namespace::new_user().map_err(what("make a user namespace"))?;
    }
    namespace::private_mounts().map_err(what("make a mount namespace"))
}

/// Makes a user namespace for somebody else to map ids into, and keeps it until its standard input ends.
fn held() -> ExitCode {
    // Who waits to hear of it learns of a refusal by this process's end.
    if nix::sched::unshare(CloneFlags::CLONE_NEWUSER).is_err() {
        return ExitCode::FAILURE;
    }
    let said = io::stdout().write_all(b"r").and_then(|()| io::stdout().flush());
    let waited = said.and_then(|()| io::copy(&mut io::stdin(), &mut io::sink()));
    if waited.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn user() -> Tried {
    namespace::new_user().map_err(what("make a user namespace"))?;
    // Where AppArmor restricts them, only what is done inside is refused.
    namespace::private_mounts().map_err(what("make a mount namespace in it"))?;
    Ok("")
}

fn mount() -> Tried {
    gain()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", "/tmp", "tmpfs", flags, c"size=64k").map_err(what("mount a tmpfs"))?;
    rustix::process::chdir("/tmp").map_err(what("enter a tmpfs"))?;
    rustix::process::pivot_root(".", ".").map_err(what("move into a root (pivot_root)"))?;
    Ok("")
}

fn proc() -> Tried {
    gain()?;
    nix::sched::unshare(CloneFlags::CLONE_NEWPID).map_err(what("make a process namespace"))?;
    let child = raw::fork(|| {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        match rustix::mount::mount("proc", "/proc", "proc", flags, c"") {
            Ok(()) => 0,
            Err(error) => error.raw_os_error(),
        }
    });
    let child = child.map_err(what("make a process in it"))?;
    match nix::sys::wait::waitpid(child, None) {
        Ok(nix::sys::wait::WaitStatus::Exited(_, 0)) => Ok(""),
        Ok(nix::sys::wait::WaitStatus::Exited(_, code)) => Err(("mount /proc", io::Error::from_raw_os_error(code))),
        _ => Err(("mount /proc", io::ErrorKind::Other.into())),
    }
}

fn device() -> Tried {
    gain()?;
    let flags = MountFlags::NOSUID;
    rustix::mount::mount("tmpfs", "/tmp", "tmpfs", flags, c"size=64k").map_err(what("mount a tmpfs"))?;
    let mode = Mode::from_raw_mode(0o666);
    let null = rustix::fs::makedev(1, 3);
    let is_made = rustix::fs::mknodat(CWD, "/tmp/null", FileType::CharacterDevice, mode, null).is_ok();
    if !is_made {
        std::fs::write("/tmp/null", "").map_err(what("make a file"))?;
        rustix::mount::mount_bind("/dev/null", "/tmp/null").map_err(what("bind /dev/null"))?;
    }
    // Not `fs::write`: to create what is there already is refused for the devices of others in such a directory.
    let opened = std::fs::OpenOptions::new().write(true).open("/tmp/null");
    opened.and_then(|mut null| null.write_all(b"x")).map_err(what("write to a device"))?;
    Ok(if is_made { "made by mknod" } else { "bound from /dev" })
}
