//! A root file system of one program, for builds whose content does not matter.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const APPLETS: [&str; 14] =
    ["sh", "cat", "chmod", "cp", "echo", "false", "grep", "ln", "ls", "mkdir", "mv", "rm", "test", "true"];

/// Makes it in `root`, which must not exist.
pub(crate) fn root(root: &Path) {
    for directory in ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
}

/// Runs a command line of the host in `directory`.
#[track_caller]
pub(crate) fn host(directory: &Path, line: &str) {
    let output = Command::new("sh").args(["-euc", line]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}
