//! What is done with the artifact of a build.

use crate::engine::component::PostProcessor;
use crate::engine::registry::{ComponentType, Registry};

pub mod amazon_import;
pub mod artifice;
pub mod checksum;
pub mod compress;
pub mod docker;
pub mod manifest;
mod output;
pub mod shell_local;
pub mod vagrant;
pub mod vagrant_cloud;

/// A kind of post-processor.
pub type PostProcessorType = ComponentType<dyn PostProcessor>;

/// The kinds there are.
pub static TYPES: &[PostProcessorType] =
    &[artifice::TYPE, checksum::TYPE, compress::TYPE, manifest::TYPE, shell_local::TYPE];

/// The kinds whose options are described, and that cannot run yet.
pub static DESCRIBED: &[PostProcessorType] = &[
    amazon_import::TYPE,
    docker::import::TYPE,
    docker::push::TYPE,
    docker::save::TYPE,
    docker::tag::TYPE,
    vagrant::TYPE,
    vagrant_cloud::TYPE,
];

/// Kinds Packer has, in its core or in common plugins.
const ABSENT: &[&str] = &[
    "alicloud-import",
    "digitalocean-import",
    "exoscale-import",
    "googlecompute-export",
    "googlecompute-import",
    "provenance",
    "ucloud-import",
    "vagrant-registry",
    "vsphere",
    "vsphere-template",
    "yandex-export",
    "yandex-import",
];

/// All kinds.
pub static REGISTRY: Registry<dyn PostProcessor> =
    Registry { what: "post-processor", types: TYPES, described: DESCRIBED, absent: ABSENT };

/// The paths of files, for a message.
fn listed(files: &[std::path::PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}
