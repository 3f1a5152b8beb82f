//! Builds root file systems: a base, provisioners each in a layer of its own, and an image of it all.

pub mod archive;
pub mod compare;
pub mod config;
pub mod debian;
pub mod export;
mod filesystem;
mod machine;
mod normalise;
mod oci;
mod outlook;
mod pyc;
mod runner;
mod steps;
pub(crate) mod tape;
mod tar_reader;
mod tar_writer;
mod tree_writer;
mod write_image;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{BuilderType, PreparedBuilder, StepNames, Surroundings};
use crate::download::Downloader;
use crate::engine::artifact::Artifact;
use crate::engine::component::{Builder, Communicator, Context, Step};
use crate::engine::place;
use crate::engine::registry::Prepared;
use crate::error::{Error, Result};
use crate::plan::fetch::Outlook;
use crate::template::config::Config as _;
use config::{Base, RootfsConfig};
use export::Format;
use machine::Machine;
use steps::{BootstrapState, Debian, FromArchive, FromDirectory, Phase, Prepare, Scan, Shared, Source};
use write_image::{ImageConfig, WriteImage};

pub use machine::Services;

/// Id of this builder's artifacts.
pub const BUILDER_ID: &str = "larder.rootfs";

/// The `rootfs` builder.
pub struct Rootfs {
    machine: Shared,
    base: Base,
    checksum: Option<String>,
    output: PathBuf,
    format: Format,
    image: ImageConfig,
}

/// The name of the kind in templates.
pub const KIND: &str = "rootfs";

/// The kind of builder.
pub(super) const TYPE: BuilderType = BuilderType {
    kind: KIND,
    schema: RootfsConfig::schema,
    prepare: |body, context| {
        Prepared::<dyn PreparedBuilder>::new(body, context, config::validate, |config| Box::new(PreparedRootfs(config)))
    },
};

/// Options that are sound.
struct PreparedRootfs(RootfsConfig);

#[async_trait]
impl PreparedBuilder for PreparedRootfs {
    async fn outlook(&self, downloader: &Downloader) -> Result<Outlook> {
        outlook::outlook(&self.0, downloader).await
    }

    fn steps(&mut self) -> StepNames {
        outlook::steps(&self.0)
    }

    fn build(self: Box<Self>, around: Surroundings) -> Result<Box<dyn Builder>> {
        let config = self.0;
        let output = config.output_path(&around.build_name);
        let unsound =
            |message: String| Error::new(format!("the options of {} are not sound: {message}", around.build_name));
        let format = config.format().map_err(unsound)?;
        place::check(&output, format.is_directory(), around.force)?;
        filesystem::check_program(format)?;
        Ok(Box::new(Rootfs {
            base: config.base().map_err(|problem| unsound(problem.message))?,
            format,
            image: ImageConfig {
                name: around.build_name,
                oci: config.oci.unwrap_or_default(),
                filesystem: config.filesystem.unwrap_or_default(),
            },
            checksum: config.base_checksum,
            machine: Arc::new(Mutex::new(Machine::new(around.services, around.scratch, config.hostname)?)),
            output,
        }))
    }
}

impl Rootfs {
    fn bootstrap(&self, options: debian::DebianOptions) -> Vec<Box<dyn Step>> {
        let state = BootstrapState { options, spec: None, resolved: None, unpacked: None };
        let state = Arc::new(Mutex::new(state));
        Phase::ALL
            .into_iter()
            .map(|phase| {
                Box::new(Debian { machine: self.machine.clone(), state: state.clone(), phase }) as Box<dyn Step>
            })
            .collect()
    }
}

#[async_trait]
impl Builder for Rootfs {
    fn start_steps(&mut self) -> Vec<Box<dyn Step>> {
        let machine = self.machine.clone();
        let mut steps: Vec<Box<dyn Step>> = vec![Box::new(Prepare { machine: machine.clone() })];
        let archive = |source| FromArchive { machine: machine.clone(), source, checksum: self.checksum.clone() };
        match self.base.clone() {
            Base::Directory(source) => steps.push(Box::new(FromDirectory { machine, source })),
            Base::Archive(path) => steps.push(Box::new(archive(Source::File(path)))),
            Base::Url(url) => steps.push(Box::new(archive(Source::Url(url)))),
            Base::Debian(options) => steps.extend(self.bootstrap(options)),
        }
        steps
    }

    async fn open(&mut self, index: usize, label: &str, context: &Context) -> Result<Option<Arc<dyn Communicator>>> {
        Ok(Some(self.machine.lock().await.open(index, label, context).await?))
    }

    async fn close(&mut self, keep: bool, context: &Context) -> Result<()> {
        self.machine.lock().await.close(keep, context).await
    }

    async fn rewind(&mut self, index: usize, _context: &Context) -> Result<()> {
        self.machine.lock().await.rewind(index)
    }

    fn can_leave(&self) -> bool {
        true
    }

    async fn leave(&mut self, context: &Context) -> Vec<String> {
        self.machine.lock().await.leave(context).await
    }

    fn finish_steps(&mut self) -> Vec<Box<dyn Step>> {
        let (machine, output, format, image) =
            (self.machine.clone(), self.output.clone(), self.format, self.image.clone());
        vec![Box::new(Scan { machine: machine.clone() }), Box::new(WriteImage { machine, output, format, image })]
    }

    fn artifact(&mut self) -> Option<Artifact> {
        Some(Artifact {
            builder_id: BUILDER_ID.to_owned(),
            id: "Rootfs".to_owned(),
            files: vec![self.output.clone()],
            description: format!("root file system: {}", self.output.display()),
        })
    }

    async fn abandon(&mut self, context: &Context) {
        self.machine.lock().await.abandon(context).await;
    }
}
