//! Components that cannot run yet, as templates from the field use them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::corpus::corpus;
use crate::support::Larder;

/// Kinds whose options are described, and in how many templates at least they have all of them right.
const DESCRIBED: [(&str, usize); 6] = [
    ("qemu", 60),
    ("vagrant", 40),
    ("windows-restart", 30),
    ("powershell", 3),
    ("amazon-import", 3),
    ("vagrant-cloud", 5),
];

/// Has `keep_artifact`, which the vagrant post-processor has never had.
const WRONG: &str = "ubuntu-12.04-server-minimal.json";

fn templates(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            templates(&path, found);
        } else if [".json", ".pkr.hcl"].iter().any(|ending| name.ends_with(ending)) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if DESCRIBED.iter().any(|(kind, _)| text.contains(&format!("\"{kind}\""))) {
                found.push(path);
            }
        }
    }
}

#[test]
fn options_that_templates_from_the_field_use_are_known() {
    let Some(root) = corpus() else { return };
    let larder = Larder::new();
    let mut paths = Vec::new();
    templates(&root, &mut paths);
    let mut right: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unknown = Vec::new();
    for path in &paths {
        let mut command = larder.command(["validate".as_ref(), path.as_os_str()]);
        let output = command.env("COLUMNS", "300").current_dir(path.parent().unwrap()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        for (kind, _) in DESCRIBED {
            let is_right = said
                .lines()
                .any(|line| line.starts_with("warning: Larder cannot run") && line.contains(&format!(" `{kind}` yet")));
            *right.entry(kind).or_default() += usize::from(is_right);
            let of_kind =
                |line: &&str| line.contains(&format!("the {kind} ")) && line.ends_with("has no option of this name");
            unknown.extend(said.lines().filter(of_kind).map(|line| format!("{}: {line}", path.display())));
        }
    }
    eprintln!("{} templates use components that cannot run yet; right in: {right:?}", paths.len());
    assert!(unknown.iter().all(|said| said.contains(WRONG)), "{unknown:#?}");
    for (kind, least) in DESCRIBED {
        assert!(right[kind] >= least, "{kind}: {} of at least {least}", right[kind]);
    }
}
