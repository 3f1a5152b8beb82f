//! `larder new`: from an empty folder to something that can be built.

use std::fs;
use std::path::Path;

use super::Larder;
use super::pty::Pty;

#[test]
fn templates_are_listed_with_what_they_are() {
    let larder = Larder::new();
    let run = larder.run(["new"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&larder.run(["new", "--json"]).expect(0).stdout).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(run.stdout.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {}", run.stdout);
        let listed = json.as_array().unwrap().iter().find(|listed| listed["name"] == name.as_str()).unwrap();
        assert_eq!(listed["builders"][0], "rootfs");
        assert!(listed["description"].as_str().unwrap().len() > 20 && !listed["variables"][0]["name"].is_null());
    }
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    assert_eq!(fs::read_dir(larder.dir()).unwrap().count(), 0, "nothing is written");
}

#[test]
fn every_template_is_written_whole_and_is_valid() {
    let larder = Larder::new();
    let json: serde_json::Value = serde_json::from_str(&larder.run(["new", "--json"]).expect(0).stdout).unwrap();
    for listed in json.as_array().unwrap() {
        let name = listed["name"].as_str().unwrap();
        let run = larder.run(["new", name]).expect(0);
        assert!(run.stderr.contains(&format!("next: `larder build {name}`")), "{}", run.stderr);
        let mut expected: Vec<String> = listed["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| format!("{name}/{}", file.as_str().unwrap()))
            .collect();
        expected.sort();
        let mut written: Vec<&str> = run.stdout.lines().collect();
        written.sort_unstable();
        assert_eq!(written, expected);
        // What `archive-rootfs` begins with.
        larder.write("output-debian-rootfs/rootfs.tar.zst", "");
        assert!(larder.run(["validate", name]).expect(0).stderr.is_empty());
        assert_eq!(larder.run(["new", name]).expect(0).stdout, "", "what is there already is left alone");
    }
}

#[test]
fn values_are_checked_and_written_beside_the_template() {
    let larder = Larder::new();
    let run = larder.run(["new", "-var", "variant=huge", "debian-rootfs", "x"]).expect(1);
    assert!(run.stderr.contains("variant: The variant is one of essential, apt and minbase."), "{}", run.stderr);
    let run = larder.run(["new", "-var", "variante=apt", "debian-rootfs", "x"]).expect(1);
    assert!(run.stderr.contains("it has: suite, variant, output"), "{}", run.stderr);
    assert!(!larder.dir().join("x").exists());
    let _ = larder.run(["new", "-var", "variant=apt", "debian-rootfs", "x/y"]).expect(0);
    let inspected = larder.run(["inspect", "x/y"]).expect(0).stdout;
    assert!(inspected.contains("var.variant: \"apt\""), "{inspected}");
}

#[test]
fn files_that_are_there_are_not_replaced_without_being_told() {
    let larder = Larder::new();
    larder.write("two-builds/template.pkr.hcl", "# mine\n");
    let run = larder.run(["new", "two-builds"]).expect(1);
    assert!(run.stderr.contains("two-builds/template.pkr.hcl") && run.stderr.contains("--force"), "{}", run.stderr);
    assert_eq!(fs::read_dir(larder.dir().join("two-builds")).unwrap().count(), 1);
    let _ = larder.run(["new", "--force", "two-builds"]).expect(0);
    assert!(larder.run(["inspect", "two-builds"]).expect(0).stdout.contains("rootfs.web"));
    let run = larder.run(["new", "two-build"]).expect(1);
    assert!(run.stderr.contains("did you mean `two-builds`?"), "{}", run.stderr);
}

/// What was written can be looked at as it is: what `validate` says of it and what `plan` would fetch.
#[test]
fn every_template_that_is_written_can_be_planned() {
    let larder = Larder::new();
    // What `archive-rootfs` begins with.
    larder.write("output-debian-rootfs/rootfs.tar.zst", "");
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let _ = larder.run(["new", &name]).expect(0);
        let validated = larder.run(["validate", &name]).expect(0);
        assert_eq!((validated.stdout.as_str(), validated.stderr.as_str()), ("The configuration is valid.\n", ""));
        let plan: serde_json::Value =
            serde_json::from_str(&larder.run(["plan", "--json", &name]).expect(0).stdout).unwrap();
        assert_eq!(plan["builds"][0]["builder_type"], "rootfs", "{name}: {plan}");
    }
}

#[test]
fn variables_are_asked_for_at_a_terminal() {
    let larder = Larder::new();
    let pty = Pty::start(&larder.command(["new", "debian-rootfs"]), 100, 40);
    pty.wait_for("Change any? [y/N]");
    pty.keys("y\n");
    pty.wait_for("suite [");
    pty.keys("bookworm\n");
    pty.wait_for("variant [minbase]:");
    pty.keys("huge\n");
    pty.wait_until("the question again", |screen| screen.matches("variant [minbase]:").count() == 2);
    pty.keys("apt\n");
    pty.wait_for("output [");
    pty.keys("\n");
    assert_eq!(pty.end(), 0);
    pty.assert_restored();
    let inspected = larder.run(["inspect", "debian-rootfs"]).expect(0).stdout;
    for value in ["var.suite: \"bookworm\"", "var.variant: \"apt\""] {
        assert!(inspected.contains(value), "{inspected}");
    }
    // Neither where nobody is, nor where nothing is to be asked.
    let pty = Pty::start(&larder.command(["new", "--defaults", "debian-oci"]), 100, 40);
    assert_eq!(pty.end(), 0);
    let pty = Pty::start(larder.command(["new", "two-builds"]).env("CI", "true"), 100, 40);
    assert_eq!(pty.end(), 0);
    assert!(!pty.screen().contains("Change any?"), "{}", pty.screen());
}
