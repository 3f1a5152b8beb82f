//! Help, and what is typed wrong.

use std::fmt::Write as _;

use super::support::Run;
use super::{Larder, assert_shown};

/// Each command's help, as it fits a terminal of 80 columns.
#[test]
fn help_fits_80_columns() {
    let larder = Larder::new();
    let commands = [
        "",
        "build",
        "validate",
        "inspect",
        "fmt",
        "fix",
        "hcl2_upgrade",
        "docs",
        "new",
        "exec",
        "proxy",
        "proxy check",
        "cache",
        "cache ls",
        "cache stats",
        "cache verify",
        "cache rm",
        "cache pin",
        "cache unpin",
        "cache gc",
        "cache explain",
        "bundle",
        "bundle export",
        "bundle verify",
        "bundle inspect",
        "bundle import",
        "bundle serve",
        "mirrors",
        "mirrors list",
        "mirrors check",
        "mirrors init",
        "doctor",
        "ps",
        "cleanup",
        "config",
        "config show",
        "config get",
        "config path",
        "config trust",
        "config distrust",
        "completion",
        "man",
        "version",
    ];
    let mut all = String::new();
    for command in commands {
        let words = || command.split(' ').filter(|word| !word.is_empty());
        let long = help(&larder, words().chain(["--help"]));
        let short = help(&larder, words().chain(["-h"]));
        assert_eq!(long, short, "{command}: one form of help");
        for line in long.lines() {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
        writeln!(all, "##### larder {command}\n{long}").unwrap();
    }
    insta::assert_snapshot!("help", all);
}

fn help<'a>(larder: &Larder, args: impl Iterator<Item = &'a str>) -> String {
    Run::of(larder.command(args).env("COLUMNS", "80").output().unwrap()).expect(0).stdout
}

#[test]
fn no_command_and_unknown_commands_exit_with_127() {
    let larder = Larder::new();
    let none = larder.run::<&str>([]).expect(127);
    assert!(none.stderr.contains("Usage: larder [OPTIONS] <COMMAND>"), "{}", none.stderr);
    assert_shown!("unknown_command", larder, ["bild", "x.pkr.hcl"]);
}

#[test]
fn mistyped_options_are_named() {
    let larder = super::demo();
    assert_shown!("mistyped_option", larder, ["build", "-forec", "demo.pkr.hcl"]);
    assert_shown!("mistyped_word", larder, ["build", "-on-error=clenup", "demo.pkr.hcl"]);
    assert_shown!("no_number", larder, ["build", "-parallel-builds=two", "demo.pkr.hcl"]);
    assert_shown!("no_bool", larder, ["build", "-force=perhaps", "demo.pkr.hcl"]);
    assert_shown!("no_value", larder, ["build", "demo.pkr.hcl", "-only"]);
    assert_shown!("no_template_named", larder, ["validate"]);
    assert_shown!("two_templates_named", larder, ["validate", "demo.pkr.hcl", "demo.pkr.hcl"]);
}

#[test]
fn version_in_three_forms() {
    let larder = Larder::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(larder.run(["version"]).expect(0).stdout, format!("Larder v{version}\n"));
    assert_eq!(larder.run(["--version"]).expect(0).stdout, format!("larder {version}\n"));
    let json: serde_json::Value = serde_json::from_str(&larder.run(["version", "--json"]).expect(0).stdout).unwrap();
    assert_eq!(json["version"], version);
}

/// Nobody who pipes into `head` wants to hear of it.
#[test]
fn a_closed_pipe_ends_a_command_in_silence() {
    let larder = super::demo();
    for args in ["--help", "inspect demo.pkr.hcl", "build demo.pkr.hcl"] {
        let mut shell = std::process::Command::new("bash");
        larder.settle(&mut shell);
        let script = format!("set -o pipefail; {} {args} | true", env!("CARGO_BIN_EXE_larder"));
        let run = Run::of(shell.args(["-c", &script]).output().unwrap());
        assert_eq!(run.stderr, "", "{args}");
    }
}
