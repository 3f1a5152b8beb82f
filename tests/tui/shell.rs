//! A failed step, a shell into its guest and back, and the build that is then done.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::pty::Pty;
use crate::support::{Larder, is_root};
use crate::{at_hand, busybox};

/// A build in a guest of BusyBox, whose second step wants a file that nobody makes.
const BROKEN: &str = r#"
source "rootfs" "box" {
  base   = "root"
  output = "image"
}
build {
  sources = ["source.rootfs.box"]
  provisioner "shell" {
    inline = ["echo first step", "echo before >/root/first"]
  }
  provisioner "shell" {
    inline = ["echo looking for it", "test -e /root/mended"]
  }
}
"#;

/// An id that nothing else here has.
const USER: u32 = 54_322;

fn larder() -> Larder {
    let larder = Larder::new();
    busybox::root(&larder.dir().join("root"));
    larder.write("box.pkr.hcl", BROKEN);
    larder
}

/// A build that waits with its question, in lines.
#[track_caller]
fn asked(command: &Command) -> Pty {
    let pty = Pty::start(command, 100, 40);
    pty.wait_for("retry step");
    pty
}

const ASKING: [&str; 4] = ["build", "--ui=plain", "-on-error=ask", "box.pkr.hcl"];

/// Goes into the guest, up to its prompt.
#[track_caller]
fn go_in(pty: &Pty) {
    pty.keys("s\r");
    pty.wait_for("rootfs.box: shell in the guest");
    pty.wait_for("| looking for it");
    pty.wait_until("a prompt", |screen| screen.trim_end().ends_with('#'));
}

#[test]
fn question_shell_mend_retry_done() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let pty = asked(&at_hand(&larder, &ASKING));
    go_in(&pty);
    pty.keys("busybox tty; busybox stty size; cat /root/first\r");
    pty.wait_for("/dev/pts/0\n40 100\nbefore\n");
    // It is the terminal of a guest, which cannot reach the user's clipboard and gets no answer.
    pty.keys("echo -e '\\x1b]52;c;eA==\\x07\\x1b[6n\\x1b[31mr''ed\\x1b[0m'\r");
    pty.wait_for("\nred");
    let written = String::from_utf8_lossy(&pty.written()).into_owned();
    assert!(!written.contains("\x1b]52") && !written.contains("\x1b[6n") && written.contains("\x1b[31mred"));
    pty.keys("echo >/root/mended; exit\r");
    // The same question.
    pty.wait_until("the question again", |screen| screen.trim_end().ends_with("cceeds)?"));
    pty.keys("r\r");
    assert_eq!(pty.end(), 0, "{}", pty.screen());
    pty.assert_restored();
    assert!(larder.dir().join("image/root/mended").exists());
    let left: Vec<_> =
        fs::read_dir(larder.dir().join("image/root")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_run_that_ends_while_a_shell_is_open_gives_the_terminal_back() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let pty = asked(&at_hand(&larder, &ASKING));
    go_in(&pty);
    // A program that has the whole screen, in the midst of it.
    pty.keys("printf '\\033[?1049h\\033[?1003h\\033[?25l\\033[?2004h'; cat\r");
    pty.wait_alternate(true);
    pty.signal(Signal::TERM);
    assert_eq!(pty.end(), 1);
    pty.assert_restored();
}

#[test]
fn resizing_reaches_the_guest() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let mut pty = asked(&at_hand(&larder, &ASKING));
    go_in(&pty);
    pty.resize(120, 30);
    // Told when the signal has come.
    for _ in 0..200 {
        pty.keys("busybox stty size\r");
        if pty.try_wait_until(std::time::Duration::from_millis(200), |screen| screen.contains("\n30 120\n")).is_ok() {
            break;
        }
    }
    pty.wait_for("\n30 120\n");
    pty.keys("exit\r");
    pty.wait_until("the question again", |screen| screen.trim_end().ends_with("cceeds)?"));
    pty.keys("c\r");
    assert_eq!(pty.end(), 1);
    pty.assert_restored();
}

/// `larder` with these arguments, as an ordinary user with subordinate ids, who exists for this command only.
fn as_user(larder: &Larder, editor: &str, arguments: &[&str]) -> Command {
    let program = larder.dir().join("larder");
    fs::copy(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    larder.write("etc/subids", "lardertui:800000:65536\n");
    for file in ["passwd", "group"] {
        let line = match file {
            "passwd" => format!("lardertui:x:{USER}:{USER}::/:/bin/sh\n"),
            _ => format!("lardertui:x:{USER}:\n"),
        };
        larder.write(&format!("etc/{file}"), &(fs::read_to_string(format!("/etc/{file}")).unwrap() + &line));
    }
    fs::set_permissions(larder.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut pending: Vec<PathBuf> = vec![larder.dir().to_owned()];
    while let Some(path) = pending.pop() {
        std::os::unix::fs::lchown(&path, Some(USER), Some(USER)).unwrap();
        if path.symlink_metadata().unwrap().is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    let script = format!(
        "for file in passwd group; do mount --bind etc/$file /etc/$file; done\n\
         for file in subuid subgid; do mount --bind etc/subids /etc/$file; done\n\
         exec setpriv --reuid {USER} --regid {USER} --clear-groups \"$@\""
    );
    let original = at_hand(larder, arguments);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", &script, "sh"]).arg(program).args(arguments);
    command.envs(original.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("EDITOR", editor);
    command.current_dir(larder.dir());
    command
}

#[test]
fn an_ordinary_user_mends_it_with_a_shell_and_with_the_editor() {
    if !is_root() {
        return;
    }
    let larder = larder();
    // An editor that notes who runs it, at a terminal, and mends the script.
    larder.write(
        "editor",
        "#!/bin/sh\nid -u >edited-by\ntty -s && echo tty >>edited-by\nsed -i 's/mended/first/' \"$2\"\n",
    );
    fs::set_permissions(larder.dir().join("editor"), fs::Permissions::from_mode(0o755)).unwrap();
    let pty = asked(&as_user(&larder, "./editor --wait", &ASKING));
    go_in(&pty);
    pty.keys("id -u; busybox tty; exit\r");
    pty.wait_for("\n0\n/dev/pts/0\n");
    pty.wait_until("the question again", |screen| screen.trim_end().ends_with("cceeds)?"));
    pty.keys("e\r");
    assert_eq!(pty.end(), 0, "{}", pty.screen());
    pty.assert_restored();
    assert_eq!(fs::read_to_string(larder.dir().join("edited-by")).unwrap(), format!("{USER}\ntty\n"));
    assert_eq!(larder.dir().join("edited-by").metadata().unwrap().uid(), USER);
}
