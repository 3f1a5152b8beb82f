//! The fixtures of Packer's own tests: which are templates, and why the others are not. And all HCL2 of the corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::template::files::HostFiles;
use larder::template::{Depth, LoadOptions, load};

use crate::corpus::corpus;

/// Each fixture: `path | -syntax-only | as a whole | why`; where nothing is wrong `ok`, and no reason.
const TABLE: &str = include_str!("fixtures.txt");

const FIXTURES: &str = "hashicorp__packer-1.9.5";

/// Directories of the corpus, fixtures apart, that are no template, as they hold several, each of which is one alone.
const SEVERAL: usize = 41;

/// What is wrong with a template, in the order in which it is told.
fn wrong_with(path: &Path, depth: Depth) -> String {
    let directory = if path.is_dir() { path } else { path.parent().unwrap() };
    let options = LoadOptions {
        path: path.to_owned(),
        stdin: None,
        vars: Vec::new(),
        var_files: Vec::new(),
        env: BTreeMap::new(),
        cwd: directory.to_owned(),
        now: "2023-11-14T22:13:20Z".parse().unwrap(),
        packer_version: "1.16.0".to_owned(),
        depth,
        warn_on_undeclared: false,
        remote: None,
    };
    let loaded = load(&options, Arc::new(HostFiles));
    let mut told: Vec<String> = Vec::new();
    for error in loaded.diagnostics.errors() {
        if !told.contains(&error.summary) {
            told.push(error.summary.clone());
        }
    }
    let more = told.len().saturating_sub(2);
    told.truncate(2);
    match (told.is_empty(), more) {
        (true, _) => "ok".to_owned(),
        (false, 0) => told.join("; "),
        (false, more) => format!("{}; {more} more", told.join("; ")),
    }
}

/// Files of HCL2, and directories that hold some.
fn templates(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = path.to_str().unwrap();
        if path.is_dir() {
            templates(&path, found);
        } else if name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json") {
            found.insert(directory.to_owned());
            found.insert(path);
        }
    }
}

#[test]
fn fixtures_pass_and_fail_as_they_are_meant_to() {
    let Some(root) = corpus() else { return };
    let root = root.join(FIXTURES);
    let mut found = BTreeSet::new();
    templates(&root, &mut found);
    let mut known = BTreeMap::new();
    for row in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (path, syntax, whole) = match row.split(" | ").collect::<Vec<_>>()[..] {
            [path, syntax, whole, _] => (path, syntax, whole),
            [path, "ok", "ok"] => (path, "ok", "ok"),
            _ => panic!("{row}: no reason"),
        };
        known.insert(path, (syntax, whole));
    }
    let (mut passed, mut wrong) = ((0, 0), Vec::new());
    for path in &found {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let (syntax, whole) = (wrong_with(path, Depth::Syntax), wrong_with(path, Depth::Whole));
        passed.0 += usize::from(syntax == "ok");
        passed.1 += usize::from(whole == "ok");
        if known.remove(name) != Some((&syntax, &whole)) {
            wrong.push(format!("{name} | {syntax} | {whole} | "));
        }
    }
    eprintln!("of {} fixtures {} pass -syntax-only, {} as a whole", found.len(), passed.0, passed.1);
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(known.is_empty(), "{known:?}");
}

#[test]
fn templates_from_the_field_are_sound() {
    let Some(root) = corpus() else { return };
    let mut found = BTreeSet::new();
    templates(&root, &mut found);
    let field = found.iter().filter(|path| !path.starts_with(root.join(FIXTURES)));
    let mut refused = Vec::new();
    let (mut all, mut sound, mut whole, mut no_template) = (0, 0, 0, 0);
    for path in field {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let wrong = wrong_with(path, Depth::Syntax);
        all += 1;
        whole += usize::from(wrong_with(path, Depth::Whole) == "ok");
        match wrong.as_str() {
            "ok" => sound += 1,
            several if path.is_dir() && several.contains(" twice") => no_template += 1,
            _ => refused.push(format!("{name}: {wrong}")),
        }
    }
    eprintln!("{sound} of {all} from the field pass -syntax-only, {whole} as a whole without values");
    eprintln!("{no_template} are directories of several templates");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(no_template == SEVERAL && sound + no_template == all, "{no_template}");
}
