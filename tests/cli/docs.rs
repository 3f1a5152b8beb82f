//! `larder docs`: what the reference says, at the command line.

use std::fs;
use std::path::Path;

use super::Larder;

/// The words of a text, however its lines are broken.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn options(page: &str) -> Vec<String> {
    let lines = page.lines().map(str::trim_start).filter(|line| line.starts_with("- `"));
    lines.map(|line| line.trim_start_matches("- ").replacen('`', "", 2).replacen("): ", ") ", 1)).collect()
}

#[test]
fn a_component_is_told_of_as_its_page_in_the_reference_does() {
    let larder = Larder::new();
    for (name, least) in [("qemu", 100), ("docker", 60), ("rootfs", 20)] {
        let run = larder.run(["docs", name]).expect(0);
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/reference/{name}.md"));
        let page = fs::read_to_string(page).unwrap();
        let part =
            page.split(&format!("<!-- builder {name} -->")).nth(1).unwrap().split("<!-- end -->").next().unwrap();
        let (said, listed) = (words(&run.stdout), options(part));
        assert!(listed.len() >= least, "{name}: {}", listed.len());
        for option in listed {
            assert!(said.contains(&words(&option)), "{option:?} is not in:\n{}", run.stdout);
        }
        let mut lines = run.stdout.lines();
        assert!(lines.all(|line| line.chars().count() <= 80 || !line.trim().contains(' ')), "{}", run.stdout);
    }
}

#[test]
fn components_are_listed_by_what_they_are() {
    let larder = Larder::new();
    let run = larder.run(["docs"]).expect(0);
    for (kind, name) in [("Builders", "qemu"), ("Provisioners", "shell"), ("Post-processors", "manifest")] {
        let section = run.stdout.split(&format!("{kind}\n")).nth(1).unwrap().split("\n\n").next().unwrap();
        assert!(section.lines().any(|line| line.starts_with(&format!("  {name} "))), "{kind} {name}: {section}");
    }
    let json: serde_json::Value = serde_json::from_str(&larder.run(["docs", "--json"]).expect(0).stdout).unwrap();
    let qemu = json.as_array().unwrap().iter().find(|one| one["name"] == "qemu").unwrap();
    assert_eq!((qemu["kind"].as_str(), qemu["runs"].as_bool()), (Some("builder"), Some(false)));
}

#[test]
fn one_option_is_told_of_and_names_that_are_mistyped_have_a_hint() {
    let larder = Larder::new();
    let said = larder.run(["docs", "qemu", "format"]).expect(0).stdout;
    assert!(said.starts_with("format (string, default `\"qcow2\"`)\n") && said.contains("`qcow2` and `raw`"), "{said}");
    let said = larder.run(["docs", "rootfs", "debian.suite"]).expect(0).stdout;
    assert!(said.starts_with("suite (string)\n"), "{said}");
    let said = larder.run(["docs", "provisioner", "shell-local", "--json", "inline"]).expect(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((json["type"].as_str(), json["shape"].as_str()), (Some("list of string"), Some("list")));
    assert_eq!(json["conflicts"][0], "command");
    for (words, said) in [
        (vec!["docs", "qemo"], "did you mean `qemu`?"),
        (vec!["docs", "builder", "qemo"], "did you mean `qemu`?"),
        (vec!["docs", "qemu", "disk_siz"], "did you mean `disk_size`?"),
        (vec!["docs", "file"], "larder docs builder file"),
        (vec!["docs", "qemu", "format", "x"], "a word too much: x"),
    ] {
        let run = larder.run(words).expect(1);
        assert!(run.stderr.contains(said), "{said:?} is not in {}", run.stderr);
    }
}

#[test]
fn shells_complete_the_names_of_components() {
    let larder = Larder::new();
    for shell in ["bash", "zsh"] {
        let script = larder.run(["completion", shell]).expect(0).stdout;
        assert!(script.contains("powershell") && script.contains("vagrant-cloud"), "{shell}");
    }
}

/// All options are checked of what cannot run yet, and that it cannot is a warning for those who look, and an error for
/// those who want it to run.
#[test]
fn a_component_that_cannot_run_yet_is_checked() {
    let larder = Larder::new();
    let template = |options: &str| {
        format!(
            "source \"qemu\" \"x\" {{\n  iso_url = \"/dev/null\"\n  iso_checksum = \"none\"\n  ssh_username = \"u\"\n  \
             {options}\n}}\nbuild {{\n  sources = [\"qemu.x\"]\n}}\n"
        )
    };
    larder.write("t.pkr.hcl", &template(""));
    let run = larder.run(["validate", "t.pkr.hcl"]).expect(0);
    assert_eq!(run.stdout, "The configuration is valid.\n");
    assert!(run.stderr.contains("warning: Larder cannot run the builder `qemu` yet"), "{}", run.stderr);
    for command in ["build", "plan"] {
        let run = larder.run([command, "t.pkr.hcl"]).expect(1);
        assert!(run.stderr.contains("error: Larder cannot run the builder `qemu` yet"), "{}", run.stderr);
    }
    for (options, said) in [
        ("memroy = 1", "did you mean `memory`?"),
        ("iso_urls = [\"a\"]", "`iso_urls` cannot be used together with `iso_url`"),
        ("cpus = \"two\"", "wrong value for `cpus`"),
        ("boot_command = \"x\"", "put it in brackets"),
        ("format = \"vmdk\"", "it may be: qcow2, raw"),
        ("iso_checksum_type = \"md5\"", "`iso_checksum_type` is out of use"),
        ("communicator = \"winrm\"", "`winrm_username` is not set"),
        ("vnc_port_min = 7000", "`vnc_port_min` is above `vnc_port_max`"),
        ("use_backing_file = true", "no disk to write the difference from"),
        ("floppy_files = [\"/nonexistent\"]", "there is no file /nonexistent"),
    ] {
        larder.write("t.pkr.hcl", &template(options));
        let run = larder.run(["validate", "t.pkr.hcl"]).expect(1);
        assert!(run.stderr.contains(said), "{said:?} is not in {}", run.stderr);
    }
    larder.write("t.pkr.hcl", &template("ssh_wait_timeout = \"5m\""));
    let run = larder.run(["validate", "t.pkr.hcl"]).expect(0);
    assert!(run.stderr.contains("write `ssh_timeout` in its place"), "{}", run.stderr);
    larder.write(
        "t.json",
        r#"{"builders": [{"type": "qemu", "iso_url": "/dev/null", "iso_checksum": "none", "SSH_username": "u",
            "ssh_wait_timeout": "5m", "cpus": "0x2", "boot_command": "a,b"}]}"#,
    );
    let run = larder.run(["validate", "t.json"]).expect(0);
    assert!(run.stderr.contains("`larder fix` repairs it (the fixer ssh-wait-timeout)"), "{}", run.stderr);
}
