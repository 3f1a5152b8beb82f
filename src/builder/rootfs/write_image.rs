//! The last step of the `rootfs` builder: the image in the form that was asked for.

use std::path::PathBuf;

use async_trait::async_trait;

use super::archive::Written;
use super::export::{self, Export, Format};
use super::filesystem::{self, FilesystemConfig};
use super::oci::config::OciConfig;
use super::oci::{self, Container};
use super::steps::{Shared, blocking};
use crate::engine::component::{Context, Step};
use crate::error::Result;
use crate::guest::{mapping, reap};

/// The name of the step.
pub(super) const EXPORT: &str = "export";

/// What is said of the image.
#[derive(Clone)]
pub(super) struct ImageConfig {
    /// Name of the build.
    pub(super) name: String,
    pub(super) oci: OciConfig,
    pub(super) filesystem: FilesystemConfig,
}

/// Writes the image.
pub(super) struct WriteImage {
    pub(super) machine: Shared,
    pub(super) output: PathBuf,
    pub(super) format: Format,
    pub(super) image: ImageConfig,
}

#[async_trait]
impl Step for WriteImage {
    fn name(&self) -> String {
        EXPORT.to_owned()
    }

    async fn run(&mut self, context: &Context) -> Result<()> {
        let machine = self.machine.lock().await;
        let (tree, stages, scratch) = (machine.tree()?, machine.stages()?, machine.scratch.join("image"));
        let (output, format, image, force) = (self.output.clone(), self.format, self.image.clone(), context.force);
        let (cancel, ui, clamp) = (context.cancel.clone(), context.ui.clone(), context.clamp);
        context.ui.say(&format!("Writing {}", self.output.display()));
        let digest = blocking(move || {
            let mut progress = |done: Written| ui.progress("written", done.bytes, None);
            if format.is_oci() {
                let container = Container { config: &image.oci, stages: &stages, now: jiff::Timestamp::now(), clamp };
                let archive = format == Format::OciArchive;
                return oci::write(&container, &output, archive, force, &cancel, &mut progress).map(Some);
            }
            if format.is_filesystem() {
                let (config, name) = (&image.filesystem, &image.name);
                let stand_ins = !mapping::can_make_devices();
                let image = filesystem::Image { tree: &tree, config, name, clamp, scratch: &scratch, stand_ins };
                filesystem::write(&image, &output, format, force, &cancel, &mut progress)?;
                return Ok(None);
            }
            let export = Export { tree: &tree, target: &output, format, force, exclude: &[], clamp };
            export::export(&export, &cancel, &mut progress)?;
            Ok(None)
        });
        if let Some(digest) = digest.await? {
            context.ui.say(&format!("Manifest {digest}"));
        }
        if self.format == Format::Directory && mapping::is_inside() {
            context.ui.say(
                "Its files belong to your subordinate ids; a shell in which they can be packed and removed: \
                 unshare --map-root-user --map-auto",
            );
        }
        Ok(())
    }

    async fn reset(&mut self, _context: &Context) -> Result<()> {
        let scratch = self.machine.lock().await.scratch.join("image");
        blocking(move || reap::remove_tree(&scratch)).await
    }
}
