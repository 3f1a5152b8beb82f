//! What makes machines and images.

use crate::engine::component::Builder;
use crate::engine::registry::{self, ComponentType};
use crate::template::diagnostic::Diagnostic;

pub mod file;
pub mod null;

/// A kind of builder.
pub type BuilderType = ComponentType<dyn Builder>;

/// The kinds there are.
pub static TYPES: &[BuilderType] = &[file::TYPE, null::TYPE];

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
    "docker",
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
    "qemu",
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

/// Finds a kind of builder.
///
/// # Errors
/// An unknown kind; the caller adds where it is named.
pub fn find(kind: &str) -> Result<&'static BuilderType, Box<Diagnostic>> {
    registry::find("builder", TYPES, ABSENT, kind)
}
