//! A file being picked for a field.

use std::path::{Path, PathBuf};

use crate::tui::state::list::Place;

/// A directory that a file is picked from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picker {
    /// The directory.
    pub directory: PathBuf,
    /// The working directory: paths below it are taken relative to it.
    pub root: PathBuf,
    /// What is in it, `..` first, then directories, then files; `None` while it is read.
    pub entries: Option<Vec<Entry>>,
    /// Where one is in it.
    pub place: Place,
}

/// A directory or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
}

impl Picker {
    /// A path as it is put into the field.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// The selected entry, with its path.
    pub fn selected(&self) -> Option<(PathBuf, &Entry)> {
        let entry = self.entries.as_ref()?.get(self.place.selected)?;
        let path = match entry.name.as_str() {
            ".." => self.directory.parent().unwrap_or(&self.directory).to_owned(),
            name => self.directory.join(name),
        };
        Some((path, entry))
    }
}
