//! Writes a file tree into a directory, entry by entry, keeping owners, modes, times, attributes and links.
//!
//! Entries may come from an archive that somebody else made: paths are resolved inside the directory.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dev, FileType, Gid, Mode, OFlags, SeekFrom, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use crate::engine::clamp::Clamp;
use crate::guest::device::Device;
use crate::guest::mapping;
use crate::guest::rooted::{Attributes, Links, Rooted, no_owner, set_attributes};
use crate::pack::Stoppable;

/// Most bytes that are copied before it is asked again whether to go on.
const CHUNK: u64 = 64 << 20;

/// What an entry of any type has.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) attributes: Attributes,
    /// Names and values.
    pub(super) xattrs: Vec<(OsString, Vec<u8>)>,
}

/// A tree being written.
pub(super) struct TreeWriter {
    root: Rooted,
    clamp: Clamp,
    cancel: CancellationToken,
    /// Whether device nodes can be made.
    devices: bool,
    /// Set at the end: writing into a directory changes its time.
    directories: Vec<(PathBuf, Meta)>,
}

impl TreeWriter {
    /// Writes into an existing directory.
    pub(super) fn new(into: &Path) -> io::Result<Self> {
        let (root, devices) = (Rooted::open(into, Links::InRoot)?, mapping::can_make_devices());
        let cancel = CancellationToken::new();
        Ok(Self { root, devices, clamp: Clamp::default(), cancel, directories: Vec::new() })
    }

    /// Holds the times of what is written from now on to `clamp`.
    pub(super) fn clamped(self, clamp: Clamp) -> Self {
        Self { clamp, ..self }
    }

    /// Fails once `cancel` has fired, also in the middle of a file.
    pub(super) fn stopped_by(self, cancel: &CancellationToken) -> Self {
        Self { cancel: cancel.clone(), ..self }
    }

    /// Makes a directory. One that is there already stays, also behind a link (`/lib` of a merged `/usr`).
    pub(super) fn directory(&mut self, path: &Path, meta: Meta) -> io::Result<()> {
        let kind = self.root.stat(path)?.map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Some(FileType::Directory) => {}
            Some(FileType::Symlink) if self.leads_to_directory(path) => return Ok(()),
            Some(_) => {
                self.root.remove(path)?;
                self.root.make_dir(path, 0o700)?;
            }
            None => {
                self.parents(path)?;
                self.root.make_dir(path, 0o700)?;
            }
        }
        self.directories.push((path.to_owned(), meta));
        Ok(())
    }

    /// Writes a regular file from `content`; returns its length.
    pub(super) fn file(&mut self, path: &Path, meta: &Meta, content: &mut dyn Read) -> io::Result<u64> {
        let mut file = self.create(path)?;
        let length = io::copy(&mut Stoppable::new(content, &self.cancel), &mut file)?;
        apply(&file, meta, self.clamp)?;
        Ok(length)
    }

    /// Writes a regular file with the content of another, sharing its blocks where the file system can.
    pub(super) fn clone_file(&mut self, path: &Path, meta: &Meta, source: &mut File) -> io::Result<u64> {
        let mut file = self.create(path)?;
        let length = match rustix::fs::ioctl_ficlone(&file, &*source) {
            Ok(()) => file.metadata()?.len(),
            Err(_) => self.copy_content(source, &mut file)?,
        };
        apply(&file, meta, self.clamp)?;
        Ok(length)
    }

    /// Copies what is written of a file; its holes stay holes. Returns its length.
    fn copy_content(&self, source: &mut File, target: &mut File) -> io::Result<u64> {
        let length = source.metadata()?.len();
        target.set_len(length)?;
        let mut at = 0;
        while at < length {
            let data = match rustix::fs::seek(&*source, SeekFrom::Data(at)) {
                Ok(data) => data,
                // There is only a hole left.
                Err(Errno::NXIO) => break,
                Err(error) => return Err(error.into()),
            };
            let end = rustix::fs::seek(&*source, SeekFrom::Hole(data))?.min(data + CHUNK);
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            rustix::fs::seek(&*source, SeekFrom::Start(data))?;
            rustix::fs::seek(&*target, SeekFrom::Start(data))?;
            // Between files, this is copy_file_range(2).
            let copied = io::copy(&mut (&mut *source).take(end - data), target)?;
            if copied != end - data {
                return Err(io::Error::other("the file changed while it was read"));
            }
            at = end;
        }
        Ok(length)
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(&mut self, path: &Path, target: &Path, meta: &Meta) -> io::Result<()> {
        self.clear(path)?;
        let (parent, name) = self.root.parent(path)?;
        rustix::fs::symlinkat(target, &parent, &name)?;
        apply_at(parent.as_fd(), &name, &meta.attributes.clamped(self.clamp))
    }

    /// Gives an entry written before a second name.
    pub(super) fn hard_link(&mut self, path: &Path, existing: &Path) -> io::Result<()> {
        let (from, from_name) = self.root.parent(existing)?;
        let stat = rustix::fs::statat(&from, &from_name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a hard link to a directory"));
        }
        if let Some(there) = self.root.stat(path)?
            && (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino)
        {
            return Ok(());
        }
        self.clear(path)?;
        let (to, to_name) = self.root.parent(path)?;
        Ok(rustix::fs::linkat(&from, &from_name, &to, &to_name, AtFlags::empty())?)
    }

    /// Makes a device, named pipe or socket; or, for a device that cannot be made here, a file that stands for it.
    pub(super) fn node(&mut self, path: &Path, kind: FileType, device: Dev, meta: &Meta) -> io::Result<()> {
        if let (Some(device), false) = (Device::new(kind, device), self.devices) {
            let file = self.create(path)?;
            device.mark(&file)?;
            return apply(&file, meta, self.clamp);
        }
        self.clear(path)?;
        let (parent, name) = self.root.parent(path)?;
        rustix::fs::mknodat(&parent, &name, kind, Mode::from_raw_mode(0o600), device)?;
        rustix::fs::chmodat(&parent, &name, Mode::from_raw_mode(meta.attributes.mode), AtFlags::empty())?;
        apply_at(parent.as_fd(), &name, &meta.attributes.clamped(self.clamp))?;
        // chown clears set-id bits.
        Ok(rustix::fs::chmodat(&parent, &name, Mode::from_raw_mode(meta.attributes.mode), AtFlags::empty())?)
    }

    /// Sets what directories are to have.
    pub(super) fn finish(self) -> io::Result<()> {
        for (path, meta) in self.directories.iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            match self.root.open_file(path, flags, 0) {
                Ok(directory) => apply(&directory, meta, self.clamp)?,
                // A later entry may have taken its place.
                Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => {}
                Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn create(&mut self, path: &Path) -> io::Result<File> {
        self.clear(path)?;
        let (parent, name) = self.root.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(0o600))?.into())
    }

    /// Makes room for an entry: the directories above it are there, it itself is not.
    fn clear(&mut self, path: &Path) -> io::Result<()> {
        match self.root.stat(path)? {
            None => self.parents(path),
            Some(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => self.root.remove_dir(path),
            Some(_) => self.root.remove(path),
        }
    }

    fn parents(&mut self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
        if self.leads_to_directory(parent) {
            return Ok(());
        }
        self.parents(parent)?;
        self.root.make_dir(parent, 0o700)?;
        // The umask has no say.
        let directory = self.root.open_file(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)?;
        Ok(rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o755))?)
    }

    fn leads_to_directory(&self, path: &Path) -> bool {
        self.root.open_file(path, OFlags::PATH | OFlags::DIRECTORY, 0).is_ok()
    }
}

/// Owner, mode and times, then attributes: a change of owner would clear a capability.
fn apply(file: impl AsFd, meta: &Meta, clamp: Clamp) -> io::Result<()> {
    set_attributes(&file, &meta.attributes.clamped(clamp))?;
    for (name, value) in &meta.xattrs {
        if name.as_bytes().starts_with(b"user.overlay.") || name.as_bytes().starts_with(b"trusted.overlay.") {
            continue;
        }
        match rustix::fs::fsetxattr(&file, name, value, XattrFlags::empty()) {
            // A label of the host's policy, not of the tree.
            Err(Errno::OPNOTSUPP | Errno::INVAL) if name == "security.selinux" => {}
            Err(error) => {
                let text = format!("cannot set the attribute {}: {error}", name.to_string_lossy());
                return Err(io::Error::new(io::Error::from(error).kind(), text));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

fn apply_at(parent: rustix::fd::BorrowedFd<'_>, name: &std::ffi::OsStr, attributes: &Attributes) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
    rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags).map_err(|error| no_owner(error, attributes))?;
    let time = Timespec { tv_sec: attributes.mtime.0, tv_nsec: attributes.mtime.1 };
    Ok(rustix::fs::utimensat(parent, name, &Timestamps { last_access: time, last_modification: time }, flags)?)
}
