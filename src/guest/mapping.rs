//! Building as an ordinary user: Larder runs itself again as the root of a user namespace, in which the user's own id
//! is 0 and the user's subordinate ids follow it.
//!
//! The process inside does the work, as root would. The one outside maps the ids, passes signals on, and runs what
//! must be run as the user: commands of the host. Each notices when the other has gone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::Pid;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::host::cause::{Cause, Facts, Kind};
use super::host::ids::{self, Range};
use crate::error::{Context as _, Result};

mod inside;
mod outside;

pub use inside::{Inside, Outside};
pub use outside::run;

pub(super) use inside::enter;

/// What the process inside is to be.
#[derive(Clone, Debug)]
pub struct MappingSpec {
    /// The program to re-execute; [`super::reexec::this_program`] but in tests.
    pub program: PathBuf,
    /// Its arguments, without its name: those of this process.
    pub arguments: Vec<OsString>,
    /// Value of the variable `PATH`, in which `newuidmap` and `newgidmap` are looked for.
    pub path: String,
}

/// Whether this process is an ordinary user's, which has no ids but its own.
pub fn is_needed() -> bool {
    !rustix::process::geteuid().is_root()
}

/// Why a build that needs ids besides the user's own cannot be made here. What does not show without trying is not
/// found.
pub fn look(path: &str) -> Result<(), Cause> {
    if !is_needed() {
        return ids::look_as_root();
    }
    let facts = Facts::read();
    if facts.number(Kind::User.limit()) == Some(0) {
        return Err(Cause::Forbidden(Kind::User));
    }
    if facts.number("kernel.unprivileged_userns_clone") == Some(0) {
        return Err(Cause::UnprivilegedClone);
    }
    ids::look(rustix::process::getuid().as_raw(), path).map(drop)
}

/// Maps the ids of a process that waits for it and does nothing else: whether a build could.
pub fn try_ids(program: &Path, path: &str) -> Result<(), Cause> {
    use std::io::Read as _;
    let unknown = |error: std::io::Error| Cause::Unknown(error.to_string());
    let ids = Ids::find(path)?;
    let mut held = Command::new(program)
        .args([super::reexec::PROBE, "held"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(unknown)?;
    // It says so when its namespace is there, and ends when its standard input does.
    let mut ready = [0];
    let said = held.stdout.take().map_or(Ok(0), |mut stdout| stdout.read(&mut ready)).map_err(unknown)?;
    let mapped = if said == 1 {
        ids.map(Pid::from_raw(i32::try_from(held.id()).unwrap_or_default()))
    } else {
        Err(Cause::Unknown("not tried: it takes a user namespace".to_owned()))
    };
    drop(held.stdin.take());
    held.wait().map_err(unknown)?;
    mapped
}

/// The ids that are given to the process inside.
struct Ids {
    uids: Vec<Range>,
    gids: Vec<Range>,
    path: String,
}

impl Ids {
    fn find(path: &str) -> Result<Self, Cause> {
        look(path)?;
        let (uids, gids) = ids::look(rustix::process::getuid().as_raw(), path)?;
        Ok(Self { uids, gids, path: path.to_owned() })
    }

    /// Gives them to a process that has just made a user namespace.
    fn map(&self, process: Pid) -> Result<(), Cause> {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        self.write("newuidmap", process, uid, &self.uids)?;
        self.write("newgidmap", process, gid, &self.gids)
    }

    fn write(&self, name: &str, process: Pid, own: u32, ranges: &[Range]) -> Result<(), Cause> {
        let program = ids::find(name, &self.path).ok_or(Cause::NoNewuidmap)?;
        let output = Command::new(&program)
            .arg(process.to_string())
            .args(map_arguments(own, ranges))
            .stdin(Stdio::null())
            .output();
        let said = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Err(Cause::MapRefused { program, said })
    }
}

/// What `newuidmap` is told: the user's own id is 0, and those of the ranges follow it without a gap.
fn map_arguments(own: u32, ranges: &[Range]) -> Vec<String> {
    let mut next = 1;
    let mut numbers = vec![0, own, 1];
    for range in ranges {
        numbers.extend([next, range.first, range.count]);
        next = range.count.saturating_add(next);
    }
    numbers.into_iter().map(|number| number.to_string()).collect()
}

/// The first words: from the process inside, about the namespace it has made.
#[derive(Debug, Serialize, Deserialize)]
enum Made {
    /// A user namespace; its ids are to be mapped.
    Namespace,
    /// It is root there, and may do what root does.
    Root,
    /// The kernel refused, with this error.
    Refused { mount: bool, error: i32 },
}

/// The answer to [`Made::Namespace`]: the ids are there.
#[derive(Debug, Serialize, Deserialize)]
struct Mapped;

/// From inside to outside.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    /// Run a command as the user. With its standard output and error.
    Run { id: u64, argv: Vec<String>, env: std::collections::BTreeMap<String, String> },
    /// Run a command as the user, in the foreground of the terminal. With its descriptor.
    Attend { id: u64, argv: Vec<String>, env: std::collections::BTreeMap<String, String> },
    /// Signal the process group of a command.
    Signal { id: u64, signal: i32 },
    /// Nobody waits for the command any more.
    Forget { id: u64 },
}

/// From outside to inside.
#[derive(Debug, Serialize, Deserialize)]
enum Notice {
    /// The command runs; its process group.
    Started { id: u64, group: i32 },
    /// It could not be run.
    Refused { id: u64, error: String },
    /// It has ended: its exit status, or 128 + signal.
    Ended { id: u64, status: i32 },
    /// The user wants Larder to end: the number of the signal that said so.
    Signal { number: i32 },
}

/// A SEQPACKET socket, which readiness is all that is asked of.
fn watched(socket: std::os::fd::OwnedFd) -> Result<tokio::net::UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket
        .set_nonblocking(true)
        .and_then(|()| tokio::net::UnixStream::from_std(socket))
        .context(|| "cannot watch a socket".to_owned())
}

/// Whether this process can make device nodes. Where it cannot, they are kept as files that only the export turns into
/// devices.
pub fn can_make_devices() -> bool {
    use rustix::thread::CapabilitySet;
    !is_inside() && rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::MKNOD))
}

/// Whether this process is in a user namespace, its own or a container's.
pub fn is_inside() -> bool {
    // The initial one has this number on every machine: PROC_USER_INIT_INO.
    !std::fs::read_link("/proc/self/ns/user").is_ok_and(|name| name == Path::new("user:[4026531837]"))
}

/// What the kernel shows for an owner that this user namespace has no id for.
const NOBODY: u32 = 65_534;

/// Whether a file of the user's own seems to have a group without an id here, which would become `nogroup`. The kernel
/// shows the same of one that is `nogroup`'s indeed; files of the user's that are come from a build, and are rare.
pub fn seems_of_foreign_group(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.gid() == NOBODY && metadata.uid() == 0 && is_inside()
}

/// Refuses a file or directory whose owner has no id here: it would become `nobody`'s. Of a group this cannot be told,
/// see [`seems_of_foreign_group`].
pub fn check_owner(path: &Path, metadata: &std::fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if metadata.uid() != NOBODY || !is_inside() || !(metadata.is_file() || metadata.is_dir()) {
        return Ok(());
    }
    // Only for its owner, and for root of a namespace that knows the owner.
    let flags = OFlags::RDONLY | OFlags::NOATIME | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
        Err(rustix::io::Errno::PERM) => Err(std::io::Error::new(
            std::io::ErrorKind::PermissionDenied,
            "its owner is not one of the user's ids (as a base, a tree is the user's own, or made by a build of the \
             user's; an archive may have any owners)",
        )),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_in_the_map() {
        let range = |first, count| Range { first, count };
        assert_eq!(map_arguments(1000, &[range(100_000, 65_536)]).join(" "), "0 1000 1 1 100000 65536");
        let two = [range(500_000, 30_000), range(100_000, 40_000)];
        assert_eq!(map_arguments(7, &two).join(" "), "0 7 1 1 500000 30000 30001 100000 40000");
    }
}
