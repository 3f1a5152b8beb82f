use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::host;
use crate::image::{inline, template};
use crate::running::{Ended, Running};
use crate::support::{Larder, is_root};

const BOOTSTRAP: &str = r#"
source "rootfs" "t" {
  debian {
    variant = "apt"
  }
  output = "t.tar"
}

build {
  sources = ["source.rootfs.t"]
}
"#;

#[track_caller]
fn assert_cancelled(larder: &Larder, ended: &Ended, cause: &str) {
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(&format!("Cancelling build after being {cause}")), "{}", ended.stderr);
    let last = ended.events.last().unwrap();
    assert_eq!((&last["type"], &last["cancelled"]), (&"run-finished".into(), &cause.into()));
    let finished = ended.events.iter().find(|event| event["type"] == "build-finished").unwrap();
    assert_eq!(finished["ending"], "cancelled");
    host::assert_nothing_left(larder);
    assert_nothing_written(larder);
}

/// Neither an image nor a part of one.
#[track_caller]
fn assert_nothing_written(larder: &Larder) {
    let names: Vec<_> =
        fs::read_dir(larder.dir()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| ["t.pkr.hcl", "state", "cache"].contains(&name.as_str())), "{names:?}");
}

#[test]
fn an_interrupted_bootstrap_leaves_nothing() {
    if !is_root() {
        return;
    }
    let larder = Larder::with_shared_cache();
    larder.write("t.pkr.hcl", BOOTSTRAP);
    for (step, signal, cause) in [
        ("bootstrap: fetch and unpack", Signal::INT, "interrupted"),
        ("bootstrap: configure", Signal::TERM, "terminated"),
    ] {
        let mut running = Running::start(&mut larder.command(["build", "--ui=json", "t.pkr.hcl"]));
        running.wait_for_step(step);
        running.signal(signal);
        assert_cancelled(&larder, &running.wait(), cause);
    }
}

#[test]
fn an_interrupted_provisioner_leaves_nothing() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let line = "sleep 1000 & trap '' INT TERM; echo going; while :; do sleep 100; done";
    larder.write("t.pkr.hcl", &template(&inline("busy", line)));
    // SIGHUP is what is left of a terminal that was closed.
    for (signal, cause) in [(Signal::INT, "interrupted"), (Signal::HUP, "terminated")] {
        let mut running = Running::start(&mut larder.command(["build", "--ui=json", "t.pkr.hcl"]));
        running.wait_for_line("going");
        running.signal(signal);
        assert_cancelled(&larder, &running.wait(), cause);
    }
}

#[test]
fn an_interrupted_export_leaves_no_half_an_image() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    // Large enough that writing it has not ended before the signal arrives.
    larder.write("t.pkr.hcl", &template(&inline("large", "truncate -s 500M /large")));
    let mut running = Running::start(&mut larder.command(["build", "--ui=json", "t.pkr.hcl"]));
    running.wait_for_step("export");
    running.signal(Signal::INT);
    assert_cancelled(&larder, &running.wait(), "interrupted");
}

#[test]
fn the_second_interruption_leaves_at_once_and_lists_what_is_left() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    // What ignores SIGTERM holds the clean-up for as long as it is given to end by itself.
    let line = "trap '' TERM; setsid sh -c 'while :; do sleep 100; done' & echo going; wait";
    larder.write("t.pkr.hcl", &template(&inline("stubborn", line)));
    let mut running = Running::start(&mut larder.command(["build", "--ui=json", "t.pkr.hcl"]));
    running.wait_for_line("going");
    running.signal(Signal::INT);
    running.wait_for_note("Cancelling build");
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let scratch = larder.state().join("scratch");
    assert!(ended.stderr.contains("Leaving at once"), "{}", ended.stderr);
    assert!(ended.stderr.contains(scratch.to_str().unwrap()), "{}", ended.stderr);
    assert!(ended.stderr.contains("larder cleanup"), "{}", ended.stderr);
    assert_ps_and_cleanup(&larder);
}

/// `larder ps` lists a dead run with its scratch tree, and `larder cleanup` removes it.
#[track_caller]
fn assert_ps_and_cleanup(larder: &Larder) {
    let listed = larder.run(["ps", "--json"]).expect(0);
    let runs: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["live"]), (1, &false.into()), "{runs}");
    let tree = runs[0]["trees"][0].as_str().unwrap();
    assert!(fs::metadata(tree).unwrap().is_dir());
    let cleaned = larder.run(["cleanup"]).expect(0);
    assert!(cleaned.stdout.contains(tree), "{cleaned:?}");
    host::assert_nothing_left(larder);
    assert!(larder.run(["ps"]).expect(0).stderr.contains("nothing left behind"));
}

#[test]
fn an_aborted_build_is_left_and_listed() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    larder.write("t.pkr.hcl", &template(&inline("fails", "touch /left; exit 3")));
    let run = larder.run(["build", "--ui=json", "-on-error=abort", "t.pkr.hcl"]).expect(1);
    let events = run.events();
    let finished = events.iter().find(|event| event["type"] == "build-finished").unwrap();
    assert_eq!(finished["ending"], "failed");
    let scratch = larder.state().join("scratch");
    let left = finished["left"].as_array().unwrap();
    assert!(left.iter().any(|left| left.as_str().unwrap().starts_with(scratch.to_str().unwrap())), "{finished:#}");
    assert_nothing_written(&larder);
    assert_ps_and_cleanup(&larder);
}

#[test]
fn what_a_provisioner_leaves_running_is_named_and_ended() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let first = inline("leaves", "sleep 1000 & setsid sleep 2000 & touch /tmp/stays");
    let second = inline("looks", "test -e /tmp/stays && ! grep -l sleep /proc/[0-9]*/comm");
    larder.write("t.pkr.hcl", &template(&(first + &second)));
    let run = larder.run(["build", "--ui=json", "t.pkr.hcl"]).expect(0);
    let events = run.events();
    let log = events.iter().find(|event| event["type"] == "build-started").unwrap()["log"].as_str().unwrap().to_owned();
    let log = fs::read_to_string(log).unwrap();
    let line = log.lines().find(|line| line.contains("left running")).unwrap_or_else(|| panic!("{log}"));
    assert_eq!(line.matches("sleep").count(), 2, "{line}");
}
