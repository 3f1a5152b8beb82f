//! Finding and removing what runs have left on the machine. The only place where Larder deletes a tree.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, CWD, Dir, FileType, IFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::record::{Run, lock_dead, parent, start_time};
use crate::error::{Context as _, Error, Result};

/// Every run that has a record below `state`, living or not, in no particular order.
pub fn list(state: &Path) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for directory in run_directories(state)? {
        // Let go at once; a run is not brought to life again.
        let live = lock_dead(&directory)?.is_none();
        runs.push(Run::read(&directory, live)?);
    }
    Ok(runs)
}

fn run_directories(state: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(state) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(|| format!("cannot read {}", state.display()))?,
    };
    let mut directories = Vec::new();
    for entry in entries {
        let entry = entry.context(|| format!("cannot read {}", state.display()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            directories.push(entry.path());
        }
    }
    Ok(directories)
}

/// What [`cleanup`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Processes ended, as `(process id, role)`.
    pub processes: Vec<(u32, String)>,
    /// Trees removed.
    pub trees: Vec<PathBuf>,
}

/// Ends the processes and removes the trees of a run whose Larder has ended, then its record. Fails, with the record
/// kept, when the run lives or something cannot be removed.
pub fn cleanup(run: &Run) -> Result<Cleaned> {
    let lock = lock_dead(&run.directory)?
        .ok_or_else(|| Error::new(format!("the run {} is still under way (process {})", run.id, run.pid)))?;
    let run = Run::read(&run.directory, false)?;
    let mut cleaned = Cleaned::default();
    for (pid, role) in &run.processes {
        if end_process(*pid).context(|| format!("cannot end the {role} process {pid} of run {}", run.id))? {
            cleaned.processes.push((*pid, role.clone()));
        }
    }
    for tree in &run.trees {
        if tree.symlink_metadata().is_ok() {
            remove_tree(tree)?;
            cleaned.trees.push(tree.clone());
        }
    }
    run.forget()?;
    drop(lock);
    Ok(cleaned)
}

/// Kills a process and its children, and waits until they have ended. False when it was gone already.
///
/// A guest's launcher has one child, the guest's init, which would outlive it for a moment; with init everything in the
/// guest has ended.
fn end_process(pid: u32) -> io::Result<bool> {
    let Some(process) = open_process(pid)? else { return Ok(false) };
    let mut ending = vec![process];
    for child in children(pid)? {
        ending.extend(open_process(child)?);
    }
    // The process itself last: until then its children are not given to another.
    for process in ending.iter().rev() {
        match rustix::process::pidfd_send_signal(process, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    ending.iter().try_for_each(wait_for_end)?;
    Ok(true)
}

/// A descriptor of a process; `None` when there is none of that id, or it ends meanwhile.
fn open_process(pid: u32) -> io::Result<Option<OwnedFd>> {
    let before = start_time(pid);
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    let process = match rustix::process::pidfd_open(id, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(None),
        process => process?,
    };
    // The descriptor is of the process that was looked at only if that one is still there.
    Ok((before.is_some() && start_time(pid) == before).then_some(process))
}

fn wait_for_end(process: &OwnedFd) -> io::Result<()> {
    let limit = Timespec::try_from(Duration::from_secs(10)).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut waiting = [PollFd::new(process, PollFlags::IN)];
    let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut waiting, Some(&limit)))?;
    if ready == 0 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

/// The processes whose parent is `pid`.
fn children(pid: u32) -> io::Result<Vec<u32>> {
    let others = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(others.filter(|other| parent(*other) == Some(pid)).collect())
}

/// Deletes the tree at `path`, if there is one. Refuses while anything is mounted on it or in it, follows no symbolic
/// link, and does not leave the file system that `path` is on. Blocks for as long as it takes.
pub fn remove_tree(path: &Path) -> Result<()> {
    let what = || format!("cannot remove {}", path.display());
    // The path itself, with the links of its parents resolved, as the kernel lists mounts.
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::new(format!("{}: it is not the name of a tree", what())));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let parent = match parent.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        parent => parent.context(what)?,
    };
    if let Some(mount) = mount_inside(&parent.join(name)).context(what)? {
        return Err(Error::new(format!("{}: {} is mounted in it", what(), mount.display()))
            .hint("unmount it, if it is not needed, then run `larder cleanup`"));
    }
    let parent = rustix::fs::openat(CWD, &parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .context(what)?;
    remove_entry(parent.as_fd(), name).context(what)
}

/// A mount point at or below `path` in this process's mount namespace.
fn mount_inside(path: &Path) -> io::Result<Option<PathBuf>> {
    let mounts = fs::read("/proc/self/mountinfo")?;
    Ok(mounts.split(|byte| *byte == b'\n').filter_map(mount_point).find(|point| point.starts_with(path)))
}

/// The mount point of a line of mountinfo: its fifth field, with space, tab, newline and backslash as octal escapes.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'\\').then(|| tail.get(..3)).flatten();
        if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()) {
            bytes.push(byte);
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// Deepest nesting walked with a descriptor for each level; what lies deeper is moved up first.
const DEEPEST: usize = 64;

/// Removes a file or a tree from a directory.
fn remove_entry(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    let status = match rustix::fs::statat(parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        status => status?,
    };
    if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
        return unlink(parent, &name, AtFlags::empty());
    }
    let top = open_directory(parent, &name, status.st_dev)?;
    let mut walk = Walk { top: &top, device: status.st_dev, moved: 0 };
    loop {
        let moved_before = walk.moved;
        walk.empty(&top, 0)?;
        if walk.moved == moved_before {
            break;
        }
    }
    unlink(parent, &name, AtFlags::REMOVEDIR)
}

struct Walk<'a> {
    top: &'a OwnedFd,
    device: u64,
    /// Directories moved from the depths to the top, each under a number of its own.
    moved: u64,
}

impl Walk<'_> {
    /// Removes what a directory holds, but for what it has moved to the top.
    fn empty(&mut self, directory: &OwnedFd, depth: usize) -> io::Result<()> {
        // All names first: removing while reading may skip entries.
        let mut names = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_bytes() != b"." && name.to_bytes() != b".." {
                names.push((name.to_owned(), entry.file_type()));
            }
        }
        for (name, kind) in names {
            let kind = match kind {
                FileType::Unknown => {
                    let status = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(status.st_mode)
                }
                kind => kind,
            };
            if kind != FileType::Directory {
                unlink(directory.as_fd(), &name, AtFlags::empty())?;
            } else if depth == DEEPEST {
                self.moved += 1;
                let shallow = format!(".larder-deep-{}", self.moved);
                rustix::fs::renameat(directory, &name, self.top, shallow)?;
            } else {
                let inner = open_directory(directory.as_fd(), &name, self.device)?;
                self.empty(&inner, depth + 1)?;
                unlink(directory.as_fd(), &name, AtFlags::REMOVEDIR)?;
            }
        }
        Ok(())
    }
}

/// Opens a directory to empty it, if it is on the right file system.
fn open_directory(parent: BorrowedFd<'_>, name: &std::ffi::CStr, device: u64) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(parent, name, flags, Mode::empty());
    let directory = match open() {
        // Its owner may still open it for itself.
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            open()?
        }
        directory => directory?,
    };
    if rustix::fs::fstat(&directory)?.st_dev == device {
        Ok(directory)
    } else {
        let name = name.to_string_lossy();
        Err(io::Error::new(io::ErrorKind::CrossesDevices, format!("{name} is on another file system")))
    }
}

/// Unlinks a name; where attributes forbid that (immutable, append-only), clears them first.
fn unlink(parent: BorrowedFd<'_>, name: &std::ffi::CStr, flags: AtFlags) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, flags) {
        Err(Errno::PERM | Errno::ACCESS) => {
            let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let _ = rustix::fs::fchmod(parent, Mode::RWXU);
            clear_attributes(parent);
            // Opening a device would do things.
            let plain = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|status| {
                matches!(FileType::from_raw_mode(status.st_mode), FileType::RegularFile | FileType::Directory)
            });
            if plain && let Ok(entry) = rustix::fs::openat(parent, name, open, Mode::empty()) {
                clear_attributes(entry.as_fd());
            }
            Ok(rustix::fs::unlinkat(parent, name, flags)?)
        }
        Err(Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}

fn clear_attributes(file: BorrowedFd<'_>) {
    if let Ok(attributes) = rustix::fs::ioctl_getflags(file) {
        let _ = rustix::fs::ioctl_setflags(file, attributes - (IFlags::IMMUTABLE | IFlags::APPEND));
    }
}

#[cfg(test)]
mod tests;
