//! Directories: whether they can be written, locked and filled.

use std::fs;
use std::io;
use std::path::Path;

use larder_proxy::store::network_file_system;

use super::check::Finding;

/// What a directory is for, and what it needs.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// The check it belongs to.
    pub check: &'static str,
    /// The option that moves it elsewhere.
    pub elsewhere: &'static str,
    /// Bytes free without which nothing works.
    pub least: u64,
    /// Bytes free below which a build may run out of room.
    pub enough: u64,
    /// Whether files in it are locked and mapped, as network file systems cannot be trusted with.
    pub locks: bool,
}

/// The directory of scratch trees, records and logs.
pub const STATE: Use =
    Use { check: "state-dir", elsewhere: "--state-dir DIR", least: 10_000_000, enough: 5_000_000_000, locks: true };
/// The cache. One that is full costs no build: what it cannot hold is passed on without being kept.
pub const CACHE: Use =
    Use { check: "cache-dir", elsewhere: "--cache-dir DIR", least: 1_000_000, enough: 2_000_000_000, locks: true };
/// The directory for temporary files.
pub const TEMPORARY: Use =
    Use { check: "temp-dir", elsewhere: "TMPDIR=DIR", least: 10_000_000, enough: 200_000_000, locks: false };

/// Looks at a directory, which is made if it is missing, as a build would.
pub fn look(usage: &Use, path: &Path) -> Finding {
    let elsewhere = || format!("use another directory: {}", usage.elsewhere);
    let problem = |found: String| Finding::problem(usage.check, found).remedy(elsewhere());
    if let Err(error) = fs::create_dir_all(path).and_then(|()| written(path, usage.locks)) {
        return problem(format!("{} cannot be used: {error}", path.display()));
    }
    match network_file_system(path) {
        Ok(Some(kind)) if usage.locks => {
            return problem(format!("{} is on a network file system ({kind})", path.display()))
                .so("locks and the index of the cache would fail there");
        }
        _ => {}
    }
    let free = match free(path) {
        Ok(free) => free,
        Err(error) => return problem(format!("{} cannot be looked at: {error}", path.display())),
    };
    let found = format!("{} free in {}", bytes(free), path.display());
    match () {
        () if free < usage.least => problem(found).so(&format!("{} is the least", bytes(usage.least))),
        () if free < usage.enough => {
            Finding::warning(usage.check, found).so("a large build may not fit").remedy(elsewhere())
        }
        () => Finding::ok(usage.check, found),
    }
}

/// Writes a file, and locks it where that is needed.
fn written(path: &Path, locks: bool) -> io::Result<()> {
    let file = tempfile::Builder::new().prefix(".larder-doctor-").tempfile_in(path)?;
    if locks { Ok(file.as_file().try_lock()?) } else { Ok(()) }
}

/// Bytes a user may still write on the file system of `path`.
fn free(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes for people. (`output::text` is to the right of this module.)
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn a_directory_with_room_is_made_and_well() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b");
        let found = look(&Use { least: 1, enough: 1, ..STATE }, &path);
        assert_eq!(found.status, Status::Ok, "{found:?}");
        assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    }

    #[test]
    fn too_little_room_and_a_file_in_its_place_are_told() {
        let place = tempfile::tempdir().unwrap();
        let found = look(&Use { least: u64::MAX, ..STATE }, place.path());
        assert_eq!(found.status, Status::Problem);
        assert!(found.remedies[0].contains("--state-dir"), "{found:?}");
        let found = look(&Use { enough: u64::MAX, least: 1, ..CACHE }, place.path());
        assert_eq!(found.status, Status::Warning);
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(look(&TEMPORARY, &file).status, Status::Problem);
    }

    #[test]
    fn bytes_read_well() {
        assert_eq!(bytes(1_234_567_890), "1.2 GB");
        assert_eq!(bytes(48_999_999), "48 MB");
        assert_eq!(bytes(999), "0 kB");
    }
}
