//! What works in a guest, or on the host for one: scripts, files, pauses.

use crate::engine::component::Provisioner;
use crate::engine::registry::{ComponentType, Registry};

pub mod ansible;
pub mod ansible_local;
pub mod breakpoint;
pub mod environment;
pub mod file;
pub mod lines;
pub mod local_script;
pub mod powershell;
pub mod shell;
pub mod shell_local;
pub mod sleep;
#[cfg(test)]
pub(crate) mod testing;
pub mod windows_restart;
pub mod windows_shell;

/// A kind of provisioner.
pub type ProvisionerType = ComponentType<dyn Provisioner>;

/// The kinds there are.
pub static TYPES: &[ProvisionerType] = &[shell::TYPE, shell_local::TYPE, file::TYPE, sleep::TYPE, breakpoint::TYPE];

/// The kinds whose options are described, and that cannot run yet.
pub static DESCRIBED: &[ProvisionerType] =
    &[ansible::TYPE, ansible_local::TYPE, powershell::TYPE, windows_restart::TYPE, windows_shell::TYPE];

/// Kinds Packer has, in its core or in common plugins.
const ABSENT: &[&str] = &[
    "chef-client",
    "chef-solo",
    "converge",
    "goss",
    "hcp-sbom",
    "inspec",
    "puppet-masterless",
    "puppet-server",
    "salt-masterless",
    "windows-update",
];

/// All kinds.
pub static REGISTRY: Registry<dyn Provisioner> =
    Registry { what: "provisioner", types: TYPES, described: DESCRIBED, absent: ABSENT };
