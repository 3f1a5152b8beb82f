//! Legacy templates from the field, beside what Packer 1.6.6 said of them.

use std::path::{Path, PathBuf};

use crate::support::Larder;

/// Templates that Larder and Packer must agree on.
const AGREE: usize = 395;

/// Where the corpus is; says so if there is none.
pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let root = std::env::var_os("LARDER_CORPUS").map_or(beside, PathBuf::from);
    let there = root.join("inspect-1.6.6.jsonl").is_file();
    if !there {
        eprintln!("skipped: there is no corpus in {}; LARDER_CORPUS names another directory", root.display());
    }
    there.then_some(root)
}

/// What is said of the template: nothing if it is refused.
fn inspect(larder: &Larder, path: &Path) -> Option<Vec<String>> {
    let run = larder.run(["inspect".as_ref(), "-machine-readable".as_ref(), path.as_os_str()]);
    let lines = run.stdout.lines().filter_map(|line| line.splitn(3, ',').nth(2));
    let lines = lines.filter(|line| line.starts_with("template-")).map(str::to_owned).collect();
    (run.code == 0).then_some(lines)
}

#[test]
fn legacy_templates_are_inspected_as_packer_does() {
    let Some(root) = corpus() else { return };
    let larder = Larder::new();
    let records = std::fs::read_to_string(root.join("inspect-1.6.6.jsonl")).unwrap();
    let (mut agree, mut all, mut differ) = (0, 0, Vec::new());
    for record in records.lines() {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        let path = root.join(record["path"].as_str().unwrap());
        let theirs: Vec<String> = serde_json::from_value(record["inspect"].clone()).unwrap();
        let theirs = record["ok"].as_bool().unwrap().then_some(theirs);
        let ours = inspect(&larder, &path);
        // What parses has no error of syntax, and what does not has one.
        let syntax = larder.run(["validate".as_ref(), "-syntax-only".as_ref(), path.as_os_str()]);
        all += 1;
        if ours == theirs && (syntax.code == 0) == theirs.is_some() {
            agree += 1;
        } else {
            differ.push(path.display().to_string());
        }
    }
    eprintln!("{agree} of {all} legacy templates are inspected as Packer 1.6.6 does");
    assert!(agree >= AGREE, "only {agree} of {all} agree; these differ: {differ:#?}");
}
