//! The terminal UI as a person meets it: the real binary in a terminal.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test's helpers fail by panicking")]

#[path = "../build/busybox.rs"]
#[expect(dead_code, reason = "the commands of the host are another target's")]
mod busybox;
#[path = "../support/origin.rs"]
mod origin;
#[path = "../support/pty.rs"]
mod pty;
#[path = "../support/larder.rs"]
mod support;

mod keys;
mod plain;
mod restored;
mod shell;
mod tape;

use std::process::Command;

use pty::Pty;
use support::Larder;

/// A build on the host that runs until its file `go` is there, and then ends with the status that is in it.
const WAITS: &str = r#"
source "null" "waits" {
  communicator = "none"
}
build {
  sources = ["source.null.waits"]
  provisioner "shell-local" {
    inline = ["touch began", "while ! [ -e go ]; do sleep 0.05; done", "exit $(cat go)"]
  }
}
"#;

/// `larder` with these arguments, as it is started by hand: nothing says that nobody is there.
fn at_hand(larder: &Larder, args: &[&str]) -> Command {
    let mut command = larder.command(args);
    command.env("LANG", "C.UTF-8").env_remove("CI").env_remove("RUST_BACKTRACE");
    command
}

/// A build that has begun, in the UI.
#[track_caller]
fn building(larder: &Larder) -> Pty {
    larder.write("waits.pkr.hcl", WAITS);
    let pty = Pty::start(&at_hand(larder, &["build", "-on-error=cleanup", "waits.pkr.hcl"]), 80, 24);
    has_begun(larder, &pty);
    pty
}

/// Waits until the build runs and the UI is there.
#[track_caller]
fn has_begun(larder: &Larder, pty: &Pty) {
    pty.wait_alternate(true);
    pty.wait_until("a build that runs", |_| larder.dir().join("began").exists());
    pty.wait_for("waits.pkr.hcl");
}
