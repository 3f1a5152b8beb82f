//! What makes machines and images.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::download::Downloader;
use crate::engine::component::{Builder, Step};
use crate::engine::registry::{ComponentType, Registry};
use crate::error::Result as Outcome;
use crate::plan::fetch::Outlook;

pub mod docker;
pub mod file;
pub mod null;
pub mod options;
pub mod qemu;
pub mod rootfs;

/// A kind of builder.
pub type BuilderType = ComponentType<dyn PreparedBuilder>;

/// The kinds there are.
pub static TYPES: &[BuilderType] = &[file::TYPE, null::TYPE, rootfs::TYPE];

/// A builder whose options are sound, before it is told where it runs.
#[async_trait]
pub trait PreparedBuilder: Send + Sync {
    /// What it will fetch by itself, as far as that is known beforehand. `downloader` gives what is at hand and refuses
    /// the rest.
    async fn outlook(&self, _downloader: &Downloader) -> Outcome<Outlook> {
        Ok(Outlook::default())
    }

    /// The names of its steps. Asked of a builder that is not to run.
    fn steps(&mut self) -> StepNames;

    /// Makes the builder.
    fn build(self: Box<Self>, around: Surroundings) -> Outcome<Box<dyn Builder>>;
}

/// Builders that need to know nothing of where they run.
impl<B: Builder + Sync + 'static> PreparedBuilder for B {
    fn steps(&mut self) -> StepNames {
        let names = |steps: Vec<Box<dyn Step>>| steps.iter().map(|step| step.name()).collect();
        StepNames { before: names(self.start_steps()), after: names(self.finish_steps()) }
    }

    fn build(self: Box<Self>, _around: Surroundings) -> Outcome<Box<dyn Builder>> {
        Ok(self)
    }
}

/// The names of a builder's steps, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepNames {
    /// Those up to a machine in which provisioners can work.
    pub before: Vec<String>,
    /// Those that make the image of it.
    pub after: Vec<String>,
}

/// Where a builder runs.
pub struct Surroundings {
    /// Name of the source.
    pub build_name: String,
    /// Whether existing output may be replaced.
    pub force: bool,
    /// Where scratch files go: a path that does not exist yet.
    pub scratch: PathBuf,
    /// The proxy, and what else guests need.
    pub services: rootfs::Services,
}

/// Whether builders of a kind make files of several owners, and so need ids besides the user's own.
pub fn needs_ids(kind: &str) -> bool {
    kind == rootfs::KIND
}

/// The kinds whose options are described, and that cannot run yet.
pub static DESCRIBED: &[BuilderType] = &[docker::TYPE, qemu::TYPE];

/// Kinds Packer has plugins for.
const ABSENT: &[&str] = &[
    "amazon-chroot",
    "amazon-ebs",
    "amazon-ebssurrogate",
    "amazon-ebsvolume",
    "amazon-instance",
    "arm",
    "azure-arm",
    "azure-chroot",
    "digitalocean",
    "googlecompute",
    "hcloud",
    "hyperv-iso",
    "hyperv-vmcx",
    "linode",
    "lxc",
    "lxd",
    "oneandone",
    "openstack",
    "oracle-oci",
    "parallels-iso",
    "parallels-pvm",
    "proxmox-clone",
    "proxmox-iso",
    "scaleway",
    "tart-cli",
    "vagrant",
    "virtualbox-iso",
    "virtualbox-ovf",
    "virtualbox-vm",
    "vmware-iso",
    "vmware-vmx",
    "vsphere-clone",
    "vsphere-iso",
    "vultr",
    "yandex",
];

/// All kinds.
pub static REGISTRY: Registry<dyn PreparedBuilder> =
    Registry { what: "builder", types: TYPES, described: DESCRIBED, absent: ABSENT };
