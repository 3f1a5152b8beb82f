//! skopeo and a real registry, by the driver `tests/long/registry`, which does the same with dockerd.

use std::process::Command;

use crate::larder::Run;

/// skopeo pulls an image twice, and under another name, from a registry behind this kind of front.
fn skopeo_pulls_by(front: &str) {
    for (program, argument) in [("docker-registry", "--version"), ("skopeo", "--version")] {
        if Command::new(program).arg(argument).output().is_err() {
            eprintln!("skipped: there is no {program}");
            return;
        }
    }
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/long/registry");
    let mut command = Command::new("python3");
    command.args([driver, "--only", "skopeo", "--front", front]).env("LARDER", env!("CARGO_BIN_EXE_larder"));
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

#[test]
fn blobs_of_an_open_registry_are_fetched_once() {
    skopeo_pulls_by("open");
}

#[test]
fn blobs_behind_tokens_are_fetched_once_and_given_to_nobody_without() {
    skopeo_pulls_by("token");
}

#[test]
fn blobs_by_signed_urls_are_fetched_once() {
    skopeo_pulls_by("signed");
}

#[test]
fn blobs_by_signed_urls_that_tell_nothing_are_fetched_once() {
    skopeo_pulls_by("opaque");
}
