//! What transfers have in common, whichever way they go.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path};

use crate::error::{Context as _, Error, Result};

/// Where the content of a directory goes, as rsync and Packer have it: with a trailing slash on `source` its contents
/// go into `destination`, without it the directory itself does.
pub fn directory_target(source: &str, destination: &str) -> Result<String> {
    if source.ends_with('/') {
        return Ok(destination.to_owned());
    }
    match Path::new(source).components().next_back() {
        Some(Component::Normal(name)) => {
            Ok(format!("{}/{}", destination.trim_end_matches('/'), name.to_string_lossy()))
        }
        // `.` has no name to keep: its contents are what is meant.
        None | Some(Component::CurDir | Component::RootDir) => Ok(destination.to_owned()),
        Some(_) => Err(Error::new(format!("{source} does not name a directory"))
            .hint("end it with a slash to transfer what the directory holds")),
    }
}

/// Writes a file of the host as a whole: it appears under its name when `fill` has succeeded, and not before.
pub async fn replace_file<F>(destination: &Path, fill: impl FnOnce(File) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let directory = match destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let what = || format!("cannot write {}", destination.display());
    fs::create_dir_all(directory).context(what)?;
    let temporary = tempfile::Builder::new()
        .prefix(".larder-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(directory)
        .context(what)?;
    fill(temporary.as_file().try_clone().context(what)?).await?;
    temporary.persist(destination).context(what)?;
    Ok(())
}

/// Unpacks a tar archive that a guest has written. What is neither a regular file nor a directory nor a symbolic link
/// is left out, and so are owners and set-id bits; nothing is written outside `destination`.
pub fn unpack_from_guest(archive: impl io::Read, destination: &Path) -> io::Result<()> {
    fs::create_dir_all(destination)?;
    let mut archive = tar::Archive::new(archive);
    archive.set_preserve_permissions(false);
    archive.set_overwrite(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_dir() || kind.is_symlink() {
            // False for a name that leads outside.
            if !entry.unpack_in(destination)? {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} leads out of the directory")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_trailing_slash_means_the_contents() {
        assert_eq!(directory_target("/a/b/", "/to").unwrap(), "/to");
        assert_eq!(directory_target("/a/b", "/to").unwrap(), "/to/b");
        assert_eq!(directory_target("b", "/to/").unwrap(), "/to/b");
        assert_eq!(directory_target(".", "/to").unwrap(), "/to");
        directory_target("..", "/to").unwrap_err();
    }

    #[test]
    fn an_archive_cannot_write_through_its_own_link() {
        let scratch = tempfile::tempdir().unwrap();
        let outside = scratch.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "link", &outside).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        builder.append_data(&mut header, "link/file", &b"x"[..]).unwrap();
        let archive = builder.into_inner().unwrap();
        unpack_from_guest(&archive[..], &scratch.path().join("to")).unwrap_err();
        assert!(!outside.join("file").exists());
    }

    #[test]
    fn a_link_already_there_is_not_written_through_to_the_outside() {
        let scratch = tempfile::tempdir().unwrap();
        let (outside, to) = (scratch.path().join("outside"), scratch.path().join("to"));
        fs::create_dir_all(&outside).unwrap();
        fs::create_dir_all(&to).unwrap();
        symlink(&outside, to.join("dir")).unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        builder.append_data(&mut header, "dir/file", &b"x"[..]).unwrap();
        unpack_from_guest(&builder.into_inner().unwrap()[..], &to).unwrap_err();
        assert!(!outside.join("file").exists());
    }
}
