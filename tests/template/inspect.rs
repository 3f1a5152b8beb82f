//! `larder inspect`, in all forms. The snapshots of legacy templates, and the texts in `inspect`, are what Packer 1.6.6
//! prints.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::corpus::corpus;
use crate::support::{Larder, Run};

const TEMPLATE: &str = r#"{
  "_comment": "for inspect",
  "description": "One line,\nand another.",
  "variables": {
    "alpha": "{{timestamp}}",
    "longer_name": "x-{{user `alpha`}}, \"y\"",
    "needed": null,
    "also_needed": null,
    "password": "hunter2",
    "empty": ""
  },
  "sensitive-variables": ["password"],
  "builders": [
    {"type": "qemu", "iso_url": "{{user `needed`}}"},
    {"type": "null", "name": "n-{{user `alpha`}}"},
    {"type": "amazon-ebs"}
  ],
  "provisioners": [
    {"type": "shell", "only": ["no such builder"]},
    {"type": "ansible"}
  ],
  "post-processors": ["vagrant"]
}"#;

fn shown(template: &str, args: &[&str]) -> String {
    let larder = Larder::new();
    larder.write("t.json", template);
    let run = larder.run(["inspect"].iter().chain(args).chain(&["t.json"]));
    let stdout = regex::Regex::new(r"(?m)^\d{10},").unwrap().replace_all(&run.stdout, "[TIME],").into_owned();
    format!("exit code {}\n--- stdout ---\n{stdout}--- stderr ---\n{}", run.code, run.stderr)
}

#[test]
fn for_people() {
    insta::assert_snapshot!("for_people", shown(TEMPLATE, &[]));
    insta::assert_snapshot!("nothing_in_it", shown("{}", &[]));
}

#[test]
fn for_machines() {
    insta::assert_snapshot!("for_machines", shown(TEMPLATE, &["-machine-readable"]));
}

#[test]
fn duplicate_keys_are_refused_at_both_places() {
    let text = "{\n  \"builders\": [\n    {\n      \"type\": \"null\",\n      \"vmx\": {\n        \"a.b\": 1,\n        \"c\": 2,\n        \"a.b\": 3\n      }\n    }\n  ]\n}\n";
    insta::assert_snapshot!("duplicate_key", shown(text, &["-machine-readable"]));
}

/// `inspect` of a template in its own directory, times left out.
fn inspect(path: &Path, args: &[&str]) -> Run {
    let larder = Larder::new();
    let mut command = larder.command(["inspect"].iter().chain(args));
    let output = command.arg(path.file_name().unwrap()).current_dir(path.parent().unwrap()).output().unwrap();
    let mut run = Run::of(output);
    let times = regex::Regex::new(r"(?m)^\d{10},").unwrap();
    run.stdout = times.replace_all(&run.stdout, "").into_owned();
    run
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/template/inspect")
}

/// Templates in HCL2 of which the same is said. That of what is sensitive is said less has a test of its own.
const HCL2: &[&str] = &["chains", "functions", "no-build", "no-source", "nothing", "sources", "unknown", "values"];

#[test]
fn templates_in_hcl2_are_shown_as_packer_shows_them() {
    for name in HCL2 {
        let path = folder().join(format!("{name}.pkr.hcl"));
        for (args, suffix) in [(&[][..], "txt"), (&["-machine-readable"], "machine.txt")] {
            let theirs = std::fs::read_to_string(folder().join(format!("{name}.{suffix}"))).unwrap();
            assert_eq!(inspect(&path, args).expect(0).stdout, theirs, "{name} {args:?}");
        }
    }
}

#[test]
fn what_is_sensitive_is_hidden_as_a_whole_and_from_programs_too() {
    let theirs = std::fs::read_to_string(folder().join("sensitive.machine.txt")).unwrap();
    assert!(theirs.contains("hunter2"), "Packer tells programs");
    let path = folder().join("sensitive.pkr.hcl");
    let lines = ["var.password: \"<sensitive>\"", "local.copied: \"<sensitive>\"", "local.other: \"plain\""];
    for args in [&[][..], &["-machine-readable"], &["--json"]] {
        let run = inspect(&path, args).expect(0);
        assert!(!run.stdout.contains("hunter2") && run.stdout.contains("plain"), "{}", run.stdout);
        assert!(args == ["--json"] || lines.iter().all(|line| run.stdout.contains(line)), "{}", run.stdout);
    }
}

#[test]
fn programs_get_a_document() {
    let shown = |name: &str| {
        let run = inspect(&folder().join(name), &["--json"]).expect(0);
        let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        serde_json::to_string_pretty(&document).unwrap()
    };
    insta::assert_snapshot!("document_of_values", shown("unknown.pkr.hcl"));
    insta::assert_snapshot!("document_of_builds", shown("chains.pkr.hcl"));
    let larder = Larder::new();
    larder.write("t.json", TEMPLATE);
    let document = larder.run(["inspect", "--json", "t.json"]).expect(0).stdout;
    assert!(!document.contains("hunter2"), "{document}");
    insta::assert_snapshot!("document_of_a_legacy_template", document);
    let both = larder.run(["inspect", "--json", "-machine-readable", "t.json"]).expect(1);
    assert!(both.stdout.contains("different forms of output"), "{}", both.stdout);
}

/// What Packer says of HCL2 templates from the field, where what it says is the same each time: digests of both forms.
const ORACLE: &str = include_str!("oracle/inspect-hcl-1.6.6.jsonl");
/// Of how many of them the same is said in both forms.
const SAME: usize = 63;
/// How many of the others Larder refuses.
const REFUSED: usize = 27;

#[test]
fn templates_from_the_field_are_shown_as_packer_shows_them() {
    let Some(root) = corpus() else { return };
    let (mut same, mut refused, mut differ) = (0, 0, Vec::new());
    for record in ORACLE.lines() {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        let path = root.join(record["path"].as_str().unwrap());
        let ours = [&[][..], &["-machine-readable"]].map(|args| inspect(&path, args));
        let digest = |run: &Run| hex::encode(Sha256::digest(&run.stdout));
        if digest(&ours[0]) == record["text"] && digest(&ours[1]) == record["machine"] {
            same += 1;
        } else if ours[0].code == 1 {
            refused += 1;
        } else {
            differ.push(record["path"].as_str().unwrap().to_owned());
        }
    }
    eprintln!("of {} HCL2 templates {same} are shown as Packer 1.6.6 shows them", ORACLE.lines().count());
    // Packer shows what it understands, and nothing of builds with something that it does not.
    assert!(same >= SAME && refused <= REFUSED, "{same} same, {refused} refused; these differ: {differ:#?}");
}
