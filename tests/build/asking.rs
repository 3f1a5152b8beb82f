//! Failures of real builds, answered at a terminal: what becomes of the guest.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::busybox;
use crate::host::{assert_nothing_left, with_mounts};
use crate::plain_origin::{Origin, head};
use crate::pty::Pty;
use crate::support::{Larder, Run, is_root};

const PROMPT: &str =
    "[c] Clean up and exit, [a] abort without cleanup, or [r] retry step (build may fail even if retry";

/// A build whose second provisioner fails as long as the guest has no file `/go`. Each notes that it ran.
fn template(base: &str) -> String {
    let checksum = if base.contains("://") { "  base_checksum = \"none\"\n" } else { "" };
    format!(
        "source \"rootfs\" \"t\" {{\n  base   = \"{base}\"\n{checksum}  output = \"image\"\n}}\n\
         build {{\n  sources = [\"source.rootfs.t\"]\n  \
         provisioner \"shell\" {{\n    name   = \"one\"\n    inline = [\"echo a >> /ran\"]\n  }}\n  \
         provisioner \"shell\" {{\n    name   = \"two\"\n    inline = [\"echo b >> /ran\", \"test -e /go\"]\n  }}\n}}\n"
    )
}

/// A build from a directory.
fn larder() -> Larder {
    let larder = Larder::new();
    busybox::root(&larder.dir().join("base"));
    larder.write("t.pkr.hcl", &template("base"));
    larder
}

fn start(larder: &Larder, editor: &Path) -> Pty {
    let mut command = larder.command(["build", "--ui=plain", "-on-error=ask", "t.pkr.hcl"]);
    command.env("EDITOR", editor);
    Pty::start(&command, 180, 100)
}

/// Waits until so many questions were asked.
#[track_caller]
fn asked(pty: &Pty, count: usize) {
    pty.wait_until(&format!("{count} questions"), |screen| screen.matches("??? rootfs.t: step").count() == count);
    pty.wait_until("the prompt", |screen| screen.trim_end().ends_with("retry succeeds)?"));
}

fn ran(larder: &Larder) -> String {
    fs::read_to_string(larder.dir().join("image/ran")).unwrap()
}

#[test]
fn a_guest_is_mended_in_its_shell_and_the_step_retried_in_it() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let pty = start(&larder, Path::new("true"));
    asked(&pty, 1);
    pty.keys("r\n");
    asked(&pty, 2);
    pty.keys("s\n");
    pty.wait_for("shell in the guest");
    pty.keys("echo >/go && echo made-$((40 + 2)); exit\n");
    pty.wait_for("made-42");
    pty.wait_until("the prompt again", |screen| screen.trim_end().ends_with("retry succeeds)?"));
    pty.keys("r\n");
    assert_eq!(pty.end(), 0, "{}", pty.screen());
    pty.assert_restored();
    // The same guest: what the failed attempts wrote is there.
    assert_eq!(ran(&larder), "a\nb\nb\nb\n");
    drop(pty);
    assert_nothing_left(&larder);
}

#[test]
fn going_back_discards_what_was_written_since() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let editor = larder.write("editor", "#!/bin/sh\nsed -i 's/echo b/echo edited/' \"$1\"\n");
    fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let pty = start(&larder, &editor);
    asked(&pty, 1);
    // prepare is 1, base 2, and the first provisioner 3.
    pty.keys("R\n");
    pty.wait_for("Retry from which step");
    pty.keys("3\n");
    asked(&pty, 2);
    pty.keys("e\n");
    asked(&pty, 3);
    pty.keys("R 4\n");
    asked(&pty, 4);
    pty.keys("k\n");
    assert_eq!(pty.end(), 1, "{}", pty.screen());
    let screen = pty.screen();
    for marked in [
        "marked: step 4 [shell (two)] ran an edited copy of inline",
        "marked: step 4 [shell (two)] failed and was skipped",
    ] {
        assert!(screen.contains(marked), "{marked:?} is not in:\n{screen}");
    }
    // One layer of each, of its last attempt.
    assert_eq!(ran(&larder), "a\nedited\n");
    drop(pty);
    assert_nothing_left(&larder);
}

/// Overlays lie on no overlay, so the state directory is one.
const ON_AN_OVERLAY: &str = "mkdir lower upper work
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay \"$LARDER_STATE_DIR\"";

#[test]
fn going_back_discards_what_was_written_since_also_where_copies_stand_for_overlays() {
    if !is_root() {
        return;
    }
    let larder = larder();
    // What a provisioner takes away is there again, too.
    let takes = template("base").replace("\"echo b >> /ran\"", "\"cat /etc/group >> /ran\", \"rm /etc/group\"");
    larder.write("t.pkr.hcl", &takes);
    fs::create_dir(larder.state()).unwrap();
    let command = with_mounts(&larder, ON_AN_OVERLAY, &["build", "--ui=plain", "-on-error=ask", "t.pkr.hcl"]);
    let pty = Pty::start(&command, 180, 100);
    asked(&pty, 1);
    assert!(pty.screen().contains("overlay mounts are refused here"), "{}", pty.screen());
    // From the first provisioner, and then the second one afresh.
    for (count, step) in [(2, 3), (3, 4)] {
        pty.keys(&format!("R {step}\n"));
        asked(&pty, count);
    }
    pty.keys("s\n");
    pty.wait_for("shell in the guest");
    pty.keys("test -e /etc/group || echo >/go; cp /etc/passwd /etc/group; echo made-$((40 + 2)); exit\n");
    pty.wait_for("made-42");
    pty.wait_until("the prompt again", |screen| screen.trim_end().ends_with("retry succeeds)?"));
    pty.keys("r\n");
    assert_eq!(pty.end(), 0, "{}", pty.screen());
    assert_eq!(ran(&larder), "a\nroot:x:0:\nroot:x:0:0:root:/root:/bin/sh\n");
    assert!(!larder.dir().join("image/etc/group").exists());
    drop(pty);
    for name in ["runs", "scratch"] {
        let left = fs::read_dir(larder.dir().join("upper").join(name)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "left in {name}");
    }
    assert_nothing_left(&larder);
}

#[test]
fn what_is_kept_can_be_looked_at_and_removed() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let pty = start(&larder, Path::new("true"));
    asked(&pty, 1);
    assert!(pty.screen().contains(PROMPT), "{}", pty.screen());
    pty.keys("a\n");
    assert_eq!(pty.end(), 1);
    assert!(!larder.dir().join("image").exists());
    let listed = larder.run(["ps"]).expect(0);
    let command = listed.stderr.split("To look at them: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let mut look = Command::new("sh");
    larder.settle(&mut look);
    let mut looking = look
        .args(["-c", &command])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    looking.stdin.take().unwrap().write_all(b"cat ran\n").unwrap();
    let looked = Run::of(looking.wait_with_output().unwrap()).expect(0);
    // With what the provisioner that failed wrote.
    assert_eq!(looked.stdout, "a\nb\n", "{command}");
    let _ = larder.run(["cleanup"]).expect(0);
    drop(pty);
    assert_nothing_left(&larder);
}

#[test]
fn a_download_that_failed_is_tried_again() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let tree = larder.dir().join("base");
    busybox::root(&tree);
    busybox::host(larder.dir(), "echo > base/go; tar -C base -cf base.tar .");
    let archive = fs::read(larder.dir().join("base.tar")).unwrap();
    let asked_for = AtomicUsize::new(0);
    let origin = Origin::start(move |_, stream| {
        if asked_for.fetch_add(1, Ordering::SeqCst) == 0 {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        head(stream, "", archive.len())?;
        stream.write_all(&archive)
    });
    larder.write("t.pkr.hcl", &template("http://example.org/base.tar"));
    let mirror = format!("--mirror={}", origin.mirror());
    let command = larder.command(["build", "--ui=plain", "-on-error=ask", &mirror, "t.pkr.hcl"]);
    let pty = Pty::start(&command, 180, 100);
    asked(&pty, 1);
    assert!(pty.screen().contains("step 2 [base] failed") && !pty.screen().contains("[k] skip"), "{}", pty.screen());
    pty.keys("r\n");
    assert_eq!(pty.end(), 0, "{}", pty.screen());
    assert_eq!(ran(&larder), "a\nb\n");
    drop(pty);
    assert_nothing_left(&larder);
}
