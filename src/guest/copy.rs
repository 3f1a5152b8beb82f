//! A copy of a tree that is the same in every way a root file system can tell: owners, modes, times, extended
//! attributes, hard links, devices. Shares blocks where the file system can (reflink).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// Copies `from` to `to`, which must not exist. Does not leave `from`'s file system.
pub(super) fn tree(from: &Path, to: &Path) -> io::Result<()> {
    let top = fs::symlink_metadata(from)?;
    fs::create_dir(to)?;
    let mut links = HashMap::new();
    let mut directories = vec![(from.to_owned(), to.to_owned())];
    let mut pending = directories.clone();
    while let Some((from, to)) = pending.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let metadata = fs::symlink_metadata(&source)?;
            if metadata.is_dir() {
                fs::create_dir(&target)?;
                if metadata.dev() == top.dev() {
                    pending.push((source.clone(), target.clone()));
                }
                directories.push((source, target));
            } else {
                leaf(&source, &target, &metadata, &mut links)?;
            }
        }
    }
    // Last, for their times; the innermost first.
    for (from, to) in directories.iter().rev() {
        dress(from, to, &fs::symlink_metadata(from)?)?;
    }
    Ok(())
}

fn leaf(
    source: &Path,
    target: &Path,
    metadata: &fs::Metadata,
    links: &mut HashMap<(u64, u64), PathBuf>,
) -> io::Result<()> {
    if metadata.nlink() > 1 {
        if let Some(first) = links.get(&(metadata.dev(), metadata.ino())) {
            return fs::hard_link(first, target);
        }
        links.insert((metadata.dev(), metadata.ino()), target.to_owned());
    }
    let kind = metadata.file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(source)?, target)?;
    } else if kind.is_file() {
        let (mut from, mut to) = (File::open(source)?, File::create_new(target)?);
        if rustix::fs::ioctl_ficlone(&to, &from).is_err() {
            io::copy(&mut from, &mut to)?;
        }
    } else {
        let kind = FileType::from_raw_mode(metadata.mode());
        rustix::fs::mknodat(CWD, target, kind, Mode::RUSR | Mode::WUSR, metadata.rdev())?;
    }
    dress(source, target, metadata)
}

/// Gives a copy the owner, mode, attributes and times of its original. In this order: a change of owner clears
/// set-id bits and capabilities.
fn dress(source: &Path, target: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    std::os::unix::fs::lchown(target, Some(metadata.uid()), Some(metadata.gid()))?;
    if !metadata.is_symlink() {
        fs::set_permissions(target, metadata.permissions())?;
    }
    attributes(source, target)?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: metadata.atime(), tv_nsec: metadata.atime_nsec() },
        last_modification: Timespec { tv_sec: metadata.mtime(), tv_nsec: metadata.mtime_nsec() },
    };
    Ok(rustix::fs::utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn attributes(source: &Path, target: &Path) -> io::Result<()> {
    let length = match rustix::fs::llistxattr_query(source) {
        Ok(0) | Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    let mut names = Vec::with_capacity(length);
    rustix::fs::llistxattr(source, rustix::buffer::spare_capacity(&mut names))?;
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = Vec::with_capacity(rustix::fs::lgetxattr_query(source, name)?.max(1));
        rustix::fs::lgetxattr(source, name, rustix::buffer::spare_capacity(&mut value))?;
        match rustix::fs::lsetxattr(target, name, &value, XattrFlags::empty()) {
            // Labels of the host's security module are not the image's.
            Err(rustix::io::Errno::PERM | rustix::io::Errno::OPNOTSUPP) if !name.starts_with(b"user.") => {}
            result => result?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn copies_content_modes_times_links_and_attributes() {
        let scratch = tempfile::tempdir().unwrap();
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        fs::create_dir_all(from.join("dir")).unwrap();
        fs::write(from.join("dir/file"), "content").unwrap();
        fs::set_permissions(from.join("dir/file"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::hard_link(from.join("dir/file"), from.join("hard")).unwrap();
        symlink("dir/file", from.join("soft")).unwrap();
        rustix::fs::mkfifoat(CWD, from.join("fifo"), Mode::RUSR).unwrap();
        let old = Timespec { tv_sec: 1000, tv_nsec: 5 };
        let times = Timestamps { last_access: old, last_modification: old };
        rustix::fs::utimensat(CWD, from.join("dir"), &times, AtFlags::empty()).unwrap();
        let _ = rustix::fs::lsetxattr(from.join("hard"), "user.larder", b"x", XattrFlags::empty());

        tree(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("dir/file")).unwrap(), b"content");
        let file = fs::metadata(to.join("dir/file")).unwrap();
        assert_eq!(file.mode() & 0o7777, 0o4755);
        assert_eq!(file.ino(), fs::metadata(to.join("hard")).unwrap().ino());
        assert_eq!(fs::read_link(to.join("soft")).unwrap(), Path::new("dir/file"));
        assert_eq!(fs::metadata(to.join("dir")).unwrap().mtime(), 1000);
        assert!(fs::symlink_metadata(to.join("fifo")).unwrap().mode() & 0o170_000 == 0o010_000);
    }
}
