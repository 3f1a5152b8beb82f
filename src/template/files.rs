//! The files of the host, as a trait, so that templates can be loaded from memory.

use std::io;
use std::path::{Path, PathBuf};

/// Reads what templates refer to.
pub trait FileLoader: Send + Sync + std::fmt::Debug {
    /// The content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The entries of a directory, as paths below it.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Whether there is a directory of this name.
    fn is_dir(&self, path: &Path) -> bool;
    /// Whether there is a file of this name.
    fn is_file(&self, path: &Path) -> bool;
    /// The home directory of who runs this, if there is one.
    fn home(&self) -> Option<PathBuf> {
        None
    }
}

/// The directories right below one that hold files of a suffix; the first ten.
pub(super) fn directories_with(files: &dyn FileLoader, path: &Path, suffix: &str) -> Vec<String> {
    let holds = |directory: &PathBuf| {
        let listed = files.is_dir(directory).then(|| files.list(directory).ok()).flatten();
        listed.is_some_and(|listed| listed.iter().any(|file| file.to_string_lossy().ends_with(suffix)))
    };
    let below = files.list(path).unwrap_or_default().into_iter().filter(holds);
    let mut names: Vec<String> = below.map(|directory| directory.display().to_string()).collect();
    names.sort();
    names.truncate(10);
    names
}

/// The files of the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFiles;

/// Largest file a template may read. A device or an image must not fill the memory.
const MAX_FILE: u64 = 64 << 20;

impl FileLoader for HostFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        use std::io::Read as _;
        let mut content = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 64 MiB"));
        }
        Ok(content)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn home(&self) -> Option<PathBuf> {
        std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
    }
}
