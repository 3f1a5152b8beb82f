//! What is done with the artifact of a build.

use crate::engine::component::PostProcessor;
use crate::engine::registry::{self, ComponentType};
use crate::template::diagnostic::Diagnostic;

pub mod artifice;
pub mod checksum;
pub mod compress;
pub mod manifest;
mod output;
pub mod shell_local;

/// A kind of post-processor.
pub type PostProcessorType = ComponentType<dyn PostProcessor>;

/// The kinds there are.
pub static TYPES: &[PostProcessorType] =
    &[artifice::TYPE, checksum::TYPE, compress::TYPE, manifest::TYPE, shell_local::TYPE];

/// Kinds Packer has, in its core or in common plugins.
const ABSENT: &[&str] = &[
    "alicloud-import",
    "amazon-import",
    "digitalocean-import",
    "docker-import",
    "docker-push",
    "docker-save",
    "docker-tag",
    "exoscale-import",
    "googlecompute-export",
    "googlecompute-import",
    "provenance",
    "ucloud-import",
    "vagrant",
    "vagrant-cloud",
    "vagrant-registry",
    "vsphere",
    "vsphere-template",
    "yandex-export",
    "yandex-import",
];

/// Finds a kind of post-processor.
///
/// # Errors
/// An unknown kind; the caller adds where it is named.
pub fn find(kind: &str) -> Result<&'static PostProcessorType, Box<Diagnostic>> {
    registry::find("post-processor", TYPES, ABSENT, kind)
}

/// The paths of files, for a message.
fn listed(files: &[std::path::PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}
