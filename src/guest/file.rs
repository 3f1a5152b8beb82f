//! Files in and out of a guest, moved by a process inside its root that has the guest's rights: a link the guest has
//! laid leads nowhere a command of the guest could not go by itself.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::protocol::FileOperation;

/// Does the operation; `data` is read from or written to.
pub(super) fn perform(operation: &FileOperation, data: OwnedFd) -> io::Result<()> {
    match operation {
        FileOperation::Put { path, mode } => put(path, *mode, data.into()),
        FileOperation::Get { path } => get(path, data.into()),
        FileOperation::Unpack { directory } => unpack(directory, data.into()),
        FileOperation::Pack { directory } => pack(directory, data.into()),
    }
}

fn put(path: &str, mode: u32, mut data: File) -> io::Result<()> {
    let open = || OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    let mut file = match open() {
        // A program that is running keeps its file; the new one takes its name.
        Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
            fs::remove_file(path)?;
            open()?
        }
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    io::copy(&mut data, &mut file)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn get(path: &str, mut data: File) -> io::Result<()> {
    // Opening a FIFO would wait for a writer.
    let mut file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    io::copy(&mut file, &mut data)?;
    Ok(())
}

fn unpack(directory: &str, data: File) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut data = io::BufReader::new(data);
    let mut archive = tar::Archive::new(&mut data);
    archive.set_preserve_permissions(true);
    // As of files put there one by one, and as Packer's uploads: when a clone was made is not part of the image.
    archive.set_preserve_mtime(false);
    archive.set_overwrite(true);
    archive.unpack(directory)?;
    // The padding at the archive's end, lest its writer see a broken pipe.
    io::copy(&mut data, &mut io::sink())?;
    Ok(())
}

fn pack(directory: &str, data: File) -> io::Result<()> {
    pack_tree(Path::new(directory), data)
}

/// Packs regular files, directories and symbolic links; sockets, FIFOs and devices are left out.
pub(crate) fn pack_tree(directory: &Path, data: impl io::Write) -> io::Result<()> {
    let mut builder = tar::Builder::new(io::BufWriter::new(data));
    builder.follow_symlinks(false);
    let mut pending = vec![std::path::PathBuf::new()];
    while let Some(relative) = pending.pop() {
        for entry in fs::read_dir(directory.join(&relative))? {
            let entry = entry?;
            let name = relative.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                builder.append_dir(&name, entry.path())?;
                pending.push(name);
            } else if kind.is_file() || kind.is_symlink() {
                builder.append_path_with_name(entry.path(), &name)?;
            }
        }
    }
    let mut writer = builder.into_inner()?;
    io::Write::flush(&mut writer)
}
