//! Changes to builders that are more than another name for an option.

use std::sync::LazyLock;

use regex::Regex;

use super::{FixError, Object, Tree};

/// What vsphere-iso had as options of its own for the one network card and the one disk.
pub(super) const VSPHERE_OPTIONS: &[&str] =
    &["network", "networkCard", "network_card", "disk_size", "disk_thin_provisioned", "disk_eagerly_scrub"];

/// Names of images, which had the time in them.
const NAMES: [&str; 3] = ["ami_name", "bundle_prefix", "snapshot_name"];

/// `{{.CreateTime}}`.
static CREATE_TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{[\t\n\x0c\r ]*\.CreateTime[\t\n\x0c\r ]*\}\}").expect("the pattern is sound"));

fn set(builder: &mut Object, option: &str, value: impl Into<String>) {
    builder.insert(option.to_owned(), Tree::String(value.into()));
}

fn text<'a>(builder: &'a Object, option: &str) -> Option<&'a str> {
    builder.get(option).and_then(Tree::as_str)
}

pub(super) fn iso_md5(builder: &mut Object) {
    if let Some(sum) = text(builder, "iso_md5").map(str::to_owned) {
        builder.remove("iso_md5");
        set(builder, "iso_checksum", sum);
        set(builder, "iso_checksum_type", "md5");
    }
}

pub(super) fn create_time(builder: &mut Object) {
    for name in NAMES {
        if let Some(Tree::String(value)) = builder.get_mut(name) {
            *value = CREATE_TIME.replace_all(value, "{{timestamp}}").into_owned();
        }
    }
}

pub(super) fn guest_additions(builder: &mut Object) {
    if let Some(Tree::Bool(attach)) = builder.get("guest_additions_attach") {
        let mode = if *attach { "attach" } else { "upload" };
        builder.remove("guest_additions_attach");
        set(builder, "guest_additions_mode", mode);
    }
}

pub(super) fn private_ip(builder: &mut Object) -> Result<(), FixError> {
    if builder.contains_key("ssh_interface") {
        return Ok(());
    }
    let Some(value) = builder.get("ssh_private_ip") else { return Ok(()) };
    let wrong = |found: String| FixError::Option { option: "ssh_private_ip", expected: "a bool", found };
    let is_private = match value {
        Tree::Bool(value) => *value,
        Tree::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            _ => return Err(wrong(format!("{text:?}"))),
        },
        other => return Err(wrong(other.describe().to_owned())),
    };
    builder.remove("ssh_private_ip");
    set(builder, "ssh_interface", if is_private { "private_ip" } else { "public_ip" });
    Ok(())
}

pub(super) fn source_cidrs(builder: &mut Object) {
    const OLD: &str = "temporary_security_group_source_cidr";
    if matches!(builder.get(OLD), Some(Tree::String(_))) {
        let list = builder.remove(OLD).into_iter().collect();
        builder.insert(format!("{OLD}s"), Tree::Array(list));
    }
}

/// Only thin disks of ESXi can be compacted, and the default kind of disk is another.
pub(super) fn vmware_compaction(builder: &mut Object) {
    if text(builder, "remote_type") != Some("esx5") {
        return;
    }
    match builder.get("disk_type_id") {
        None => set(builder, "disk_type_id", "zeroedthick"),
        Some(Tree::String(kind)) if kind != "thin" => {}
        Some(_) => return,
    }
    if matches!(builder.get("skip_compaction"), None | Some(Tree::Bool(_))) {
        builder.insert("skip_compaction".to_owned(), Tree::Bool(true));
    }
}

/// In strings, and in those of objects.
pub(super) fn clean_image_name(builder: &mut Object) {
    let clean = |value: &mut Tree| {
        if let Tree::String(text) = value {
            *text = text.replace("clean_image_name", "clean_resource_name");
            *text = text.replace("clean_ami_name", "clean_resource_name");
        }
    };
    for value in builder.values_mut() {
        match value {
            Tree::Object(members) => members.values_mut().for_each(clean),
            other => clean(other),
        }
    }
}

pub(super) fn qemu_disk_size(builder: &mut Object) {
    if let Some(Tree::Number(size)) = builder.get("disk_size") {
        #[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off, as in Packer")]
        let whole = *size as i64;
        set(builder, "disk_size", format!("{whole}M"));
    }
}

pub(super) fn vsphere_adapters(builder: &mut Object) -> Result<(), FixError> {
    let cards = [("network", "network"), ("networkCard", "network_card"), ("network_card", "network_card")];
    gather(builder, &cards, "network_adapters")?;
    let disks = ["disk_size", "disk_thin_provisioned", "disk_eagerly_scrub"].map(|option| (option, option));
    gather(builder, &disks, "storage")
}

/// Makes options that were the builder's own the first element of a list.
fn gather(builder: &mut Object, options: &[(&str, &str)], list: &'static str) -> Result<(), FixError> {
    let mut first = Object::new();
    for (from, to) in options {
        if let Some(value) = builder.remove(*from) {
            first.insert((*to).to_owned(), value);
        }
    }
    if first.is_empty() {
        return Ok(());
    }
    let mut all = vec![Tree::Object(first)];
    match builder.get(list) {
        None => {}
        Some(Tree::Array(others)) => all.extend(others.iter().cloned()),
        Some(other) => {
            let found = other.describe().to_owned();
            return Err(FixError::Option { option: list, expected: "an array", found });
        }
    }
    builder.insert(list.to_owned(), Tree::Array(all));
    Ok(())
}

pub(super) fn iso_checksum(builder: &mut Object) {
    let given = |option| text(builder, option).filter(|text| !text.is_empty());
    let sum = match (given("iso_checksum_url"), given("iso_checksum"), given("iso_checksum_type")) {
        (Some(url), _, _) => Some(format!("file:{url}")),
        (None, Some(sum), Some(kind)) => Some(format!("{kind}:{sum}")),
        (None, Some(_) | None, _) => None,
    };
    builder.remove("iso_checksum_url");
    builder.remove("iso_checksum_type");
    if let Some(sum) = sum {
        set(builder, "iso_checksum", sum);
    }
}

pub(super) fn exclude_from_latest(builder: &mut Object) {
    if let Some(Tree::Object(image)) = builder.get_mut("shared_image_destination")
        && let Some(value) = image.remove("exlude_from_latest")
    {
        image.insert("exclude_from_latest".to_owned(), value);
    }
}
