//! `larder fix`, beside what Packer 1.6.6 made of the same templates.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::corpus;
use crate::support::Larder;

/// Of templates from the field, digests of what Packer printed.
const FIELD: &str = include_str!("oracle/fix-1.6.6.jsonl");
/// Small templates for each fixer, and what Packer printed; `null` where it refused. Where it crashed nothing is known.
const SMALL: &str = include_str!("oracle/fixers-1.6.6.jsonl");

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn templates_from_the_field_are_fixed_as_packer_does() {
    let Some(root) = corpus::corpus() else { return };
    let larder = Larder::new();
    let mut differ = Vec::new();
    let records = records(FIELD);
    for record in &records {
        let path = root.join(record["path"].as_str().unwrap());
        let output = larder.command(["fix".as_ref(), "-validate=false".as_ref(), path.as_os_str()]).output().unwrap();
        if hex::encode(Sha256::digest(&output.stdout)) != record["sha256"].as_str().unwrap() {
            differ.push(path.display().to_string());
        }
    }
    eprintln!("{} of {} templates are fixed as by Packer 1.6.6", records.len() - differ.len(), records.len());
    assert!(differ.is_empty(), "these differ: {differ:#?}");
}

#[test]
fn each_fixer_does_what_packers_does() {
    let larder = Larder::new();
    let mut wrong = Vec::new();
    for record in records(SMALL) {
        let (fixer, input) = (record["fixer"].as_str().unwrap(), record["input"].as_str().unwrap());
        larder.write("t.json", input);
        let run = larder.run(["fix", "-validate=false", "t.json"]);
        let as_packer = match &record["output"] {
            Value::String(output) => run.code == 0 && run.stdout == *output,
            _ if record["crash"] == true => matches!(run.code, 0 | 1),
            _ => run.code == 1 && run.stdout.is_empty() && run.stderr.contains("error:"),
        };
        if !as_packer {
            wrong.push(format!("{fixer}: {input}\nPacker: {}\nLarder: {run:?}", record["output"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_fixer_has_templates_it_changes_and_others() {
    let larder = Larder::new();
    let list = larder.run(["fix", "--list"]).expect(0).stdout;
    let names: Vec<&str> = list.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let records = records(SMALL);
    assert_eq!(names.len(), 34);
    for name in names {
        let of_fixer = || records.iter().filter(|record| record["fixer"] == name && record["output"].is_string());
        // The one value that a JSON parser keeps is compared, so that blanks and order do not count.
        let changes = |record: &&Value| {
            let input: Value = serde_json::from_str(record["input"].as_str().unwrap()).unwrap();
            let output: Value = serde_json::from_str(record["output"].as_str().unwrap()).unwrap();
            input != output
        };
        assert!(of_fixer().count() >= 3, "{name} has too few templates");
        assert!(of_fixer().any(|record| changes(&record)), "no template shows what {name} does");
        assert!(!of_fixer().all(|record| changes(&record)), "no template shows what {name} leaves alone");
    }
}

#[test]
fn the_fixed_template_is_checked_unless_told_otherwise() {
    let larder = Larder::new();
    larder.write("good.json", r#"{"builders": [{"type": "null", "ssh_wait_timeout": "1m"}]}"#);
    larder.write("none.json", "{}");
    larder.write(
        "unknown.json",
        r#"{"builders": [{"type": "null"}], "provisioners": [{"type": "shell", "only": ["x"]}]}"#,
    );
    larder.write("both.json", r#"{"builders": [{"type": "a", "name": "x"}], "post-processors": [{"type": "manifest", "only": ["x"], "except": ["x"]}]}"#);
    larder.write("key.json", r#"{"builders": [{"type": "null"}], "bilders": []}"#);
    let good = larder.run(["fix", "good.json"]).expect(0);
    assert!(good.stdout.contains("\"ssh_timeout\": \"1m\""), "{good:?}");
    assert_eq!(good.stderr, "");
    let wrong = [
        ("none.json", "has no builder"),
        ("unknown.json", "there is no builder `x`"),
        ("both.json", "`only` and `except`"),
        ("key.json", "unknown key `bilders`"),
    ];
    for (name, reason) in wrong {
        let run = larder.run(["fix", name]).expect(1);
        assert!(run.stderr.contains(reason), "{name}: {run:?}");
        assert!(run.stdout.ends_with("}\n\n"), "what was made of {name} is printed all the same: {run:?}");
        assert_eq!(larder.run(["fix", "-validate=false", name]).expect(0).stderr, "");
    }
}

#[test]
fn what_is_no_legacy_template_is_refused() {
    let larder = Larder::new();
    larder.write("t.pkr.hcl", "source \"null\" \"x\" {}\n");
    for (args, reason) in [
        (["fix", "t.pkr.hcl"], "is not legacy JSON"),
        (["fix", "."], "is not legacy JSON"),
        (["fix", "nowhere.json"], "cannot read nowhere.json"),
    ] {
        let run = larder.run(args).expect(1);
        assert!(run.stderr.contains(reason), "{run:?}");
    }
}

#[test]
fn a_template_comes_from_standard_input_too() {
    let larder = Larder::new();
    let path = larder.write("t.json", r#"{"builders": [{"type": "vmware"}], "builders": [{"type": "proxmox"}]}"#);
    let mut command = larder.command(["fix", "-"]);
    let output = command.stdin(std::fs::File::open(path).unwrap()).output().unwrap();
    let run = crate::support::Run::of(output).expect(0);
    assert_eq!(run.stdout, "{\n  \"builders\": [\n    {\n      \"type\": \"proxmox-iso\"\n    }\n  ]\n}\n\n");
    assert!(run.stderr.contains("`builders` is given twice"), "the lost part is told: {run:?}");
}
