//! What works in a guest, or on the host for one: scripts, files, pauses.

use crate::engine::component::Provisioner;
use crate::engine::registry::{self, ComponentType};
use crate::template::diagnostic::Diagnostic;

pub mod breakpoint;
pub mod environment;
pub mod file;
pub mod lines;
pub mod local_script;
pub mod shell;
pub mod shell_local;
pub mod sleep;
#[cfg(test)]
pub(crate) mod testing;

/// A kind of provisioner.
pub type ProvisionerType = ComponentType<dyn Provisioner>;

/// The kinds there are.
pub static TYPES: &[ProvisionerType] = &[shell::TYPE, shell_local::TYPE, file::TYPE, sleep::TYPE, breakpoint::TYPE];

/// Kinds Packer has, in its core or in common plugins.
const ABSENT: &[&str] = &[
    "ansible",
    "ansible-local",
    "chef-client",
    "chef-solo",
    "converge",
    "goss",
    "hcp-sbom",
    "inspec",
    "powershell",
    "puppet-masterless",
    "puppet-server",
    "salt-masterless",
    "windows-restart",
    "windows-shell",
    "windows-update",
];

/// Finds a kind of provisioner.
///
/// # Errors
/// An unknown kind; the caller adds where it is named.
pub fn find(kind: &str) -> Result<&'static ProvisionerType, Box<Diagnostic>> {
    registry::find("provisioner", TYPES, ABSENT, kind)
}
