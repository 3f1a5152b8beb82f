//! Container images: the layout of the OCI image format specification 1.1, as a directory or in a tar archive.

mod blob;
pub(super) mod config;
mod difference;
mod document;
mod platform;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::archive::{Progress, Written, stop_if};
use super::tape::{Tape, WHITEOUT};
use super::tar_writer::{Content, TarWriter};
use crate::engine::clamp::Clamp;
use crate::engine::place;
use crate::error::{Context as _, Error, Result};
use crate::guest::layers::{Entry, Layers};
use crate::guest::rooted::Attributes;
use crate::pack::{self, Packer, Stoppable};
use blob::{Blobs, Digesting};
use config::OciConfig;
use difference::{Change, difference};
use document::{CONFIG, Descriptor, DockerImage, History, INDEX, Image, Index, LAYER, LAYOUT, MANIFEST, Manifest};

/// The tree as it was at some time of the build.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) tree: Layers,
    /// What made it so.
    pub(super) made_by: String,
}

/// A container image to write.
pub(super) struct Container<'a> {
    pub(super) config: &'a OciConfig,
    /// The base, and the tree after each provisioner. There is at least one.
    pub(super) stages: &'a [Stage],
    pub(super) now: jiff::Timestamp,
    /// The latest time the image holds, which it is then said to have been made at.
    pub(super) clamp: Clamp,
}

/// Writes the layout, and returns the digest of the manifest. On an error, or when `cancel` fires, nothing is left and
/// the target is as it was.
pub(super) fn write(
    container: &Container<'_>,
    target: &Path,
    archive: bool,
    force: bool,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<String> {
    if !archive {
        return place::directory(target, force, cancel, |layout| container.layout(layout, false, cancel, progress));
    }
    place::file(target, force, cancel, |file| {
        let beside = file.path().parent().unwrap_or(Path::new("."));
        let layout = tempfile::Builder::new().prefix(".layout.larder-").tempdir_in(beside);
        let layout = layout.context(|| format!("cannot write in {}", beside.display()))?;
        let digest = container.layout(layout.path(), true, cancel, progress)?;
        let output = BufWriter::with_capacity(1 << 20, file.as_file());
        container.pack(layout.path(), output, cancel).context(|| "cannot put the layout together".to_owned())?;
        layout.close().context(|| "cannot remove the layout that is in the archive".to_owned())?;
        Ok(digest)
    })
}

/// A layer that was written.
struct Layer {
    blob: Descriptor,
    /// Digest before it was packed.
    diff_id: String,
}

impl Container<'_> {
    fn layout(
        &self,
        directory: &Path,
        docker: bool,
        cancel: &CancellationToken,
        progress: Progress<'_>,
    ) -> Result<String> {
        let blobs = Blobs::new(directory)?;
        let (layers, history) = self.layers(&blobs, cancel, progress)?;
        let last = self.stages.last().ok_or_else(|| Error::new("there is no image to write"))?;
        let platform = self.config.platform().unwrap_or_else(|| platform::of_tree(&last.tree));
        let image = Image {
            created: self.created(),
            author: self.config.author.clone(),
            platform: platform.clone(),
            config: self.config.execution(),
            rootfs: document::Rootfs {
                kind: "layers",
                diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
            },
            history,
        };
        let config = blobs.document(&image, CONFIG)?;
        let for_docker = [DockerImage {
            config: blob::path(&config.digest),
            repo_tags: self.repo_tag().into_iter().collect(),
            layers: layers.iter().map(|layer| blob::path(&layer.blob.digest)).collect(),
        }];
        let layers = layers.into_iter().map(|layer| layer.blob).collect();
        let manifest = Manifest { schema_version: 2, media_type: MANIFEST, config, layers };
        let mut manifest = blobs.document(&manifest, MANIFEST)?;
        let digest = manifest.digest.clone();
        manifest.annotations.insert(document::REF_NAME, self.config.tag.clone());
        manifest.platform = Some(platform);
        let index = Index { schema_version: 2, media_type: INDEX, manifests: vec![manifest] };
        put(directory, "oci-layout", LAYOUT.as_bytes())?;
        put(directory, "index.json", &json(&index)?)?;
        if docker {
            put(directory, "manifest.json", &json(&for_docker)?)?;
        }
        Ok(digest)
    }

    /// The layers, and what made them.
    fn layers(
        &self,
        blobs: &Blobs,
        cancel: &CancellationToken,
        progress: Progress<'_>,
    ) -> Result<(Vec<Layer>, Vec<History>)> {
        let (mut layers, mut history) = (Vec::new(), Vec::new());
        let stages = if self.config.squash { &self.stages[self.stages.len().saturating_sub(1)..] } else { self.stages };
        let mut before = Written::default();
        for (index, stage) in stages.iter().enumerate() {
            let below = index.checked_sub(1).map(|below| &stages[below].tree);
            let mut written = Written::default();
            let mut note = |done: Written| {
                written = done;
                progress(Written { entries: before.entries + done.entries, bytes: before.bytes + done.bytes, ..done });
            };
            let layer = self.layer(blobs, below, &stage.tree, cancel, &mut note)?;
            before.entries += written.entries;
            before.bytes += written.bytes;
            let made_by = if self.config.squash { "all steps" } else { &stage.made_by };
            history.push(History {
                created: self.created(),
                created_by: format!("larder: {made_by}"),
                empty_layer: layer.is_none(),
            });
            layers.extend(layer);
        }
        Ok((layers, history))
    }

    /// What is different from the tree below, if anything is.
    fn layer(
        &self,
        blobs: &Blobs,
        below: Option<&Layers>,
        tree: &Layers,
        cancel: &CancellationToken,
        progress: Progress<'_>,
    ) -> Result<Option<Layer>> {
        let codec = self.config.codec().flatten();
        let level = codec.map_or(0, |codec| codec.level(self.config.compression_level));
        let packer = Packer::new(blobs.begin()?, codec, level, pack::threads());
        let packer = packer.context(|| "cannot start to pack a layer".to_owned())?;
        let mut tape =
            Tape::new(TarWriter::new(Digesting::new(Stoppable::new(packer, cancel))).clamped(self.clamp), "");
        let mut add = |tape: &mut Tape<_>, entry: &Entry| {
            stop_if(cancel)?;
            representable(&entry.path)?;
            tape.add(entry).context(|| format!("cannot add {}", entry.source.display()))?;
            progress(tape.written);
            Ok(())
        };
        match below {
            None => tree.walk(&mut |entry| add(&mut tape, entry).map(|()| true))?,
            Some(below) => difference(below, tree, self.clamp, cancel, &mut |change| match change {
                Change::Present(entry) => add(&mut tape, entry),
                Change::Removed(path) => {
                    tape.whiteout(path).context(|| format!("cannot note that {} is gone", path.display()))
                }
            })?,
        }
        let empty = tape.written.entries == 0;
        let ended = || "cannot write the end of a layer".to_owned();
        let (packer, diff_id, _) = tape.finish().context(ended)?.finish();
        let blob = packer.into_inner().finish().context(ended)?;
        if empty {
            blobs.discard(blob)?;
            return Ok(None);
        }
        let suffix = if codec.is_none() { String::new() } else { format!("+{}", self.config.compression) };
        Ok(Some(Layer { blob: blobs.finish(blob, format!("{LAYER}{suffix}"))?, diff_id }))
    }

    /// The layout as a tar archive.
    fn pack(&self, layout: &Path, output: impl Write, cancel: &CancellationToken) -> Result<()> {
        let mut writer = TarWriter::new(Stoppable::new(output, cancel));
        let mtime = (self.made_at().as_second(), 0);
        let failed = || "cannot write the archive".to_owned();
        Layers::new([layout.to_owned()]).walk(&mut |entry| {
            stop_if(cancel)?;
            if entry.path.as_os_str().is_empty() {
                return Ok(true);
            }
            let attributes = |mode| Attributes { mode, uid: 0, gid: 0, mtime };
            if entry.metadata.is_dir() {
                let mut nothing = io::empty();
                let written = writer.entry(&entry.path, &attributes(0o755), &[], Content::Directory, &mut nothing);
                written.context(failed)?;
            } else {
                let mut file = File::open(&entry.source).context(failed)?;
                let content = Content::File(entry.metadata.len());
                writer.entry(&entry.path, &attributes(0o644), &[], content, &mut file).context(failed)?;
                // There is room for it once.
                fs::remove_file(&entry.source).context(failed)?;
            }
            Ok(true)
        })?;
        writer.finish().and_then(|mut output| output.flush()).context(failed)
    }

    /// When the image is said to have been made.
    fn made_at(&self) -> jiff::Timestamp {
        let clamped = self.clamp.seconds().map(|seconds| jiff::Timestamp::from_second(seconds.into()));
        clamped.and_then(Result::ok).unwrap_or(self.now)
    }

    fn created(&self) -> String {
        self.made_at().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The name as Docker takes it, which must have a tag.
    fn repo_tag(&self) -> Option<String> {
        let last = self.config.tag.rsplit('/').next()?;
        (last.contains(':') && !last.contains('@')).then(|| self.config.tag.clone())
    }
}

fn json(document: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).context(|| "cannot write a document of the image".to_owned())
}

fn put(directory: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = directory.join(name);
    // The umask has no say, as with the blobs.
    fs::write(&path, content)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)))
        .context(|| format!("cannot write {name}"))
}

/// Refuses names that mean something else in a layer.
fn representable(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default();
    if !name.as_encoded_bytes().starts_with(WHITEOUT.as_bytes()) {
        return Ok(());
    }
    Err(Error::new(format!("/{} cannot be in a container image: `.wh.` marks removed files there", path.display()))
        .hint("remove or rename it in a provisioner, or write a tar archive"))
}

#[cfg(test)]
mod tests;
