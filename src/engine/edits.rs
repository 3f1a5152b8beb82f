//! Copies of a step's scripts that a person edits before it runs again.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::component::{Replaced, ScriptText};
use crate::error::{Context as _, Result};
use crate::event::question::Script;

/// The copies of one step.
#[derive(Debug, Default)]
pub(super) struct Edits {
    copies: Vec<Copy>,
}

#[derive(Debug)]
struct Copy {
    name: String,
    path: PathBuf,
    original: Vec<u8>,
}

impl Edits {
    /// Writes copies of the scripts into `directory`, readable by their owner only: a script may hold secrets. They can
    /// be executed, as scripts of the host are.
    pub(super) fn write(scripts: Vec<ScriptText>, directory: &Path, step_index: usize) -> Result<Self> {
        let mut copies = Vec::new();
        if !scripts.is_empty() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.context(|| format!("cannot make {}", directory.display()))?;
        }
        for (number, script) in scripts.into_iter().enumerate() {
            let base = Path::new(&script.name).file_name().unwrap_or_default().to_string_lossy().into_owned();
            let path = directory.join(format!("{}-{}-{base}", step_index + 1, number + 1));
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o700);
            let written = options.open(&path).and_then(|mut file| file.write_all(&script.text));
            written.context(|| format!("cannot write a copy of {} to {}", script.name, path.display()))?;
            copies.push(Copy { name: script.name, path, original: script.text });
        }
        Ok(Self { copies })
    }

    /// The copies, for a question.
    pub(super) fn scripts(&self) -> Vec<Script> {
        self.copies.iter().map(|copy| Script { name: copy.name.clone(), path: copy.path.clone() }).collect()
    }

    /// What is to run in the place of the scripts: the copies that differ from them.
    pub(super) fn replaced(&self) -> Replaced {
        let edited = |copy: &Copy| fs::read(&copy.path).is_ok_and(|text| text != copy.original);
        self.copies.iter().map(|copy| edited(copy).then(|| copy.path.clone())).collect()
    }

    /// Names and paths of the copies that are edited.
    pub(super) fn edited(&self) -> Vec<Script> {
        let replaced = self.replaced();
        self.scripts().into_iter().zip(replaced).filter_map(|(script, path)| path.map(|_| script)).collect()
    }
}
