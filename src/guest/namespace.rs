//! Entering and preparing namespaces. Everything here acts on the calling process, which has one thread.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{MountFlags, MountPropagationFlags};

/// Leaves the mount namespace for one of its own, from which nothing reaches back into the first.
pub(super) fn private_mounts() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    Ok(())
}

/// Changes the flags of the mount at `path`. Those it has already stay: inside a user namespace the kernel lets none be
/// taken off that were set outside.
pub(super) fn restrict_mount(path: &Path, add: MountFlags) -> io::Result<()> {
    let has = rustix::fs::statvfs(path)?.f_flag;
    let flags = [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ];
    let kept = flags.into_iter().filter(|(flag, _)| has.contains(*flag)).map(|(_, flag)| flag);
    Ok(rustix::mount::mount_remount(path, kept.fold(MountFlags::BIND | add, MountFlags::union), "")?)
}

/// Leaves the network namespace for a new, empty one.
pub(super) fn new_network() -> io::Result<OwnedFd> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET)?;
    open("/proc/self/ns/net")
}

/// Enters the network namespace that `namespace` refers to.
pub(super) fn enter_network(namespace: impl AsFd) -> io::Result<()> {
    Ok(nix::sched::setns(namespace, CloneFlags::CLONE_NEWNET)?)
}

/// Enters the user namespace that `namespace` refers to.
pub(super) fn enter_user(namespace: impl AsFd) -> io::Result<()> {
    Ok(nix::sched::setns(namespace, CloneFlags::CLONE_NEWUSER)?)
}

/// Makes a user namespace in which the caller keeps its own ids and holds every capability.
pub(super) fn new_user() -> io::Result<OwnedFd> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    open("/proc/self/ns/user")
}

/// Sets a kernel parameter of the current network namespace, such as `ipv4/icmp_ratelimit`. One that this kernel does
/// not have is passed over; so is one that cannot be written since a container has `/proc/sys` mounted read-only, and
/// gives no leave to mount: none of those set here decides on what is reached.
pub(super) fn set_network_parameter(name: &str, value: &str) -> io::Result<()> {
    let write = || fs::write(format!("/proc/sys/net/{name}"), value);
    let result = match write() {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => writable_parameters().and_then(|()| write()),
        result => result,
    };
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            let read_only = rustix::fs::statvfs("/proc/sys")?.f_flag.contains(StatVfsMountFlags::RDONLY);
            if read_only || error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
        }
        result => result,
    }
}

/// Makes `/proc/sys` writable for this process alone, where a container's runtime has mounted it read-only.
fn writable_parameters() -> io::Result<()> {
    private_mounts()?;
    let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(rustix::mount::mount_remount("/proc/sys", flags, "")?)
}

fn open(path: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}
