//! What is made beside its place, under a name of its own, and what killed programs left of that.
//!
//! A lock on each tells them apart. The folder itself is never locked: it is the user's, and others may lock it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::guest::reap::remove_tree;

/// What ends the name of a temporary file.
const RANDOM: usize = 6;

/// How often something is made anew that a sweep took: some file systems count no names, so that everything looks taken.
const TRIES: usize = 100;

/// Makes something, and locks it.
pub fn make<T>(make: impl Fn() -> io::Result<T>, open: impl Fn(&T) -> io::Result<File>) -> io::Result<(T, File)> {
    for _ in 0..TRIES {
        let made = make()?;
        // Somebody may sweep who came between making and locking: then it is gone, or about to be.
        let lock = match open(&made) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            Ok(()) if rustix::fs::fstat(&lock)?.st_nlink == 0 => {}
            // Where the file system has no locks, nobody sweeps.
            Ok(()) | Err(_) => return Ok((made, lock)),
        }
    }
    Err(io::Error::other(format!("what is made here is gone at once, {TRIES} times in a row")))
}

/// Removes what killed programs left in a folder. Best effort: what stays harms nothing.
pub fn sweep(folder: &Path, prefix: &str) {
    for left in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = left.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix));
        if !random
            .is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        {
            continue;
        }
        let known = left.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir());
        let held = known.then(|| File::open(left.path())).and_then(io::Result::ok);
        // Held until it is gone: else who has just made it could lock it in between.
        if let Some(held) = &held
            && flock(held, FlockOperation::NonBlockingLockExclusive).is_ok()
            && let Err(error) = remove_tree(&left.path())
        {
            tracing::warn!(%error, "what a killed program left of a bundle cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tempfile::{NamedTempFile, TempDir};

    use super::*;

    const PREFIX: &str = "left-";

    fn file(folder: &Path) -> (NamedTempFile, File) {
        let made = || tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder);
        make(made, |made| made.as_file().try_clone()).unwrap()
    }

    fn directory(folder: &Path) -> (TempDir, File) {
        let made = || tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder);
        make(made, |made| File::open(made.path())).unwrap()
    }

    #[test]
    fn what_is_held_stays_and_what_was_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (held, _lock) = file(folder.path());
        let (held_directory, _other) = directory(folder.path());
        let others = ["left-abcde", "left-abcdefg", "right-abcdef", "left-abc.ef"].map(|name| folder.path().join(name));
        for path in &others {
            fs::write(path, "").unwrap();
        }
        let gone = ["left-abcdef", "left-Ghijk1"].map(|name| folder.path().join(name));
        fs::write(&gone[0], "").unwrap();
        fs::create_dir_all(gone[1].join("in/it")).unwrap();
        sweep(folder.path(), PREFIX);
        assert!(held.path().exists() && held_directory.path().exists());
        assert!(others.iter().all(|path| path.exists()));
        assert!(gone.iter().all(|path| !path.exists()));
    }

    #[test]
    fn what_is_always_taken_is_told_and_not_made_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let made = || tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder.path());
        let gone = |made: &NamedTempFile| {
            fs::remove_file(made.path())?;
            made.as_file().try_clone()
        };
        assert!(make(made, gone).unwrap_err().to_string().contains("100 times"));
    }

    #[test]
    fn nobody_waits_for_who_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = File::open(folder.path()).unwrap();
        flock(&theirs, FlockOperation::LockExclusive).unwrap();
        sweep(folder.path(), PREFIX);
        assert!(file(folder.path()).0.path().exists());
    }

    #[test]
    fn what_is_made_beside_a_sweep_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    sweep(folder.path(), PREFIX);
                }
            });
            let missing = (0..300).find(|_| {
                let ((one, _lock), (other, _other)) = (file(folder.path()), directory(folder.path()));
                !one.path().exists() || !other.path().exists()
            });
            over.store(true, Ordering::Relaxed);
            assert_eq!(missing, None);
        });
    }
}
