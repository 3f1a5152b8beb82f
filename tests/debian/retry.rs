//! Phases of a bootstrap that fail, are mended outside, and are tried again at the question.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::archive::Archive;
use super::pty::{LIMIT, Pty};
use super::support::{Larder, is_root};

/// Stands for dpkg: "configuring" takes 24 MB for a while, and is noted.
const DPKG: &str = "#!/bin/sh
set -e
busybox=/bin/busybox
$busybox mkdir -p /var/cache /etc
$busybox dd if=/dev/zero of=/var/cache/work bs=1048576 count=24
$busybox rm /var/cache/work
echo \"$*\" >> /etc/configured
";

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

/// A file system with little room is the state directory, and gets more when there is a file `more`.
const BEFORE: &str = "mount -t tmpfs -o size=16m tmpfs \"$LARDER_STATE_DIR\"
(while ! [ -e more ]; do sleep 0.05; done; mount -o remount,size=128m \"$LARDER_STATE_DIR\"; : > grown) &
exec \"$@\"";

fn archive() -> Archive {
    let busybox = fs::read("/bin/busybox").unwrap();
    Archive::with(&[("base", "Essential: yes\n", 1000)], "", &|_| {
        let dpkg = DPKG.as_bytes().to_vec();
        vec![("bin/busybox", busybox.clone()), ("bin/sh", busybox.clone()), ("usr/bin/dpkg", dpkg)]
    })
}

fn start(larder: &Larder) -> Pty {
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    command.args(["--mount", "--propagation", "private", "sh", "-eu", "-c", BEFORE, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_larder")).args(["build", "--ui=plain", "-on-error=ask", "t.pkr.hcl"]);
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
fn each_phase_that_failed_is_tried_again_and_the_image_is_whole() {
    if !is_root() {
        return;
    }
    let archive = archive();
    let larder = Larder::new();
    fs::create_dir(larder.state()).unwrap();
    fs::write(larder.dir().join("keyring.gpg"), &archive.keyring).unwrap();
    larder.write("t.pkr.hcl", &TEMPLATE.replace("MIRROR", &archive.url));
    let release = archive.take("dists/test/InRelease");
    let altered = String::from_utf8(release.clone()).unwrap().replace("Codename: test", "Codename: evil");
    archive.alter("base_1_amd64.deb", |content| *content.last_mut().unwrap() ^= 1);
    let pty = start(&larder);
    asked(&pty, 1, "bootstrap: resolve", "test");
    // What is wrong in another way asks again, and is not what the cache answers with from then on.
    archive.put("dists/test/InRelease", altered.into_bytes());
    pty.keys("r\n");
    asked(&pty, 2, "bootstrap: resolve", "signature");
    archive.put("dists/test/InRelease", release);
    pty.keys("r\n");
    asked(&pty, 3, "bootstrap: fetch and unpack", "base_1_amd64.deb");
    archive.alter("base_1_amd64.deb", |content| *content.last_mut().unwrap() ^= 1);
    pty.keys("r\n");
    asked(&pty, 4, "bootstrap: configure", "dpkg could not configure");
    assert!(pty.screen().contains("No space left on device"), "{}", pty.screen());
    larder.write("more", "");
    let deadline = Instant::now() + LIMIT;
    while !larder.dir().join("grown").exists() {
        assert!(Instant::now() < deadline, "the file system did not grow");
        std::thread::sleep(Duration::from_millis(10));
    }
    pty.keys("r\n");
    assert_eq!(pty.end(), 0, "{}", pty.screen());
    let image = larder.dir().join("image");
    let configured = fs::read_to_string(image.join("etc/configured")).unwrap();
    let runs: Vec<&str> = configured.lines().collect();
    // Unpacked anew for it: nothing of the attempt that failed is there.
    assert_eq!(runs, ["--force-unsafe-io --force-depends --configure base", "--force-unsafe-io --configure -a"]);
    assert!(!image.join("var/cache/work").exists());
    assert_eq!(fs::metadata(image.join("usr/share/base")).unwrap().len(), 1000);
}
