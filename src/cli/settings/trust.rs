//! Which projects' settings files the user trusts: by path and by what is in them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};

use crate::error::{Context as _, Error, Result};

/// How a file stands with the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The user has trusted it as it is.
    Trusted,
    /// The user has trusted it as it was.
    Changed,
    /// The user has never trusted it.
    Unknown,
}

/// Records that the user trusts a project's file as it is now. The record is kept in the state directory.
pub fn trust(state_dir: &Path, path: &Path) -> Result<()> {
    let content = fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    change(state_dir, |records| {
        records.insert(canonical(path)?, digest(&content));
        Ok(())
    })
}

/// Takes back [`trust`]. Tells whether the file was trusted.
pub fn distrust(state_dir: &Path, path: &Path) -> Result<bool> {
    let mut was = false;
    change(state_dir, |records| {
        was = records.remove(&canonical(path)?).is_some();
        Ok(())
    })?;
    Ok(was)
}

/// Whether the user trusts a file that has this content.
pub fn is_trusted(state_dir: &Path, path: &Path, content: &[u8]) -> Result<bool> {
    Ok(standing(state_dir, path, content)? == Trust::Trusted)
}

/// How a file that has this content stands with the user.
pub fn standing(state_dir: &Path, path: &Path, content: &[u8]) -> Result<Trust> {
    let records = read(state_dir)?;
    Ok(match records.get(&canonical(path)?) {
        Some(trusted) if *trusted == digest(content) => Trust::Trusted,
        Some(_) => Trust::Changed,
        None => Trust::Unknown,
    })
}

fn store(state_dir: &Path) -> PathBuf {
    state_dir.join("trusted-projects.json")
}

fn digest(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

fn canonical(path: &Path) -> Result<String> {
    let path = path.canonicalize().context(|| format!("cannot find {}", path.display()))?;
    path.into_os_string().into_string().map_err(|path| {
        Error::new(format!("cannot trust {}: its name is not UTF-8", path.display())).hint("rename the directory")
    })
}

fn read(state_dir: &Path) -> Result<BTreeMap<String, String>> {
    let path = store(state_dir);
    match fs::read(&path) {
        Ok(content) => serde_json::from_slice(&content).map_err(|error| {
            Error::new(format!("cannot read the trusted projects in {}", path.display()))
                .caused_by(error)
                .hint("remove the file and trust the projects again")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).context(|| format!("cannot read the trusted projects in {}", path.display())),
    }
}

fn change(state_dir: &Path, change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<()>) -> Result<()> {
    let path = store(state_dir);
    let what = || format!("cannot record the trusted project in {}", path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).context(what)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.with_extension("lock"))
        .context(what)?;
    flock(&lock, FlockOperation::LockExclusive).context(what)?;
    let mut records = read(state_dir)?;
    change(&mut records)?;
    let json = serde_json::to_vec_pretty(&records).context(what)?;
    let mut file = tempfile::NamedTempFile::new_in(state_dir).context(what)?;
    file.write_all(&json).and_then(|()| file.as_file().sync_all()).context(what)?;
    file.persist(&path).context(what)?;
    Ok(())
}
