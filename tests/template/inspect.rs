//! `larder inspect` of legacy templates, in both forms. The snapshots are what Packer 1.6.6 prints.

use crate::support::Larder;

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
