//! The fixers of `larder fix`: what has been renamed, moved or removed in legacy templates since it was written in
//! them, in the order of the versions that did it.

use super::parse;
use super::tree::{Object, Tree};
use crate::template::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::template::source_map::SourceMap;
use change::{Change, Existing, Kinds, Of, Place, Rule};

mod builder;
mod change;
mod post_processor;
mod provisioner;
#[cfg(test)]
mod tests;

/// Repairs one kind of thing that newer versions do not take.
#[derive(Debug)]
pub struct Fixer {
    /// Its name, as Packer's help has it.
    pub name: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    rules: &'static [Rule],
}

/// An option that a fixer takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecated {
    /// The option.
    pub option: &'static str,
    /// What is written instead, if one option takes its place.
    pub replaced_by: Option<&'static str>,
}

/// Why a template cannot be fixed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FixError {
    /// A part of the template is not what all fixers take it for.
    #[error("`{part}` must be {expected}, found {found}")]
    Shape { part: &'static str, expected: &'static str, found: &'static str },
    /// An option has a value its fixer can do nothing with.
    #[error("`{option}` must be {expected}, found {found}")]
    Option { option: &'static str, expected: &'static str, found: String },
}

const AMAZON: Kinds = Kinds::Prefix("amazon-");
const PARALLELS: Kinds = Kinds::Are(&["parallels-iso", "parallels-pvm"]);
const HYPERV: Kinds = Kinds::Are(&["hyperv-vmcx", "hyperv-iso"]);

const fn fixer(name: &'static str, description: &'static str, rules: &'static [Rule]) -> Fixer {
    Fixer { name, description, rules }
}

const fn rule(place: Place, kinds: Kinds, change: Change) -> Rule {
    Rule { place, kinds, change }
}

const fn rename(from: &'static str, to: &'static str, of: Of, existing: Existing) -> Change {
    Change::Rename { from, to, of, existing }
}

/// All fixers, in the order they run.
pub const FIXERS: &[Fixer] = &[
    fixer(
        "iso-md5",
        "Makes `iso_md5` of a builder an `iso_checksum`",
        &[rule(Place::Builders, Kinds::Any, Change::By(&["iso_md5"], builder::iso_md5))],
    ),
    fixer(
        "createtime",
        "Makes {{.CreateTime}} in names of a builder's images {{timestamp}}",
        &[rule(Place::Builders, Kinds::Any, Change::By(&[], builder::create_time))],
    ),
    fixer(
        "virtualbox-gaattach",
        "Makes `guest_additions_attach` of a virtualbox builder a `guest_additions_mode`",
        &[rule(
            Place::Builders,
            Kinds::Are(&["virtualbox"]),
            Change::By(&["guest_additions_attach"], builder::guest_additions),
        )],
    ),
    fixer(
        "pp-vagrant-override",
        "Moves what the vagrant post-processor does for one provider into `override`",
        &[rule(
            Place::PostProcessors,
            Kinds::Are(&["vagrant"]),
            Change::By(post_processor::PROVIDERS, post_processor::vagrant_override),
        )],
    ),
    fixer(
        "virtualbox-rename",
        "Makes virtualbox builders virtualbox-iso builders, also in overrides of provisioners",
        &[
            rule(Place::Builders, Kinds::Are(&["virtualbox"]), Change::Retype("virtualbox-iso")),
            rule(Place::Provisioners, Kinds::Any, Change::Try(&[], provisioner::virtualbox_override)),
        ],
    ),
    fixer(
        "vmware-rename",
        "Makes vmware builders vmware-iso builders",
        &[rule(Place::Builders, Kinds::Are(&["vmware"]), Change::Retype("vmware-iso"))],
    ),
    fixer(
        "parallels-headless",
        "Removes `headless` from parallels builders",
        &[rule(Place::Builders, PARALLELS, Change::Remove("headless"))],
    ),
    fixer(
        "parallels-deprecations",
        "Removes `parallels_tools_host_path` from parallels builders, and makes `guest_os_distribution` \
                      `guest_os_type`",
        &[
            rule(Place::Builders, PARALLELS, Change::Remove("parallels_tools_host_path")),
            rule(
                Place::Builders,
                PARALLELS,
                rename("guest_os_distribution", "guest_os_type", Of::Any, Existing::Replace),
            ),
        ],
    ),
    fixer(
        "sshkeypath",
        "Makes `ssh_key_path` of a builder `ssh_private_key_file`",
        &[rule(
            Place::Builders,
            Kinds::Any,
            rename("ssh_key_path", "ssh_private_key_file", Of::String, Existing::Keep),
        )],
    ),
    fixer(
        "sshdisableagent",
        "Makes `ssh_disable_agent` of a builder `ssh_disable_agent_forwarding`",
        &[rule(
            Place::Builders,
            Kinds::Any,
            rename("ssh_disable_agent", "ssh_disable_agent_forwarding", Of::Bool, Existing::Keep),
        )],
    ),
    fixer(
        "scaleway-access-key",
        "Makes `access_key` of a scaleway builder `organization_id`",
        &[rule(
            Place::Builders,
            Kinds::Are(&["scaleway"]),
            rename("access_key", "organization_id", Of::String, Existing::Keep),
        )],
    ),
    fixer(
        "manifest-filename",
        "Makes `filename` of the manifest post-processor `output`",
        &[rule(
            Place::PostProcessors,
            Kinds::Are(&["manifest"]),
            rename("filename", "output", Of::String, Existing::Replace),
        )],
    ),
    fixer(
        "amazon-shutdown_behavior",
        "Makes `shutdown_behaviour` of an amazon builder `shutdown_behavior`",
        &[rule(Place::Builders, AMAZON, rename("shutdown_behaviour", "shutdown_behavior", Of::Any, Existing::Replace))],
    ),
    fixer(
        "amazon-enhanced-networking",
        "Makes `enhanced_networking` of an amazon builder `ena_support`",
        &[rule(Place::Builders, AMAZON, rename("enhanced_networking", "ena_support", Of::Bool, Existing::Replace))],
    ),
    fixer(
        "amazon-private-ip",
        "Makes `ssh_private_ip` of an amazon builder an `ssh_interface`",
        &[rule(Place::Builders, AMAZON, Change::Try(&["ssh_private_ip"], builder::private_ip))],
    ),
    fixer(
        "amazon-temp-sec-cidrs",
        "Makes `temporary_security_group_source_cidr` of an amazon builder a list, \
                      `temporary_security_group_source_cidrs`",
        &[rule(Place::Builders, AMAZON, Change::By(&["temporary_security_group_source_cidr"], builder::source_cidrs))],
    ),
    fixer(
        "docker-email",
        "Removes `login_email` from builders and post-processors",
        &[
            rule(Place::BuildersBeforePostProcessors, Kinds::Any, Change::Remove("login_email")),
            rule(Place::PostProcessors, Kinds::Any, Change::Remove("login_email")),
        ],
    ),
    fixer(
        "docker-tag-tags",
        "Makes `tag` of the docker-tag post-processor `tags`",
        &[rule(Place::PostProcessors, Kinds::Are(&["docker-tag"]), Change::Try(&["tag"], post_processor::docker_tags))],
    ),
    fixer(
        "powershell-escapes",
        "Removes PowerShell's escapes from variables, user and password of a powershell provisioner",
        &[rule(Place::Provisioners, Kinds::Are(&["powershell"]), Change::Try(&[], provisioner::powershell_escapes))],
    ),
    fixer(
        "vmware-compaction",
        "Sets `skip_compaction` of a vmware-iso builder whose kind of disk cannot be compacted",
        &[rule(Place::Builders, Kinds::Are(&["vmware-iso"]), Change::By(&[], builder::vmware_compaction))],
    ),
    fixer(
        "hyperv-deprecations",
        "Removes `vhd_temp_path` from hyperv-iso builders",
        &[rule(Place::Builders, Kinds::Are(&["hyperv-iso"]), Change::Remove("vhd_temp_path"))],
    ),
    fixer(
        "hyperv-vmxc-typo",
        "Makes `clone_from_vmxc_path` of a hyperv-vmcx builder `clone_from_vmcx_path`",
        &[rule(
            Place::Builders,
            Kinds::Are(&["hyperv-vmcx"]),
            rename("clone_from_vmxc_path", "clone_from_vmcx_path", Of::Any, Existing::Replace),
        )],
    ),
    fixer(
        "hyperv-cpu-and-ram",
        "Makes `cpu` and `ram_size` of a hyperv builder `cpus` and `memory`",
        &[
            rule(Place::Builders, HYPERV, rename("cpu", "cpus", Of::Any, Existing::Replace)),
            rule(Place::Builders, HYPERV, rename("ram_size", "memory", Of::Any, Existing::Replace)),
        ],
    ),
    fixer(
        "clean-image-name",
        "Makes clean_ami_name and clean_image_name in options of a builder clean_resource_name",
        &[rule(Place::Builders, Kinds::Any, Change::By(&[], builder::clean_image_name))],
    ),
    fixer(
        "spot-price-auto-product",
        "Removes `spot_price_auto_product` from amazon builders",
        &[rule(
            Place::Builders,
            Kinds::Are(&["amazon-ebs", "amazon-ebssurrogate", "amazon-ebsvolume", "amazon-instance"]),
            Change::Remove("spot_price_auto_product"),
        )],
    ),
    fixer(
        "qemu-disk-size",
        "Gives `disk_size` of a qemu builder its unit, where it is a number",
        &[rule(Place::Builders, Kinds::Are(&["qemu"]), Change::By(&[], builder::qemu_disk_size))],
    ),
    fixer(
        "galaxy-command",
        "Makes `galaxycommand` of an ansible-local provisioner `galaxy_command`",
        &[rule(
            Place::Provisioners,
            Kinds::Are(&["ansible-local"]),
            rename("galaxycommand", "galaxy_command", Of::String, Existing::KeepAlways),
        )],
    ),
    fixer(
        "comm-config",
        "Removes `ssh_` from options for the forwarded port of a virtualbox builder",
        &[
            rule(
                Place::Builders,
                Kinds::Prefix("virtualbox"),
                rename("ssh_host_port_min", "host_port_min", Of::Any, Existing::KeepAlways),
            ),
            rule(
                Place::Builders,
                Kinds::Prefix("virtualbox"),
                rename("ssh_host_port_max", "host_port_max", Of::Any, Existing::KeepAlways),
            ),
            rule(
                Place::Builders,
                Kinds::Prefix("virtualbox"),
                rename("ssh_skip_nat_mapping", "skip_nat_mapping", Of::Bool, Existing::KeepAlways),
            ),
        ],
    ),
    fixer(
        "ssh-wait-timeout",
        "Makes `ssh_wait_timeout` of a builder `ssh_timeout`",
        &[rule(
            Place::Builders,
            Kinds::Any,
            rename("ssh_wait_timeout", "ssh_timeout", Of::String, Existing::KeepAlways),
        )],
    ),
    fixer(
        "vsphere-iso-net-disk",
        "Moves options for the network card and the disk of a vsphere-iso builder into \
                      `network_adapters` and `storage`",
        &[rule(
            Place::Builders,
            Kinds::Are(&["vsphere-iso"]),
            Change::Try(builder::VSPHERE_OPTIONS, builder::vsphere_adapters),
        )],
    ),
    fixer(
        "iso-checksum-type-and-url",
        "Puts `iso_checksum_type` and `iso_checksum_url` of a builder into `iso_checksum`",
        &[rule(
            Place::Builders,
            Kinds::Any,
            Change::By(&["iso_checksum_type", "iso_checksum_url"], builder::iso_checksum),
        )],
    ),
    fixer(
        "qemu-host-port",
        "Makes `ssh_host_port_min` and `ssh_host_port_max` of a qemu builder `host_port_min` and \
                      `host_port_max`",
        &[
            rule(
                Place::Builders,
                Kinds::Are(&["qemu"]),
                rename("ssh_host_port_min", "host_port_min", Of::Any, Existing::Replace),
            ),
            rule(
                Place::Builders,
                Kinds::Are(&["qemu"]),
                rename("ssh_host_port_max", "host_port_max", Of::Any, Existing::Replace),
            ),
        ],
    ),
    fixer(
        "azure-exclude_from_latest",
        "Makes `exlude_from_latest` of an azure-chroot builder's image `exclude_from_latest`",
        &[rule(Place::Builders, Kinds::Prefix("azure-chroot"), Change::By(&[], builder::exclude_from_latest))],
    ),
    fixer(
        "proxmox-type",
        "Makes proxmox builders proxmox-iso builders",
        &[rule(Place::Builders, Kinds::Are(&["proxmox"]), Change::Retype("proxmox-iso"))],
    ),
];

impl Fixer {
    /// The options it takes away.
    pub fn deprecates(&self) -> impl Iterator<Item = Deprecated> {
        self.rules.iter().flat_map(|rule| rule.change.deprecates())
    }
}

/// The fixer that takes away an option of a component of this sort (builder, provisioner, post-processor) and kind, and
/// what it has against the option.
pub fn fixer_of(sort: &str, kind: &str, option: &str) -> Option<(&'static Fixer, Deprecated)> {
    FIXERS.iter().find_map(|fixer| {
        let rules = fixer.rules.iter().filter(|rule| rule.place.has(sort) && rule.kinds.hold(kind));
        let found = rules.flat_map(|rule| rule.change.deprecates()).find(|one| one.option == option)?;
        Some((fixer, found))
    })
}

/// What became of a template.
#[derive(Clone, Debug)]
pub struct Fixed {
    /// Its new text; `None` if it could not be fixed.
    pub text: Option<String>,
    /// Why it could not, and what else was found.
    pub diagnostics: Diagnostics,
    /// The text they point into.
    pub sources: SourceMap,
}

/// Fixes the text of a legacy template, which diagnostics call `name`.
pub fn fix_text(name: &str, text: &str) -> Fixed {
    let mut fixed = Fixed { text: None, diagnostics: Diagnostics::default(), sources: SourceMap::default() };
    let file = fixed.sources.add(name, text);
    let Some(node) = parse::parse_repeated(file, text, &mut fixed.diagnostics) else { return fixed };
    let mut repeated = Diagnostics::default();
    parse::report_repeated(&node, &mut repeated);
    // As Packer does, and yet somebody may not know that a part of the template is gone.
    fixed.diagnostics.extend(repeated.into_iter().map(|found| Diagnostic { severity: Severity::Warning, ..found }));
    let mut tree = match Tree::of(&node) {
        Ok(tree) => tree,
        Err(error) => {
            fixed.diagnostics.push(*error);
            return fixed;
        }
    };
    let Tree::Object(root) = &mut tree else {
        let found = format!("found {}", tree.describe());
        fixed.diagnostics.push(Diagnostic::error("a template must be an object").at(node.span).detail(found));
        return fixed;
    };
    match fix(root) {
        Ok(()) => fixed.text = Some(tree.pretty()),
        Err(error) => fixed.diagnostics.push(Diagnostic::error(error.to_string())),
    }
    fixed
}

/// Runs all fixers over a template.
fn fix(root: &mut Object) -> Result<(), FixError> {
    settle_builders(root)?;
    settle_post_processors(root)?;
    settle_provisioners(root);
    for rule in FIXERS.iter().flat_map(|fixer| fixer.rules) {
        rule.apply(root)?;
    }
    Ok(())
}

/// The member of this name; upper and lower case are the same if no name is exactly right.
fn member<'a>(root: &'a mut Object, name: &str) -> Option<&'a mut Tree> {
    let exact = root.contains_key(name).then(|| name.to_owned());
    let name = exact.or_else(|| root.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned())?;
    root.get_mut(&name)
}

/// Makes sure that there are builders to go through.
fn settle_builders(root: &mut Object) -> Result<(), FixError> {
    let wrong = |expected, found: &Tree| FixError::Shape { part: "builders", expected, found: found.describe() };
    let Some(builders) = member(root, "builders") else {
        root.insert("builders".to_owned(), Tree::Null);
        return Ok(());
    };
    match builders {
        Tree::Null => Ok(()),
        Tree::Array(builders) => match builders.iter().find(|one| !matches!(one, Tree::Object(_) | Tree::Null)) {
            Some(other) => Err(wrong("an array of objects", other)),
            None => Ok(()),
        },
        other => Err(wrong("an array", other)),
    }
}

fn settle_post_processors(root: &mut Object) -> Result<(), FixError> {
    match member(root, "post-processors") {
        None | Some(Tree::Null | Tree::Array(_)) => Ok(()),
        Some(other) => Err(FixError::Shape { part: "post-processors", expected: "an array", found: other.describe() }),
    }
}

/// A single provisioner becomes a list of one.
fn settle_provisioners(root: &mut Object) {
    if let Some(provisioners) = member(root, "provisioners") {
        let one = match provisioners {
            Tree::Null | Tree::Array(_) => return,
            Tree::Object(members) if members.is_empty() => return,
            _ => std::mem::replace(provisioners, Tree::Null),
        };
        *provisioners = Tree::Array(vec![one]);
    }
}
