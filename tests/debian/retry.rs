//! Phases of a bootstrap that fail, are mended outside, and are tried again at the question.

use std::fs;

use super::archive::Archive;
use super::pty::Pty;
use super::support::{Larder, is_root};

const TEMPLATE: &str = r#"
source "rootfs" "t" {
  debian {
    suite        = "test"
    mirror       = "MIRROR"
    variant      = "essential"
    keyring      = "keyring.gpg"
    architecture = "amd64"
  }
  output = "image"
}
build { sources = ["source.rootfs.t"] }
"#;

fn start(larder: &Larder) -> Pty {
    let mut command = larder.command(["build", "--ui=plain", "-on-error=ask", "t.pkr.hcl"]);
    // The archive is on this machine: no proxy of the host's stands between.
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY"] {
        command.env_remove(name);
    }
    Pty::start(&command, 180, 100)
}

/// Waits until a step is asked about, for the so many'th time of all.
#[track_caller]
fn asked(pty: &Pty, count: usize, step: &str, why: &str) {
    pty.wait_until(&format!("{count} questions"), |screen| screen.matches("??? rootfs.t: step").count() == count);
    pty.wait_until("the prompt", |screen| screen.trim_end().ends_with("retry succeeds)?"));
    let screen = pty.screen();
    let question = screen.rsplit("??? rootfs.t: step").next().unwrap();
    assert!(question.contains(step) && question.contains(why), "not {step:?}, {why:?}:\n{screen}");
}

#[test]
fn a_phase_that_failed_is_tried_again_and_the_next_one_follows() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(&[("base", "Essential: yes\n", 1000)], "");
    let larder = Larder::new();
    fs::write(larder.dir().join("keyring.gpg"), &archive.keyring).unwrap();
    larder.write("t.pkr.hcl", &TEMPLATE.replace("MIRROR", &archive.url));
    let release = archive.take("dists/test/InRelease");
    let pty = start(&larder);
    asked(&pty, 1, "bootstrap: resolve", "test");
    // Once more without anything mended: the question comes again.
    pty.keys("r\n");
    asked(&pty, 2, "bootstrap: resolve", "attempt 2");
    archive.put("dists/test/InRelease", release);
    let deb = archive.take("pool/base_1_amd64.deb");
    pty.keys("r\n");
    asked(&pty, 3, "bootstrap: fetch and unpack", "base_1_amd64.deb");
    // The phase that was tried again has succeeded, and this one asks in its turn.
    pty.keys("r\n");
    asked(&pty, 4, "bootstrap: fetch and unpack", "attempt 2");
    archive.put("pool/base_1_amd64.deb", deb);
    pty.keys("r\n");
    // It has succeeded: what fails now is that nothing in this archive can be run.
    asked(&pty, 5, "bootstrap: configure", "");
    pty.keys("c\n");
    assert_eq!(pty.end(), 1, "{}", pty.screen());
    assert!(!larder.dir().join("image").exists());
}
