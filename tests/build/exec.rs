use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::origin;
use crate::running::Running;
use crate::support::{Larder, Run, is_root};

fn exec(larder: &Larder, words: &[&str]) -> Run {
    larder.run(["exec", "-q", "--"].iter().chain(words))
}

#[test]
fn pip_fetches_a_package_once() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let made = Command::new("python3").args(["-m", "venv"]).arg(larder.dir().join("venv")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let install = ["exec", "--", "venv/bin/pip", "install", "--no-cache-dir", "--force-reinstall", "--no-deps", "idna"];
    let table = |run: &Run| {
        let line = run.stderr.lines().find(|line| line.starts_with("package ")).unwrap_or_else(|| panic!("{run:?}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // requests, hits, 304s, from cache (and its unit), from upstream (and its unit)
    let first = table(&larder.run(install).expect(0));
    assert_eq!(first[1..3], ["1", "0"], "{first:?}");
    let second = table(&larder.run(install).expect(0));
    assert_eq!(second[1..3], ["1", "1"], "{second:?}");
    assert_eq!(second[6..], ["0", "B"], "{second:?}");
}

#[test]
fn curl_is_answered_from_the_cache_and_other_ports_are_refused() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let mirror = format!("public.example.org=http://{}/", origin::serve());
    for outcome in ["0", "1"] {
        let run = larder
            .run(["exec", "--mirror", &mirror, "--", "curl", "-sS", "--fail", "https://public.example.org/a"])
            .expect(0);
        assert_eq!(run.stdout, "origin /a");
        let total = run.stderr.lines().find(|line| line.starts_with("total ")).unwrap();
        assert_eq!(total.split_whitespace().nth(2), Some(outcome), "{total}");
    }
    let run = exec(&larder, &["sh", "-c", "curl -sS --max-time 60 http://203.0.113.9:8080/"]);
    assert_eq!(run.code, 7, "{run:?}");
}

#[test]
fn the_proxy_of_the_users_environment_is_larders_and_not_the_commands() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let mirror = format!("public.example.org=http://{}/", origin::serve());
    let mut command = larder.command(["exec", "-q", "--no-proxy", "127.0.0.1", "--mirror", &mirror, "--", "sh", "-c"]);
    command.arg("env | grep -i _proxy=http; curl -sS --fail http://public.example.org/a");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "ftp_proxy"] {
        command.env(name, "http://203.0.113.7:3128");
    }
    command.env("no_proxy", "127.0.0.1");
    let run = Run::of(command.output().unwrap()).expect(0);
    assert_eq!(run.stdout, "origin /a");
}

#[test]
fn input_output_and_status_are_the_commands_own() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let mut child = larder
        .command(["exec", "-q", "--", "sh", "-c", "cat; echo to stderr >&2; exit 7"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    let run = Run::of(child.wait_with_output().unwrap()).expect(7);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("typed", "to stderr\n"));
    let missing = exec(&larder, &["no-such-command"]).expect(127);
    assert!(missing.stderr.contains("no-such-command"), "{missing:?}");
    assert_eq!(exec(&larder, &["/"]).code, 126);
    assert_eq!(exec(&larder, &["sh", "-c", "kill -9 $$"]).code, 137);
    crate::host::assert_nothing_left(&larder);
}

#[test]
fn signals_reach_the_command_and_larder_waits_for_it() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    for (signal, name, code) in [(Signal::TERM, "TERM", 3), (Signal::HUP, "HUP", 4)] {
        let line = format!("trap 'exit {code}' {name}; echo '{{\"line\":\"ready\"}}'; while :; do sleep 0.01; done");
        let mut running = Running::start(&mut larder.command(["exec", "-q", "--", "sh", "-c", &line]));
        running.wait_for_line("ready");
        running.signal(signal);
        assert_eq!(running.wait().code, Some(code));
    }
    // What the terminal sends goes to both; Larder leaves it to the command.
    let line = "trap 'exit 5' INT; echo '{\"line\":\"ready\"}'; while :; do sleep 0.01; done";
    let mut running = Running::start(larder.command(["exec", "-q", "--", "sh", "-c", line]).process_group(0));
    running.wait_for_line("ready");
    running.signal_group(Signal::INT);
    assert_eq!(running.wait().code, Some(5));
    // Killed, it takes the command along.
    let line = "echo '{\"line\":\"ready\"}'; exec sleep 1000";
    let mut running = Running::start(&mut larder.command(["exec", "-q", "--", "sh", "-c", line]));
    running.wait_for_line("ready");
    running.signal(Signal::KILL);
    // The command holds the other end of standard output: this ends when it has.
    assert_eq!(running.wait().code, None);
    let _ = larder.run(["cleanup"]).expect(0);
    crate::host::assert_nothing_left(&larder);
}

#[test]
fn records_of_older_commands_go() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    for _ in 0..4 {
        let run = Run::of(larder.command(["exec", "--", "true"]).env("LARDER_HISTORY_KEEP", "2").output().unwrap());
        let run = run.expect(0);
        assert!(!run.stderr.contains("records of older commands"), "{run:?}");
    }
    assert_eq!(fs::read_dir(larder.state().join("logs")).unwrap().count(), 2);
}

/// A `larder` for `nobody`, in a place that is open to it.
fn as_nobody(home: &Path, line: &str) -> Run {
    let program = home.join("larder");
    fs::copy(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    let status = Command::new("chown").arg("-R").arg("nobody").arg(home).status().unwrap();
    assert!(status.success());
    let output = Command::new("runuser")
        .args(["-u", "nobody", "--", "env", "-i", "PATH=/usr/bin:/bin"])
        .arg(format!("HOME={}", home.display()))
        .arg(format!("XDG_CACHE_HOME={}", home.join("c").display()))
        .args(["sh", "-c", &format!("cd {} && exec ./larder {line}", home.display())])
        .output()
        .unwrap();
    Run::of(output)
}

#[test]
fn a_user_without_privileges_has_the_same_or_is_told_why_not() {
    if !is_root() {
        return;
    }
    let home = tempfile::Builder::new().prefix("larder-nobody-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mirror = format!("--mirror public.example.org=http://{}/", origin::serve());
    let line = format!("exec -q {mirror} -- sh -c 'id -u; curl -sS --fail https://public.example.org/a'");
    let run = as_nobody(home.path(), &line);
    if run.code != 0 && run.stderr.contains("cannot make a user namespace") {
        assert!(run.stderr.contains("hint:"), "{run:?}");
        eprintln!("skipped: this kernel lets its users make no user namespaces");
        return;
    }
    let run = run.expect(0);
    let nobody = home.path().metadata().map(|status| std::os::unix::fs::MetadataExt::uid(&status)).unwrap();
    assert_eq!(run.stdout, format!("{nobody}\norigin /a"));
}

#[test]
fn where_a_namespace_is_demanded_and_not_to_be_had_it_says_so() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    // The limit is the new user namespace's own.
    command.args(["-Ur", "sh", "-c", "echo 0 >/proc/sys/user/max_net_namespaces && exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_larder")).args(["exec", "-q", "--egress=enforced", "--", "touch", "ran"]);
    let run = Run::of(command.output().unwrap()).expect(1);
    assert!(run.stderr.contains("network namespace"), "{run:?}");
    assert!(run.stderr.contains("user.max_net_namespaces"), "{run:?}");
    assert!(!larder.dir().join("ran").exists());
    crate::host::assert_nothing_left(&larder);
}
