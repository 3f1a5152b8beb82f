//! The layers a rootfs guest's root is stacked from: each step writes to one of its own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use super::root::{self, Root};
use super::{copy, host, reap, reexec};
use crate::error::{Context as _, Error, Result};

/// How a step's layer relates to those below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel lays it over them: it holds only what is different.
    Overlay,
    /// It starts as a copy of them, and so holds everything.
    Copy,
}

/// The layers of a build, from its base up.
#[derive(Debug)]
pub struct Layers {
    kind: Kind,
    directory: PathBuf,
    /// Finished layers, the base first; with [`Kind::Copy`] the last one is whole by itself.
    finished: Vec<PathBuf>,
    /// The layer being written.
    open: Option<PathBuf>,
    next: usize,
}

impl Layers {
    /// Layers over `base` (a directory that is only read), kept in `directory`, which is empty and private to the
    /// build. Tries first whether overlay mounts work there.
    pub async fn new(base: PathBuf, directory: PathBuf, program: &Path) -> Result<Self> {
        let kind = if overlay_works(&directory, program).await? { Kind::Overlay } else { Kind::Copy };
        Ok(Self { kind, directory, finished: vec![base], open: None, next: 1 })
    }

    /// Uses copies from now on, whether or not overlays work.
    pub fn use_copies(&mut self) {
        self.kind = Kind::Copy;
    }

    /// How layers relate.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Finished layers, the base first. With [`Kind::Overlay`] the image is all of them over each other, whiteouts and
    /// opaque directories in overlayfs's `userxattr` form; with [`Kind::Copy`] it is the last.
    pub fn finished(&self) -> &[PathBuf] {
        &self.finished
    }

    /// Opens a new layer on top, and returns the root to start a guest on.
    pub async fn begin(&mut self) -> Result<Root> {
        if self.open.is_some() {
            return Err(Error::new("a layer is still open"));
        }
        let layer = self.directory.join(format!("layer{}", self.next));
        let work = self.directory.join(format!("work{}", self.next));
        self.next += 1;
        let below = self.finished.last().cloned().unwrap_or_default();
        self.open = Some(layer.clone());
        match self.kind {
            Kind::Overlay => {
                make_like(&below, &layer).context(|| format!("cannot make the layer {}", layer.display()))?;
                fs::create_dir(&work).context(|| format!("cannot make {}", work.display()))?;
                let lowers = self.finished.iter().rev().cloned().collect();
                Ok(Root::Overlay { lowers, upper: layer, work })
            }
            Kind::Copy => {
                let (from, to) = (below, layer.clone());
                let copied = tokio::task::spawn_blocking(move || copy::tree(&from, &to)).await;
                copied
                    .context(|| "the copy of the layer below was given up".to_owned())?
                    .context(|| format!("cannot copy the layer below to {}", layer.display()))?;
                Ok(Root::Plain { directory: layer })
            }
        }
    }

    /// Keeps the open layer, once its guest has ended.
    pub fn keep(&mut self) -> Result<()> {
        let layer = self.open.take().ok_or_else(|| Error::new("no layer is open"))?;
        self.remove_work(&layer)?;
        self.finished.push(layer);
        Ok(())
    }

    /// Throws the open layer away, if there is one, once its guest has ended.
    /// Blocks while it is removed.
    pub fn discard(&mut self) -> Result<()> {
        let Some(layer) = self.open.take() else { return Ok(()) };
        self.remove_work(&layer)?;
        reap::remove_tree(&layer)
    }

    /// Throws away finished layers from the top until `count` are left, the base among them. None is open.
    /// Blocks while they are removed.
    pub fn truncate(&mut self, count: usize) -> Result<()> {
        while self.finished.len() > count.max(1) {
            if let Some(layer) = self.finished.pop() {
                reap::remove_tree(&layer)?;
            }
        }
        Ok(())
    }

    fn remove_work(&self, layer: &Path) -> Result<()> {
        let name = layer.file_name().unwrap_or_default().to_string_lossy().replace("layer", "work");
        reap::remove_tree(&self.directory.join(name))
    }
}

/// Makes a directory with the owner, permissions and time of another: those of an overlay's root are its upper layer's.
pub(crate) fn make_like(model: &Path, path: &Path) -> std::io::Result<()> {
    let metadata = fs::metadata(model)?;
    fs::create_dir(path)?;
    chown(path, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    fs::File::open(path)?.set_modified(metadata.modified()?)
}

/// Whether the kernel mounts overlays whose upper layer is in `directory`.
pub async fn overlay_works(directory: &Path, program: &Path) -> Result<bool> {
    let trial = directory.join("overlay-trial");
    let parts = ["lower", "upper", "work", "root"].map(|part| trial.join(part));
    for part in &parts {
        fs::create_dir_all(part).context(|| format!("cannot make {}", part.display()))?;
    }
    let status = tokio::process::Command::new(program)
        .arg(reexec::OVERLAY)
        .args(&parts)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context(|| format!("cannot run {} to try overlay mounts", program.display()))?;
    reap::remove_tree(&trial)?;
    Ok(status.success())
}

/// Hidden subcommand: mounts an overlay in a mount namespace of its own, and ends with it.
pub(super) fn overlay_main(arguments: &[OsString]) -> ExitCode {
    let [lower, upper, work, at] = arguments else { return ExitCode::FAILURE };
    let tried = host::probe::gain().is_ok()
        && root::mount_overlay(&[lower.into()], upper.as_ref(), work.as_ref(), at.as_ref()).is_ok();
    if tried { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn layers_are_thrown_away_from_the_top() {
        for kind in [Kind::Overlay, Kind::Copy] {
            let place = tempfile::tempdir().unwrap();
            let (base, directory) = (place.path().join("base"), place.path().join("layers"));
            fs::create_dir(&base).unwrap();
            fs::create_dir(&directory).unwrap();
            let mut layers =
                Layers { kind, directory: directory.clone(), finished: vec![base.clone()], open: None, next: 1 };
            for name in ["one", "two", "three"] {
                let (Root::Overlay { upper: layer, .. } | Root::Plain { directory: layer }) =
                    layers.begin().await.unwrap();
                fs::write(layer.join(name), name).unwrap();
                layers.keep().unwrap();
            }
            layers.truncate(2).unwrap();
            assert_eq!(layers.finished(), [base.clone(), directory.join("layer1")]);
            let (Root::Overlay { upper: layer, .. } | Root::Plain { directory: layer }) = layers.begin().await.unwrap();
            let held: Vec<_> = fs::read_dir(&layer).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(held, if kind == Kind::Copy { vec!["one"] } else { vec![] });
            layers.discard().unwrap();
            layers.truncate(0).unwrap();
            assert_eq!(layers.finished(), [base], "the base stays");
            assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        }
    }
}
