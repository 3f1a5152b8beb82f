//! Files written all or none, and what would change.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use similar::{ChangeTag, TextDiff};
use tempfile::NamedTempFile;

use crate::error::{Context as _, Error, Result};

/// A file that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Path below the directory written to.
    pub path: PathBuf,
    /// What is to be in it.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
}

/// What happens to files that are there with other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is written.
    Refuse,
    /// They are replaced.
    Replace,
}

/// What writing a file would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not there.
    New,
    /// It is there, with the same content.
    Same,
    /// It is there with other content: the difference, line by line.
    Differs(Vec<DiffLine>),
    /// It is there, and is no file that could be replaced, or cannot be read.
    Blocked(String),
}

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// Where it is.
    pub side: Side,
    /// Its text, without the newline.
    pub text: String,
}

/// Where a line of a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In both.
    Both,
    /// In the file that is there.
    Old,
    /// In what would be written.
    New,
}

/// The difference between two texts: changed lines, with three lines around them.
pub fn diff(old: &str, new: &str) -> Vec<DiffLine> {
    let difference = TextDiff::from_lines(old, new);
    let groups = difference.grouped_ops(3);
    let changes = groups.iter().flatten().flat_map(|operation| difference.iter_changes(operation));
    changes
        .map(|change| DiffLine {
            side: match change.tag() {
                ChangeTag::Equal => Side::Both,
                ChangeTag::Delete => Side::Old,
                ChangeTag::Insert => Side::New,
            },
            text: change.value().trim_end_matches(['\n', '\r']).to_owned(),
        })
        .collect()
}

/// What writing `file` below `directory` would change.
pub fn change(directory: &Path, file: &NewFile) -> Change {
    let path = directory.join(&file.path);
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Change::New,
        Err(error) => Change::Blocked(error.to_string()),
        Ok(metadata) if !metadata.is_file() => Change::Blocked("it is not a file".to_owned()),
        Ok(_) => match fs::read(&path) {
            Err(error) => Change::Blocked(error.to_string()),
            Ok(old) if old == file.content => Change::Same,
            Ok(old) => Change::Differs(diff(&String::from_utf8_lossy(&old), &String::from_utf8_lossy(&file.content))),
        },
    }
}

/// Writes files below `directory`, which is made if it is not there. Returns the paths written; those that are there
/// with the same content are left alone. Every file is whole before the first takes its place by a rename, so that a full
/// disk or a missing permission leaves all as it was.
pub fn write(directory: &Path, files: &[NewFile], existing: Existing) -> Result<Vec<PathBuf>> {
    let mut wanted = Vec::new();
    let mut in_the_way = Vec::new();
    for file in files {
        if file.path.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(Error::new(format!("{} is no path below a directory", file.path.display()))
                .hint("leave out / at its start and .."));
        }
        let path = directory.join(&file.path);
        match change(directory, file) {
            Change::Same => continue,
            Change::New => {}
            Change::Differs(_) if existing == Existing::Replace => {}
            Change::Differs(_) => in_the_way.push(path.display().to_string()),
            Change::Blocked(why) => {
                return Err(Error::new(format!("cannot write {}: {why}", path.display()))
                    .hint("nothing was written; choose another directory"));
            }
        }
        wanted.push((path, file));
    }
    if !in_the_way.is_empty() {
        let list = in_the_way.join(", ");
        return Err(Error::new(format!("there already, with other content: {list}"))
            .hint("nothing was written; choose another directory, or --force to replace what is there"));
    }
    Staged::new(&wanted)?.commit()
}

/// Files written beside the places they are for, and directories made for them. Dropped before they are all in place,
/// nothing of them stays.
struct Staged {
    files: Vec<(NamedTempFile, PathBuf)>,
    made: Vec<PathBuf>,
    placed: Vec<PathBuf>,
    done: bool,
}

impl Staged {
    fn new(wanted: &[(PathBuf, &NewFile)]) -> Result<Self> {
        let mut staged = Self { files: Vec::new(), made: Vec::new(), placed: Vec::new(), done: false };
        for (path, file) in wanted {
            let parent = path.parent().unwrap_or(Path::new(""));
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            staged.make_directory(parent)?;
            let written = NamedTempFile::new_in(parent).and_then(|mut temporary| {
                temporary.write_all(&file.content)?;
                temporary.as_file().set_permissions(fs::Permissions::from_mode(file.mode))?;
                Ok(temporary)
            });
            let temporary = written
                .map_err(|error| Error::new(format!("cannot write {}", path.display())).caused_by(error))
                .map_err(|error| error.hint("nothing was written"))?;
            staged.files.push((temporary, path.clone()));
        }
        Ok(staged)
    }

    fn make_directory(&mut self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.make_directory(parent)?;
        }
        fs::create_dir(path).context(|| format!("cannot make {}", path.display()))?;
        self.made.push(path.to_owned());
        Ok(())
    }

    fn commit(mut self) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        for (temporary, path) in std::mem::take(&mut self.files) {
            let is_new = !path.exists();
            temporary
                .persist(&path)
                .map_err(|error| error.error)
                .context(|| format!("cannot write {}", path.display()))?;
            if is_new {
                self.placed.push(path.clone());
            }
            written.push(path);
        }
        self.done = true;
        Ok(written)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.files.clear();
        for path in self.placed.drain(..) {
            let _ = fs::remove_file(path);
        }
        // Only what was made here, and only if nothing else has come into it.
        for path in self.made.drain(..).rev() {
            let _ = fs::remove_dir(path);
        }
    }
}
