//! However the UI ends, the terminal is as it was.

use rustix::process::{Pid, Signal};

use crate::pty::Pty;
use crate::support::Larder;
use crate::{at_hand, building};

#[test]
fn after_a_build_that_succeeds_the_report_is_on_the_normal_screen() {
    let larder = Larder::new();
    let pty = building(&larder);
    assert!(pty.is_alternate());
    larder.write("go", "0");
    assert_eq!(pty.end(), 0);
    pty.assert_restored();
    assert!(pty.screen().contains("null.waits"), "{}", pty.screen());
}

#[test]
fn after_a_build_that_fails() {
    let larder = Larder::new();
    let pty = building(&larder);
    larder.write("go", "3");
    assert_eq!(pty.end(), 1);
    pty.assert_restored();
    assert!(pty.screen().contains("null.waits"), "{}", pty.screen());
}

#[test]
fn after_an_error_before_the_build() {
    let larder = Larder::new();
    larder.write("wrong.pkr.hcl", "source {");
    let pty = Pty::start(&at_hand(&larder, &["build", "wrong.pkr.hcl"]), 80, 24);
    assert_eq!(pty.end(), 1);
    pty.assert_restored();
}

#[test]
fn after_signals_that_end_a_run() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let larder = Larder::new();
        let pty = building(&larder);
        pty.signal(signal);
        assert_eq!(pty.end(), 1, "{signal:?}");
        pty.assert_restored();
    }
}

#[test]
fn after_signals_where_nothing_runs() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let larder = Larder::new();
        let pty = Pty::start(&at_hand(&larder, &[]), 80, 24);
        pty.wait_for("larder");
        pty.signal(signal);
        pty.end();
        pty.assert_restored();
    }
}

#[test]
fn after_two_keys_of_ctrl_c() {
    let larder = Larder::new();
    let pty = building(&larder);
    pty.keys("\x03");
    pty.keys("\x03");
    pty.end();
    pty.assert_restored();
}

/// A build in the UI that is to panic, where that can be asked for.
fn to_panic(larder: &Larder, what: &str) -> Option<Pty> {
    larder.write("waits.pkr.hcl", crate::WAITS);
    let mut command = at_hand(larder, &["build", "waits.pkr.hcl"]);
    command.env("LARDER_TEST_PANIC", what);
    cfg!(debug_assertions).then(|| Pty::start(&command, 80, 24))
}

#[test]
fn after_a_panic_of_the_ui_the_build_goes_on_in_lines() {
    let larder = Larder::new();
    let Some(pty) = to_panic(&larder, "ui") else { return };
    crate::has_begun(&larder, &pty);
    // F12.
    pty.keys("\x1b[24~");
    pty.wait_alternate(false);
    pty.wait_for("asked to panic");
    pty.wait_for("This is a bug in Larder");
    larder.write("go", "0");
    assert_eq!(pty.end(), 0);
    pty.assert_restored();
    assert!(pty.screen().contains("null.waits"), "{}", pty.screen());
}

#[test]
fn after_a_panic_of_the_run_its_words_are_on_the_normal_screen() {
    let larder = Larder::new();
    let Some(pty) = to_panic(&larder, "run") else { return };
    assert_eq!(pty.end(), 101);
    pty.assert_restored();
    assert!(pty.screen().contains("asked to panic"), "{}", pty.screen());
}

#[test]
fn a_panic_of_a_task_leaves_the_ui_alone() {
    let larder = Larder::new();
    let Some(pty) = to_panic(&larder, "task") else { return };
    crate::has_begun(&larder, &pty);
    assert!(pty.is_alternate());
    larder.write("go", "0");
    assert_eq!(pty.end(), 0);
    pty.assert_restored();
    assert!(pty.screen().contains("asked to panic"), "{}", pty.screen());
}

#[test]
fn where_the_terminal_is_gone_the_run_ends_and_nothing_stays() {
    let larder = Larder::new();
    let mut pty = building(&larder);
    pty.lose();
    assert_eq!(pty.end(), 1);
}

/// A shell with jobs, in which a build has been begun in the UI.
fn building_in_a_shell(larder: &Larder) -> Pty {
    larder.write("waits.pkr.hcl", crate::WAITS);
    let command = at_hand(larder, &[]);
    let program = command.get_program().to_owned();
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "--noprofile", "-i"]).env("PS1", "prompt# ");
    bash.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    bash.current_dir(larder.dir());
    let pty = Pty::start(&bash, 80, 24);
    pty.wait_for("prompt#");
    pty.keys(&format!("{} build -on-error=cleanup waits.pkr.hcl\r", program.to_str().unwrap()));
    crate::has_begun(larder, &pty);
    pty
}

/// Lets the build end well, and leaves the UI and the shell.
fn ends_well(larder: &Larder, pty: &Pty) {
    larder.write("go", "0");
    // Somebody has pressed a key, so it stays.
    pty.wait_for("ended with exit code 0");
    pty.keys("q");
    pty.wait_alternate(false);
    leaves_the_shell(pty);
}

fn leaves_the_shell(pty: &Pty) {
    // What is typed before that may still be the UI's.
    pty.wait_until("the shell's prompt", |screen| screen.trim_end().ends_with("prompt#"));
    pty.keys("echo status $?; exit\r");
    pty.wait_for("status 0");
    assert_eq!(pty.end(), 0);
    pty.assert_restored();
}

/// The shell's job.
fn job(pty: &Pty) -> Pid {
    let shell = pty.pid().as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let first = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
    Pid::from_raw(first.expect("the shell has a job")).unwrap()
}

#[test]
fn stopped_and_continued_the_ui_is_back() {
    let larder = Larder::new();
    let pty = building_in_a_shell(&larder);
    pty.keys("\x1a");
    // Builds stop with it, which is said the first time.
    pty.wait_for("Stop Larder?");
    pty.keys("z");
    pty.wait_for("Stopped");
    assert!(!pty.is_alternate());
    pty.keys("fg\r");
    pty.wait_alternate(true);
    pty.wait_for("waits.pkr.hcl");
    ends_well(&larder, &pty);
}

#[test]
fn stopped_from_outside_the_terminal_is_given_back_until_it_goes_on() {
    let larder = Larder::new();
    let pty = building_in_a_shell(&larder);
    for _ in 0..2 {
        rustix::process::kill_process(job(&pty), Signal::TSTP).unwrap();
        pty.wait_for("Stopped");
        pty.wait_alternate(false);
        pty.keys("echo still $((40 + 2)); fg\r");
        pty.wait_written("still 42");
        pty.wait_alternate(true);
        pty.wait_for("null.waits");
    }
    pty.keys("?");
    pty.wait_for("Help");
    pty.keys_alone("\x1b");
    ends_well(&larder, &pty);
}

#[test]
fn after_the_ui_was_left_for_plain_lines_the_terminal_can_still_stop_the_build() {
    let larder = Larder::new();
    let pty = building_in_a_shell(&larder);
    pty.keys("q");
    pty.wait_for("go on as plain lines");
    pty.keys("l");
    pty.wait_alternate(false);
    pty.wait_signals();
    pty.keys("\x1a");
    pty.wait_for("Stopped");
    pty.keys("fg\r");
    larder.write("go", "0");
    pty.wait_for("succeeded");
    leaves_the_shell(&pty);
}

#[test]
fn where_nobody_would_bring_it_back_it_does_not_stop() {
    let larder = Larder::new();
    let pty = building(&larder);
    pty.signal(Signal::TSTP);
    pty.wait_alternate(false);
    pty.wait_alternate(true);
    pty.wait_for("null.waits");
    larder.write("go", "0");
    assert_eq!(pty.end(), 0);
    pty.assert_restored();
}
