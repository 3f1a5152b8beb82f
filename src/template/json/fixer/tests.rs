use std::collections::BTreeSet;

use super::*;

#[test]
fn names_are_given_once() {
    let names: BTreeSet<&str> = FIXERS.iter().map(|fixer| fixer.name).collect();
    assert_eq!(names.len(), FIXERS.len());
}

#[test]
fn an_option_names_its_fixer() {
    let found = |sort, kind, option| fixer_of(sort, kind, option).map(|(fixer, found)| (fixer.name, found.replaced_by));
    let name = |kind, option| found("builder", kind, option);
    assert_eq!(name("qemu", "ssh_host_port_min"), Some(("qemu-host-port", Some("host_port_min"))));
    assert_eq!(name("virtualbox-iso", "ssh_host_port_min"), Some(("comm-config", Some("host_port_min"))));
    assert_eq!(name("null", "ssh_host_port_min"), None);
    assert_eq!(name("amazon-ebs", "spot_price_auto_product"), Some(("spot-price-auto-product", None)));
    assert_eq!(name("qemu", "iso_checksum_type"), Some(("iso-checksum-type-and-url", None)));
    assert_eq!(found("post-processor", "manifest", "filename"), Some(("manifest-filename", Some("output"))));
    assert_eq!(name("qemu", "iso_checksum"), None);
    assert_eq!(found("provisioner", "shell", "iso_md5"), None);
    assert_eq!(found("source", "null", "iso_md5"), Some(("iso-md5", None)));
}

/// A template may call its builders by a name in other letters; they are fixed where they are.
#[test]
fn letters_of_root_keys_may_be_upper_case() {
    let fixed = fix_text("t", r#"{"Builders": [{"type": "proxmox"}]}"#);
    let text = fixed.text.unwrap();
    assert!(
        text.contains("\"Builders\": [") && text.contains("proxmox-iso") && !text.contains("\"builders\""),
        "{text}"
    );
}
