//! The syntax of HCL: files from the field are read without an error, and of a broken one everything is told.

use std::path::{Path, PathBuf};

use larder::template::diagnostic::Diagnostics;
use larder::template::hcl::syntax::parser::parse;
use larder::template::source_map::SourceMap;

use crate::corpus::corpus;
use crate::support::Larder;

/// HCL files in the corpus.
const ALL: usize = 541;

/// The one that Packer refuses too: it sets a name twice.
const REFUSED: &str = "duplicate_required_plugins/packer.pkr.hcl";

fn hcl_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            hcl_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "hcl") {
            found.push(path);
        }
    }
}

#[test]
fn files_from_the_field_are_read() {
    let Some(root) = corpus() else { return };
    let mut files = Vec::new();
    hcl_files(&root, &mut files);
    assert_eq!(files.len(), ALL);
    let mut refused = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut sources = SourceMap::default();
        let file = sources.add(path.to_str().unwrap(), text.as_str());
        let mut diagnostics = Diagnostics::default();
        parse(file, &text, &mut diagnostics);
        refused.extend((!diagnostics.is_empty()).then(|| diagnostics.render(&sources, 100, false)));
    }
    assert!(refused.len() == 1 && refused[0].contains(REFUSED), "{}", refused.join("\n"));
}

/// Five errors in one file, which have nothing to do with each other.
const BROKEN: &str = r#"locals {
  a = 'single'
  b : 2
  c = [1 2]
}

source "null" "x" {
  communicator = "none
}

build {
  name = "${local.a"
  provisioner "shell-local" {
    inline = [
      "true",
    ]
}
"#;

#[test]
fn every_error_of_a_file_is_told_once() {
    let larder = Larder::new();
    larder.write("t.pkr.hcl", BROKEN);
    for args in [["validate", "-syntax-only", "t.pkr.hcl"], ["fmt", "-check", "t.pkr.hcl"]] {
        let run = larder.run(args).expect(1);
        assert_eq!(run.stdout, "");
        insta::assert_snapshot!("every_error", run.stderr);
    }
}
