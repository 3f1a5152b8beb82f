//! From a chosen template and a filled form to files, and to a build.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Around;
use super::builtin;
use super::discover::{Card, Origin};
use super::evaluate::Evaluated;
use super::write::{self, Change, Existing, NewFile};
use crate::error::{Context as _, Error, Result};
use crate::template::Language;

/// Most bytes of a template that is copied: a directory of images is not one.
const MAX_COPY: u64 = 16 << 20;

/// What a wizard would write, and then build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The directory written to, relative to the working directory if it is below it.
    pub directory: PathBuf,
    /// What is written.
    pub files: Vec<(NewFile, Change)>,
    /// What `larder build` is given.
    pub template: PathBuf,
    /// Variable files that it is given: those it would not read of itself.
    pub var_files: Vec<PathBuf>,
    /// Variables that it is given: those that are not written, as they are sensitive.
    pub vars: Vec<(String, String)>,
}

impl Proposal {
    /// Whether files that are there would be changed.
    pub fn replaces(&self) -> bool {
        self.files.iter().any(|(_, change)| matches!(change, Change::Differs(_)))
    }

    /// Writes the files. Returns the paths written.
    pub fn write(&self, around: &Around, existing: Existing) -> Result<Vec<PathBuf>> {
        let files: Vec<NewFile> = self.files.iter().map(|(file, _)| file.clone()).collect();
        write::write(&around.cwd.join(&self.directory), &files, existing)
    }
}

/// What becomes of the chosen template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It is used where it is.
    InPlace,
    /// It is copied to this directory first.
    Copy(PathBuf),
}

/// How a template is used unless somebody says otherwise: what is not of this project is copied.
pub fn placement(card: &Card) -> Placement {
    match card.origin {
        Origin::Here | Origin::Templates => Placement::InPlace,
        Origin::User | Origin::BuiltIn => Placement::Copy(PathBuf::from(&card.name)),
    }
}

/// The variable file that a template would be given, and whether it is read without being named.
pub fn variable_file(card: &Card, placement: &Placement, language: Language) -> (PathBuf, bool) {
    if language == Language::LegacyJson {
        return (PathBuf::from(format!("{}.vars.json", card.name)), false);
    }
    let automatic = format!("{}.auto.pkrvars.hcl", card.name);
    match placement {
        Placement::Copy(directory) => (directory.join(automatic), true),
        Placement::InPlace if card.is_directory && card.origin != Origin::BuiltIn && card.origin != Origin::User => {
            let name = if card.path == Path::new(".") { automatic } else { path_name(&card.path, &automatic) };
            (PathBuf::from(name), true)
        }
        Placement::InPlace => (PathBuf::from(format!("{}.pkrvars.hcl", card.name)), false),
    }
}

fn path_name(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

/// What would be written for a form filled with `typed`.
pub fn propose(
    around: &Around,
    card: &Card,
    placement: &Placement,
    typed: &BTreeMap<String, String>,
    evaluated: &Evaluated,
) -> Result<Proposal> {
    let (variables, is_automatic) = variable_file(card, placement, evaluated.language);
    let (directory, template, mut files) = match placement {
        Placement::InPlace => (PathBuf::new(), card.path.clone(), Vec::new()),
        Placement::Copy(directory) => {
            let files = files_of(around, card)?;
            let template = match (&*files, card.is_directory) {
                ([only], false) => directory.join(&only.path),
                _ => directory.clone(),
            };
            (directory.clone(), template, files)
        }
    };
    let below = variables.strip_prefix(&directory).unwrap_or(&variables).to_owned();
    let wanted = !evaluated.variables.is_empty();
    // One that sets what is to be the default again.
    let is_stale = *placement == Placement::InPlace && is_automatic && around.cwd.join(&variables).exists();
    if wanted || is_stale {
        files.push(NewFile { path: below, content: evaluated.variables.clone().into_bytes(), mode: 0o644 });
    }
    let target = around.cwd.join(&directory);
    let files = files.into_iter().map(|file| (write::change(&target, &file), file));
    let files = files.map(|(change, file)| (file, change)).collect();
    // Automatic ones are read for directories alone.
    let is_named = wanted && (!is_automatic || template != directory && !card.is_directory);
    let var_files = if is_named { vec![variables] } else { Vec::new() };
    let vars = typed.iter().filter(|(name, _)| evaluated.not_written.contains(name));
    let vars = vars.map(|(name, text)| (name.clone(), text.clone())).collect();
    Ok(Proposal { directory, files, template, var_files, vars })
}

/// All files of a template.
fn files_of(around: &Around, card: &Card) -> Result<Vec<NewFile>> {
    if card.origin == Origin::BuiltIn {
        return Ok(builtin::find(&card.name)?.to_write());
    }
    let path = around.cwd.join(&card.path);
    let mut left = MAX_COPY;
    let mut files = Vec::new();
    if card.is_directory {
        collect(&path, Path::new(""), &mut left, &mut files)?;
    } else {
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        files.push(read(&path, name, &mut left)?);
    }
    Ok(files)
}

fn collect(directory: &Path, below: &Path, left: &mut u64, files: &mut Vec<NewFile>) -> Result<()> {
    let listed = fs::read_dir(directory).context(|| format!("cannot list {}", directory.display()))?;
    let mut entries: Vec<_> = listed.filter_map(std::result::Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let path = entry.path();
        // Of a version control system, or what an earlier build left.
        if name.to_string_lossy().starts_with('.') || name.to_string_lossy().starts_with("output-") {
            continue;
        }
        let kind = entry.file_type().context(|| format!("cannot look at {}", path.display()))?;
        if kind.is_dir() {
            collect(&path, &below.join(&name), left, files)?;
        } else if path.is_file() {
            files.push(read(&path, below.join(&name), left)?);
        }
    }
    Ok(())
}

fn read(path: &Path, name: PathBuf, left: &mut u64) -> Result<NewFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = path.metadata().context(|| format!("cannot look at {}", path.display()))?;
    *left = left.checked_sub(metadata.len()).ok_or_else(|| {
        Error::new(format!("{} is too large to be copied", path.display()))
            .hint("use the template in place, or copy it yourself")
    })?;
    let content = fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    Ok(NewFile { path: name, content, mode: metadata.permissions().mode() & 0o777 })
}
