//! The units of systemd, and the proxy within what they leave it.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::larder::{Larder, Run};

#[test]
fn the_units_are_understood_and_shut_what_can_be_shut() {
    let larder = Larder::new();
    let unit = larder.run(["proxy", "unit"]).expect(0).stdout;
    let socket = larder.run(["proxy", "unit", "--socket"]).expect(0).stdout;
    larder.write("larder-proxy.service", &unit);
    larder.write("larder-proxy.socket", &socket);
    let analyze = |args: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        larder.settle(&mut command);
        Run::of(command.args(args).output().expect("systemd-analyze is there: package systemd"))
    };
    let run = analyze(&["verify", "--man=no", "./larder-proxy.service", "./larder-proxy.socket"]).expect(0);
    assert!(!run.stderr.contains("larder-proxy"), "{}", run.stderr);
    let run = analyze(&["security", "--offline=true", "--threshold=20", "./larder-proxy.service"]);
    let _ = run.expect(0);
}

/// An unprivileged user without any capability, for whom nothing can be written but state, cache and log, and no memory
/// made executable.
const CONFINED: &str = r#"
    set -e
    mount --make-rprivate /
    for directory in state cache logs; do mkdir -p $directory; chown 65534:65534 $directory; done
    for directory in state cache logs; do mount --bind $PWD/$directory $PWD/$directory; done
    chmod 755 $PWD
    mount -o remount,bind,ro /
    exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
        "$LARDER" proxy -q --listen 127.0.0.1:0 --access-log $PWD/logs/access.log --admin 127.0.0.1:0
"#;

#[test]
fn it_works_as_nobody_with_its_own_directories_alone() {
    let larder = Larder::new();
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    // Where nobody can look for it.
    let program = larder.dir().join("larder");
    fs::copy(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    command.args(["--mount", "bash", "-c", CONFINED]).env("LARDER", &program).env("NO_PROXY", "*");
    let notes = fs::File::create(larder.dir().join("notes")).unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(notes).spawn().unwrap();
    let told = || fs::read_to_string(larder.dir().join("notes")).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !told().contains("GIT_SSL") {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "{}", told());
        thread::sleep(Duration::from_millis(10));
    }
    let named = |prefix: &str| told().lines().find_map(|line| line.strip_prefix(prefix).map(str::to_owned)).unwrap();
    let health = Command::new("curl")
        .args(["-sS", "--noproxy", "*", &format!("{}/healthz", named("Metrics and health at "))])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&health.stdout).trim(), r#"{"status":"ok","problems":[]}"#);
    let mut curl = Command::new("curl");
    let asked = curl.args(["-sS", "--noproxy", "", "-x", &named("Listening on "), "http://127.0.0.1:1/"]).output();
    assert!(String::from_utf8_lossy(&asked.unwrap().stdout).starts_with("larder: "));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    assert!(status.contains("CapEff:\t0000000000000000") && status.contains("Uid:\t65534"), "{status}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success(), "{}", told());
    let log = fs::read_to_string(larder.dir().join("logs/access.log")).unwrap();
    assert!(log.contains("\"client\":\"127.0.0.1\""), "{log}");
}
