//! The canonical form of HCL files from the field, beside what Packer 1.6.6's `fmt` makes of them.

use std::collections::BTreeSet;

use larder::template::hcl::format::format;
use sha2::{Digest as _, Sha256};

use crate::corpus::corpus;
use crate::support::Larder;

/// What Packer says of each file: whether it takes it, whether it changes it, and the digest of what it makes of it.
const ORACLE: &str = include_str!("oracle/fmt-1.6.6.jsonl");

/// Files that Packer formats.
const FORMATTED: usize = 538;

#[test]
fn files_are_formatted_as_packer_does() {
    let Some(root) = corpus() else { return };
    let (mut same, mut differ) = (0, Vec::new());
    for record in ORACLE.lines() {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        let Some(digest) = record["sha256"].as_str() else { continue };
        let path = record["path"].as_str().unwrap();
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        let formatted = format(&text).unwrap();
        let changed = formatted != text;
        assert_eq!(format(&formatted).unwrap(), formatted, "{path}: formatted twice");
        if hex::encode(Sha256::digest(&formatted)) == digest && changed == record["changed"].as_bool().unwrap() {
            same += 1;
        } else {
            differ.push(path.to_owned());
        }
    }
    eprintln!("{same} of {FORMATTED} HCL files are formatted byte for byte as Packer 1.6.6 does");
    assert_eq!(same, FORMATTED, "these differ: {differ:#?}");
}

/// All of them by one run of the program: it names those that change, and fails for the one that is no HCL.
#[test]
fn the_program_names_what_it_would_change() {
    let Some(root) = corpus() else { return };
    let larder = Larder::new();
    let run = larder.run(["fmt".as_ref(), "-check".as_ref(), "-recursive".as_ref(), root.as_os_str()]).expect(1);
    let named: BTreeSet<&str> =
        run.stdout.lines().map(|line| line.strip_prefix(root.to_str().unwrap()).unwrap().trim_matches('/')).collect();
    let mut broken = Vec::new();
    for record in ORACLE.lines() {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        let path = record["path"].as_str().unwrap();
        assert_eq!(named.contains(path), record["changed"].as_bool().unwrap(), "{path}");
        broken.extend((!record["ok"].as_bool().unwrap()).then(|| path.to_owned()));
    }
    assert_eq!(broken.len(), 1);
    assert!(run.stderr.contains(&broken[0]), "{}", run.stderr);
}
