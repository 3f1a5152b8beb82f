//! Components that came with Packer once, and are plugins since.

use std::collections::BTreeSet;

use super::super::legacy::outline::Outline;
use super::write::Body;
use crate::template::json::tree::{Object, Tree};

/// What kinds of components begin with, and the plugin that has them. The first that fits counts.
const PLUGINS: &[(&str, &str)] = &[
    ("alicloud", "alicloud"),
    ("amazon", "amazon"),
    ("ansible", "ansible"),
    ("azure", "azure"),
    ("chef", "chef"),
    ("cloudstack", "cloudstack"),
    ("converge", "converge"),
    ("digitalocean", "digitalocean"),
    ("docker", "docker"),
    ("googlecompute", "googlecompute"),
    ("hcloud", "hcloud"),
    ("hyperone", "hyperone"),
    ("hyperv", "hyperv"),
    ("inspec", "inspec"),
    ("jdcloud", "jdcloud"),
    ("linode", "linode"),
    ("lxc", "lxc"),
    ("lxd", "lxd"),
    ("ncloud", "ncloud"),
    ("oneandone", "oneandone"),
    ("openstack", "openstack"),
    ("oracle", "oracle"),
    ("outscale", "outscale"),
    ("parallels", "parallels"),
    ("profitbricks", "profitbricks"),
    ("proxmox", "proxmox"),
    ("puppet", "puppet"),
    ("qemu", "qemu"),
    ("salt", "salt"),
    ("scaleway", "scaleway"),
    ("tencentcloud", "tencentcloud"),
    ("triton", "triton"),
    ("ucloud", "ucloud"),
    ("vagrant", "vagrant"),
    ("virtualbox", "virtualbox"),
    ("vmware", "vmware"),
    ("vsphere", "vsphere"),
    ("yandex", "yandex"),
];

/// The plugins of the components of a template, as the block that asks for them; `None` if there are none.
pub(super) fn required(outline: &Outline) -> Option<Body> {
    let chains = outline.post_processors.iter().flatten();
    let components = outline.builders.iter().chain(&outline.provisioners).chain(&outline.error_cleanup).chain(chains);
    let plugin = |kind: &str| {
        let of = |prefix: &str| kind == prefix || kind.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-'));
        PLUGINS.iter().find(|(prefix, _)| of(prefix)).map(|(_, plugin)| *plugin)
    };
    let plugins: BTreeSet<&str> = components.filter_map(|component| plugin(&component.kind)).collect();
    if plugins.is_empty() {
        return None;
    }
    let mut body = Body::default();
    for plugin in plugins {
        let source = Tree::String(format!("github.com/hashicorp/{plugin}"));
        let version = Tree::String("~> 1".to_owned());
        let wanted = Object::from([("source".to_owned(), source), ("version".to_owned(), version)]);
        body.attribute(plugin, &Tree::Object(wanted));
    }
    Some(body)
}
