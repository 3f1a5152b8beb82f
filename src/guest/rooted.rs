//! File access inside a tree whose links somebody else chose.
//!
//! A guest may have put a symbolic link anywhere. Every path given here is resolved by the kernel as if the tree
//! were the root (`openat2` with `RESOLVE_IN_ROOT`), so that no link leads out of it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::engine::clamp::Clamp;

/// How links on the way to a file are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Followed, inside the tree.
    InRoot,
    /// Not followed; what lies behind one is taken as absent (`ELOOP` where a file is opened or written). Right for
    /// one layer of an overlay, where a link means nothing by itself.
    Refuse,
}

/// A directory tree that paths are resolved in.
#[derive(Debug)]
pub struct Rooted {
    fd: OwnedFd,
    links: Links,
}

/// Owner, permissions and time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attributes {
    /// Permission bits, set-id and sticky bits included.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds and nanoseconds of the last change of content.
    pub mtime: (i64, i64),
}

impl Attributes {
    /// These with no later time than `clamp` lets an image hold.
    #[must_use]
    pub fn clamped(self, clamp: Clamp) -> Self {
        Self { mtime: clamp.time(self.mtime), ..self }
    }

    /// Those of a `stat` result.
    pub fn of(stat: &Stat) -> Self {
        Self {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            #[expect(clippy::cast_possible_wrap, reason = "nanoseconds are below one thousand million")]
            mtime: (stat.st_mtime, stat.st_mtime_nsec as i64),
        }
    }

    fn times(&self) -> Timestamps {
        let time = Timespec { tv_sec: self.mtime.0, tv_nsec: self.mtime.1 };
        Timestamps { last_access: time, last_modification: time }
    }
}

impl Rooted {
    /// Opens the directory `path`, which is the caller's own and may be a link.
    pub fn open(path: &Path, links: Links) -> io::Result<Self> {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd, links })
    }

    fn resolve(&self) -> ResolveFlags {
        match self.links {
            Links::InRoot => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            Links::Refuse => ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
        }
    }

    /// Opens `path` (relative, or absolute within the tree). Pass `NOFOLLOW` to get an error for a final link.
    pub fn open_file(&self, path: &Path, flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
        let inside = relative(path);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { &inside };
        let flags = flags | OFlags::CLOEXEC;
        loop {
            match rustix::fs::openat2(&self.fd, inside, flags, Mode::from_raw_mode(mode), self.resolve()) {
                // The kernel asks for another try when something was renamed meanwhile.
                Err(Errno::AGAIN) => {}
                done => return Ok(done?),
            }
        }
    }

    /// The directory that holds `path`, and the last component, which is not resolved.
    pub fn parent(&self, path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let inside = relative(path);
        let name = inside.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?.to_owned();
        let parent = inside.parent().unwrap_or(Path::new(""));
        let fd = self.open_file(parent, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
        Ok((fd, name))
    }

    /// What is at `path`, without following a final link; `None` if nothing.
    pub fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        if relative(path).as_os_str().is_empty() {
            return Ok(Some(rustix::fs::fstat(&self.fd)?));
        }
        let found = self
            .parent(path)
            .and_then(|(parent, name)| Ok(rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW)?));
        self.absent_as_none(found)
    }

    /// The target of the link at `path`; `None` if nothing is there or it is no link.
    pub fn read_link(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let target =
            self.parent(path).and_then(|(parent, name)| Ok(rustix::fs::readlinkat(&parent, &name, Vec::new())?));
        match self.absent_as_none(target) {
            Ok(target) => Ok(target.map(|target| PathBuf::from(OsStr::from_bytes(target.as_bytes())))),
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a regular file of at most `limit` bytes; `None` if there is none.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Option<(Vec<u8>, Attributes)>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let Some(fd) = self.absent_as_none(self.open_file(path, flags, 0))? else { return Ok(None) };
        let stat = rustix::fs::fstat(&fd)?;
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Ok(None);
        }
        let mut content = Vec::new();
        File::from(fd).take(limit + 1).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
        }
        Ok(Some((content, Attributes::of(&stat))))
    }

    /// Puts a file in the place of what is at `path`, in one step: readers see the old content or the new.
    /// The time of the directory is kept.
    pub fn replace(&self, path: &Path, content: &[u8], attributes: &Attributes) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        keeping_time(&parent, || replace_in(&parent, &name, content, attributes))
    }

    /// Creates a link at `path`.
    pub fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        Ok(rustix::fs::symlinkat(target, &parent, &name)?)
    }

    /// Removes the file, link or device at `path`, and keeps the time of its directory.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        keeping_time(&parent, || Ok(rustix::fs::unlinkat(&parent, &name, AtFlags::empty())?))
    }

    /// Removes the empty directory at `path`, and keeps the time of its parent.
    pub fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        keeping_time(&parent, || Ok(rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR)?))
    }

    /// Renames within one directory, and keeps its time.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(from)?;
        let (other, other_name) = self.parent(to)?;
        keeping_time(&parent, || Ok(rustix::fs::renameat(&parent, &name, &other, &other_name)?))
    }

    /// Creates one directory.
    pub fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        Ok(rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(mode))?)
    }

    fn absent_as_none<T>(&self, result: io::Result<T>) -> io::Result<Option<T>> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let is_refused = self.links == Links::Refuse && error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        if is_refused || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            return Ok(None);
        }
        Err(error)
    }

    /// Sets owner, permissions and time of the directory or file at `path`, which is no link.
    pub fn set_attributes(&self, path: &Path, attributes: &Attributes) -> io::Result<()> {
        let fd = self.open_file(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK, 0)?;
        set_attributes(&fd, attributes)
    }
}

impl From<&std::fs::Metadata> for Attributes {
    fn from(metadata: &std::fs::Metadata) -> Self {
        Self {
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Sets owner first: changing it clears the set-id bits that the mode then sets.
pub fn set_attributes(fd: impl rustix::fd::AsFd, attributes: &Attributes) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
    rustix::fs::fchown(&fd, Some(uid), Some(gid)).map_err(|error| no_owner(error, attributes))?;
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(attributes.mode))?;
    Ok(rustix::fs::futimens(&fd, &attributes.times())?)
}

/// What a refused change of owner means.
pub fn no_owner(error: Errno, attributes: &Attributes) -> io::Error {
    if error != Errno::INVAL {
        return error.into();
    }
    let Attributes { uid, gid, .. } = attributes;
    let text = format!(
        "there is no owner {uid}:{gid} in this user namespace, which has the ids of /proc/self/uid_map and gid_map \
         (as an ordinary user: 0, and one for each id of /etc/subuid and /etc/subgid)"
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn replace_in(parent: &OwnedFd, name: &OsStr, content: &[u8], attributes: &Attributes) -> io::Result<()> {
    let mut temporary = OsString::from(".larder-");
    temporary.push(name);
    let temporary = OsStr::from_bytes(&temporary.as_bytes()[..temporary.len().min(255)]).to_owned();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, &temporary, flags, Mode::from_raw_mode(0o600))?;
    let mut file = File::from(fd);
    let written = file
        .write_all(content)
        .and_then(|()| set_attributes(&file, attributes))
        .and_then(|()| Ok(rustix::fs::renameat(parent, &temporary, parent, name)?));
    if written.is_err() {
        // Best effort: what failed is what the caller hears of.
        let _ = rustix::fs::unlinkat(parent, &temporary, AtFlags::empty());
    }
    written
}

fn keeping_time(directory: &OwnedFd, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let before = Attributes::of(&rustix::fs::fstat(directory)?);
    change()?;
    Ok(rustix::fs::futimens(directory, &before.times())?)
}

/// `path` without a leading slash and without `.`; `..` stays, and the kernel stops it at the root.
fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "host").unwrap();
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("etc")).unwrap();
        std::os::unix::fs::symlink(outside.path(), tree.path().join("etc/ssl")).unwrap();
        std::os::unix::fs::symlink("../../../../etc", tree.path().join("etc/up")).unwrap();
        let rooted = Rooted::open(tree.path(), Links::InRoot).unwrap();
        assert!(rooted.read(Path::new("/etc/ssl/secret"), 100).unwrap().is_none());
        let attributes = Attributes { mode: 0o640, uid: 0, gid: 0, mtime: (1, 0) };
        rooted.replace(Path::new("etc/up/new"), b"x", &attributes).unwrap();
        assert_eq!(std::fs::read(tree.path().join("etc/new")).unwrap(), b"x");
        let strict = Rooted::open(tree.path(), Links::Refuse).unwrap();
        assert!(strict.read(Path::new("etc/up/new"), 100).unwrap().is_none());
        assert!(strict.replace(Path::new("etc/up/new"), b"y", &attributes).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
