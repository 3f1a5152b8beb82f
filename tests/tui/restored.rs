//! However the UI ends, the terminal is as it was.

use rustix::process::Signal;

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

#[test]
fn stopped_and_continued_the_ui_is_back() {
    let larder = Larder::new();
    larder.write("waits.pkr.hcl", crate::WAITS);
    let mut shell = at_hand(&larder, &[]);
    let program = shell.get_program().to_owned();
    // A shell with jobs.
    shell = {
        let mut bash = std::process::Command::new("bash");
        bash.args(["--norc", "--noprofile", "-i"]).env("PS1", "prompt# ");
        for (name, value) in shell.get_envs() {
            if let Some(value) = value {
                bash.env(name, value);
            }
        }
        bash.current_dir(larder.dir());
        bash
    };
    let pty = Pty::start(&shell, 80, 24);
    pty.wait_for("prompt#");
    pty.keys(&format!("{} build waits.pkr.hcl\r", program.to_str().unwrap()));
    crate::has_begun(&larder, &pty);
    pty.keys("\x1a");
    // Builds stop with it, which is said the first time.
    pty.wait_for("Stop Larder?");
    pty.keys("z");
    pty.wait_for("Stopped");
    assert!(!pty.is_alternate());
    pty.keys("fg\r");
    pty.wait_alternate(true);
    pty.wait_for("waits.pkr.hcl");
    larder.write("go", "0");
    // Somebody has pressed a key, so it stays.
    pty.wait_for("ended with exit code 0");
    pty.keys("q");
    pty.wait_alternate(false);
    // What is typed before that may still be the UI's.
    pty.wait_until("the shell's prompt", |screen| screen.trim_end().ends_with("prompt#"));
    pty.keys("echo status $?; exit\r");
    pty.wait_for("status 0");
    assert_eq!(pty.end(), 0);
    pty.assert_restored();
}
