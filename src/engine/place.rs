//! Output that is whole or not there: written beside its place, and put there in one step.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use crate::error::{Context as _, Error, Result};

/// Refuses a target that would be replaced without leave, or by something of another kind.
pub fn check(target: &Path, directory: bool, force: bool) -> Result<()> {
    match fs::symlink_metadata(target) {
        Ok(_) if !force => Err(Error::new(format!("{} exists already", target.display()))
            .hint("use -force to replace it, or set `output` to another path")),
        Ok(metadata) if !directory && metadata.is_dir() => {
            Err(Error::new(format!("{} is a directory, and a file is to be written", target.display()))
                .hint("remove it or choose another output"))
        }
        Ok(metadata) if directory && !metadata.is_dir() => {
            Err(Error::new(format!("{} is not a directory", target.display()))
                .hint("remove it or choose another output"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::new(format!("cannot look at {}", target.display())).caused_by(error)),
    }
}

/// Puts what `write` writes into a file at `target`, whose directory is made where it is missing. On an error, or when
/// `cancel` fires, nothing is left and the target is as it was.
pub fn file<T>(
    target: &Path,
    force: bool,
    cancel: &CancellationToken,
    write: impl FnOnce(&NamedTempFile) -> Result<T>,
) -> Result<T> {
    check(target, false, force)?;
    let parent = parent(target)?;
    let temporary = tempfile::Builder::new()
        .prefix(&prefix(target))
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(parent)
        .context(|| format!("cannot write in {}", parent.display()))?;
    let done = write(&temporary).map_err(|error| cannot_write(target, error))?;
    temporary.as_file().sync_all().map_err(|error| cannot_write(target, error))?;
    stop_if(cancel)?;
    let renamed = if force { temporary.persist(target) } else { temporary.persist_noclobber(target) };
    renamed.map_err(|error| error.error).context(|| format!("cannot put {} in its place", target.display()))?;
    sync(parent)?;
    Ok(done)
}

/// Puts a directory that `write` fills at `target`, as [`file`] does a file. It is readable by its owner only, unless
/// `write` changes that.
pub fn directory<T>(
    target: &Path,
    force: bool,
    cancel: &CancellationToken,
    write: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    check(target, true, force)?;
    let parent = parent(target)?;
    let temporary = tempfile::Builder::new()
        .prefix(&prefix(target))
        .tempdir_in(parent)
        .context(|| format!("cannot write in {}", parent.display()))?;
    let done = write(temporary.path()).map_err(|error| cannot_write(target, error))?;
    let made = File::open(temporary.path()).context(|| "cannot open the new directory".to_owned())?;
    rustix::fs::syncfs(&made).map_err(|error| cannot_write(target, io::Error::from(error)))?;
    stop_if(cancel)?;
    let flags = if fs::symlink_metadata(target).is_ok() {
        // Where this came from is then where the old one is, which goes with the temporary directory.
        no_mount_in(target)?;
        RenameFlags::EXCHANGE
    } else {
        RenameFlags::NOREPLACE
    };
    rustix::fs::renameat_with(CWD, temporary.path(), CWD, target, flags)
        .context(|| format!("cannot put {} in its place", target.display()))?;
    if flags == RenameFlags::NOREPLACE {
        // Nothing is left to remove.
        let _ = temporary.keep();
    } else {
        temporary.close().context(|| format!("cannot remove what was at {} before", target.display()))?;
    }
    sync(parent)?;
    Ok(done)
}

/// Fails once `cancel` has fired.
pub fn stop_if(cancel: &CancellationToken) -> Result<()> {
    if cancel.is_cancelled() { Err(Error::new("cancelled")) } else { Ok(()) }
}

fn cannot_write(target: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let mut kinds = causes.filter_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()));
    let full = kinds.any(|kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded));
    let shown = Error::new(format!("cannot write {}", target.display())).caused_by(error);
    if full { shown.hint("free some space on that file system, or set `output` to a path on another") } else { shown }
}

/// The directory of the target, made where it is missing.
fn parent(target: &Path) -> Result<&Path> {
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).context(|| format!("cannot make {}", parent.display()))?;
    Ok(parent)
}

/// The start of a temporary name: hidden, and telling what it is.
fn prefix(target: &Path) -> String {
    let name: String = target.file_name().unwrap_or_default().to_string_lossy().chars().take(48).collect();
    format!(".{name}.larder-")
}

/// Refuses to replace a directory that something is mounted in: removing it would reach into what is mounted.
fn no_mount_in(directory: &Path) -> Result<()> {
    let directory = directory.canonicalize().context(|| format!("cannot look at {}", directory.display()))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").context(|| "cannot read the mount table".to_owned())?;
    // mountinfo writes space, tab, newline and backslash in octal.
    let unescape = |text: &str| {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
            .iter()
            .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
    };
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    match points.into_iter().find(|point| Path::new(point).starts_with(&directory)) {
        Some(point) => {
            Err(Error::new(format!("cannot replace {}: something is mounted at {point}", directory.display()))
                .hint(format!("run `umount {point}` first")))
        }
        None => Ok(()),
    }
}

fn sync(directory: &Path) -> Result<()> {
    File::open(directory).and_then(|directory| directory.sync_all()).context(|| "cannot write it to disk".to_owned())
}
