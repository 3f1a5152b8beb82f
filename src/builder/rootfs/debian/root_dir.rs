//! Files below a root that must not lead out of it: every path is resolved by the kernel as if the root were `/`
//! (openat2(2), `RESOLVE_IN_ROOT`), so neither `..` nor a symbolic link in the tree reaches the host.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// A root file system under construction.
#[derive(Debug)]
pub(super) struct RootDir {
    fd: OwnedFd,
    path: PathBuf,
}

impl RootDir {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let fd = fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Where it lies on the host, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn resolve(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        // The kernel asks for another try when a rename elsewhere in the tree came in between.
        loop {
            match fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, mode, ResolveFlags::IN_ROOT) {
                Err(Errno::AGAIN) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Opens a folder.
    pub(super) fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    /// The folder that holds `path`, made if it is absent, and the name within it.
    pub(super) fn parent<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        match self.folder(parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_folders(parent)?;
                Ok((self.folder(parent)?, name))
            }
            folder => Ok((folder?, name)),
        }
    }

    /// Makes a folder and those above it that are absent, mode 0755.
    pub(super) fn create_folders(&self, path: &Path) -> io::Result<()> {
        let mut made = PathBuf::new();
        for part in path.components() {
            made.push(part);
            let parent = self.folder(made.parent().unwrap_or(Path::new("")))?;
            let name = made.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            create_folder(parent.as_fd(), name, 0o755)?;
        }
        Ok(())
    }

    /// Writes a file, replacing what is there.
    pub(super) fn write(&self, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let (parent, name) = self.parent(Path::new(path))?;
        let mut file = create_file(parent.as_fd(), name)?;
        file.write_all(content)?;
        fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(())
    }

    /// Whether something is there, if only a link that leads nowhere.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.resolve(Path::new(path), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).is_ok()
    }

    /// Makes a symbolic link, unless something of that name is there.
    pub(super) fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent(Path::new(path))?;
        match fs::symlinkat(target, &parent, name) {
            Err(Errno::EXIST) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Renames within the tree.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from_parent, from) = self.parent(Path::new(from))?;
        let (to_parent, to) = self.parent(Path::new(to))?;
        Ok(fs::renameat(&from_parent, from, &to_parent, to)?)
    }

    /// Removes a file; fine if it is not there.
    pub(super) fn remove(&self, path: &str) -> io::Result<()> {
        let path = Path::new(path);
        let Ok(parent) = self.folder(path.parent().unwrap_or(Path::new(""))) else { return Ok(()) };
        match fs::unlinkat(&parent, path.file_name().unwrap_or_default(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an empty folder; fine if it is not there.
    pub(super) fn remove_folder(&self, path: &str) -> io::Result<()> {
        let path = Path::new(path);
        let Ok(parent) = self.folder(path.parent().unwrap_or(Path::new(""))) else { return Ok(()) };
        match fs::unlinkat(&parent, path.file_name().unwrap_or_default(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes all that a folder holds but what is named in `keep`, staying on its file system.
    pub(super) fn empty_folder(&self, path: &str, keep: &[&str]) -> io::Result<()> {
        match self.folder(Path::new(path)) {
            Ok(folder) => {
                let device = fs::fstat(&folder)?.st_dev;
                remove_contents(folder.as_fd(), device, keep)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Makes a folder of the mode given; whether it was not there before.
pub(super) fn create_folder(parent: BorrowedFd<'_>, name: &OsStr, mode: u32) -> io::Result<bool> {
    match fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => {
            // The umask has no say.
            fs::chmodat(parent, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
            Ok(true)
        }
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Creates a file that was not there, taking away another of its name; never follows a link.
pub(super) fn create_file(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)) {
        Err(Errno::EXIST) => {
            fs::unlinkat(parent, name, AtFlags::empty())?;
            Ok(fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))?.into())
        }
        other => Ok(other?.into()),
    }
}

fn remove_contents(folder: BorrowedFd<'_>, device: u64, keep: &[&str]) -> io::Result<()> {
    let mut names: Vec<(OsString, FileType)> = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && !keep.iter().any(|kept| kept.as_bytes() == name) {
            use std::os::unix::ffi::OsStrExt as _;
            names.push((OsStr::from_bytes(name).to_owned(), entry.file_type()));
        }
    }
    for (name, kind) in names {
        if kind != FileType::Directory {
            fs::unlinkat(folder, &name, AtFlags::empty())?;
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inner = fs::openat(folder, &name, flags, Mode::empty())?;
        if fs::fstat(&inner)?.st_dev != device {
            return Err(io::Error::other(format!("{} is on another file system", name.to_string_lossy())));
        }
        remove_contents(inner.as_fd(), device, &[])?;
        fs::unlinkat(folder, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_do_not_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        let tree = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), tree.path().join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../../../../tmp", tree.path().join("relative")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", tree.path().join("file")).unwrap();
        let root = RootDir::open(tree.path()).unwrap();
        let secret = outside.path().join("secret");
        std::fs::write(&secret, "x").unwrap();
        assert!(root.write("absolute/x", b"x", 0o644).is_err());
        assert!(root.write("relative/x", b"x", 0o644).is_err());
        assert!(root.write("../x", b"x", 0o644).is_ok(), "`..` of the root is the root");
        assert!(tree.path().join("x").exists());
        assert!(!root.exists("file/x") && root.folder(Path::new("absolute")).is_err());
        root.write("file", b"own", 0o600).unwrap();
        assert!(!tree.path().join("file").is_symlink());
        root.empty_folder("", &["x"]).unwrap();
        assert_eq!(std::fs::read_dir(tree.path()).unwrap().count(), 1);
        assert!(secret.exists());
    }
}
