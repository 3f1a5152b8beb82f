//! `-machine-readable`, beside Packer's own where it is installed.

use std::fs;
use std::process::Command;

use super::support::Run;
use super::{Larder, assert_shown};

/// A null and a file build with lines on both outputs, and a post-processor that passes its artifact on.
const TEMPLATE: &str = r#"
source "null" "nothing" {
  communicator = "none"
}
source "file" "note" {
  content = "a, b"
  target  = "note.txt"
}
build {
  name    = "demo"
  sources = ["source.null.nothing", "source.file.note"]
  provisioner "shell-local" {
    inline = ["echo 'out, here'", "sleep 0.1", "echo err >&2", "sleep 0.1"]
  }
  post-processor "shell-local" {
    only   = ["file.note"]
    inline = ["echo post"]
  }
}
"#;

fn larder() -> Larder {
    let larder = Larder::new();
    larder.write("t.pkr.hcl", TEMPLATE);
    larder.write("fails.pkr.hcl", &TEMPLATE.replace("echo 'out, here'", "exit 3"));
    larder.write("wrong.pkr.hcl", &TEMPLATE.replace("communicator", "comunicator"));
    larder
}

#[test]
fn lines_of_every_command_that_has_them() {
    let larder = larder();
    assert_shown!("machine_build", larder, ["build", "-machine-readable", "-parallel-builds=1", "t.pkr.hcl"]);
    let args = ["build", "--ui=machine", "-force", "-only=*.nothing", "fails.pkr.hcl"];
    assert_shown!("machine_build_fails", larder, args);
    assert_shown!("machine_build_wrong", larder, ["-machine-readable", "build", "wrong.pkr.hcl"]);
    assert_shown!("machine_validate", larder, ["validate", "t.pkr.hcl", "-machine-readable"]);
    assert_shown!("machine_validate_wrong", larder, ["validate", "-machine-readable", "wrong.pkr.hcl"]);
    assert_shown!("machine_version", larder, ["-machine-readable", "version"]);
}

#[test]
fn where_it_has_no_meaning_it_is_refused() {
    let larder = larder();
    for args in [
        &["ps", "-machine-readable"] as &[&str],
        &["build", "-machine-readable", "-debug", "t.pkr.hcl"],
        &["build", "-machine-readable", "--ui=json", "t.pkr.hcl"],
    ] {
        let run = larder.run(args).expect(1);
        assert!(run.stdout.contains(",,ui,error,Error: -"), "{args:?}: {run:?}");
        assert!(!larder.dir().join("note.txt").exists());
    }
}

/// Lines by category, without times, and without what differs on purpose (docs/reference/machine-readable.md):
/// targets of `ui` lines, announced steps, durations, names of temporary scripts.
fn comparable(output: &str) -> Vec<String> {
    let replaced = |text: &str, pattern: &str, with: &str| {
        regex::Regex::new(pattern).unwrap().replace_all(text, with).into_owned()
    };
    let lines = output.lines().filter_map(|line| {
        let (time, rest) = line.split_once(',').unwrap();
        assert!(time.parse::<u64>().unwrap() > 1_700_000_000, "{line}");
        let mut text = match rest.split_once(",ui,") {
            Some((_, ui)) => format!(",ui,{ui}"),
            None => rest.to_owned(),
        };
        if regex::Regex::new(r"ui,say,==> \S+: \[.*\]$").unwrap().is_match(&text)
            || text.contains("Running post-processor")
        {
            return None;
        }
        text = replaced(&text, r"after ([0-9.]+ [a-z]+ ?)+(\.?)(:|$)", "after T$3");
        text = replaced(&text, r"shell script: .*", "shell script");
        // Of 1.6.6's own: the post-processor's type after the name, and a blank it lacks.
        text = text.replace(" (shell-local):", ":").replace("status: 3.Allowed", "status: 3. Allowed");
        Some(text)
    });
    let mut lines: Vec<_> = lines.filter(|line| !line.contains("Running the cleanup provisioner")).collect();
    // Larder tells the error of a failed step when it fails, too.
    lines.retain(|line| !line.contains(": warning: "));
    // The two outputs of a program are read side by side; which comes first is up to the reader.
    lines.sort();
    lines
}

#[test]
fn packers_lines_are_the_same() {
    if Command::new("packer").arg("version").output().is_err() {
        eprintln!("skipped: packer is not installed");
        return;
    }
    let (larder, packers) = (larder(), larder());
    let packer = |args: &[&str]| {
        let mut packer = Command::new("packer");
        packers.settle(&mut packer);
        packer.args(args).env("CHECKPOINT_DISABLE", "1");
        Run::of(packer.output().unwrap())
    };
    if !packer(&["version"]).stdout.contains("v1.6.6") {
        eprintln!("skipped: packer is not 1.6.6, whose lines are known");
        return;
    }
    for (template, code) in [("t.pkr.hcl", 0), ("fails.pkr.hcl", 1)] {
        let args = ["build", "-machine-readable", "-force", "-parallel-builds=1", template];
        let (theirs, ours) = (packer(&args).expect(code), larder.run(args).expect(code));
        assert_eq!(comparable(&ours.stdout), comparable(&theirs.stdout), "{template}");
        let artifacts = |run: &Run| {
            let lines = run.stdout.lines().filter(|line| line.contains(",artifact") || line.contains(",error"));
            lines.map(|line| line.split_once(',').unwrap().1.replace("3.Allowed", "3. Allowed")).collect::<Vec<_>>()
        };
        let in_order = |run: &Run| {
            let mut lines: Vec<_> = artifacts(run).into_iter().filter(|line| !line.contains("ui,")).collect();
            // Packer keeps builds' artifacts and errors in maps, and goes through them in no order: the lines of
            // one build are compared in theirs.
            lines.sort_by_key(|line| line.split_once(',').unwrap().0.to_owned());
            if let Some(first) = lines.iter().position(|line| line.contains(",error,")) {
                lines[first..].sort();
            }
            lines
        };
        assert_eq!(in_order(&ours), in_order(&theirs), "{template}: in this order");
    }
    assert_eq!(fs::read(larder.dir().join("note.txt")).unwrap(), fs::read(packers.dir().join("note.txt")).unwrap());
}
