//! Where there is no UI: lines, as ever.

use crate::pty::Pty;
use crate::support::{Larder, Run};
use crate::{WAITS, at_hand};

const PLAIN: &str = "==> null.waits";

fn larder() -> Larder {
    let larder = Larder::new();
    larder.write("waits.pkr.hcl", WAITS);
    larder.write("go", "0");
    larder
}

/// Whether anything was written that moves, clears or switches the screen.
fn draws(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    ["\x1b[?1049h", "\x1b[H", "\x1b[2J", "\x1b[?25l"].iter().any(|sequence| text.contains(sequence))
}

#[test]
fn without_a_terminal() {
    let larder = larder();
    let run = Run::of(at_hand(&larder, &["build", "waits.pkr.hcl"]).output().unwrap()).expect(0);
    assert!(run.stdout.contains(PLAIN) && !draws(run.stdout.as_bytes()), "{}", run.stdout);
}

#[test]
fn in_a_terminal_that_can_show_no_ui_or_where_nobody_is() {
    for (name, value) in [("TERM", "dumb"), ("TERM", ""), ("CI", "true")] {
        let larder = larder();
        let mut command = at_hand(&larder, &["build", "waits.pkr.hcl"]);
        command.env(name, value);
        let pty = Pty::start(&command, 80, 24);
        assert_eq!(pty.end(), 0, "{name}={value}");
        pty.assert_restored();
        assert!(pty.screen().contains(PLAIN), "{name}={value}:\n{}", pty.screen());
        assert!(!draws(&pty.written()), "{name}={value}");
    }
}

#[test]
fn where_it_is_asked_for() {
    let larder = larder();
    let pty = Pty::start(&at_hand(&larder, &["build", "--ui=plain", "waits.pkr.hcl"]), 80, 24);
    assert_eq!(pty.end(), 0);
    pty.assert_restored();
    assert!(pty.screen().contains(PLAIN) && !draws(&pty.written()), "{}", pty.screen());
}

#[test]
fn the_ui_alone_says_what_it_needs() {
    let larder = larder();
    let mut command = at_hand(&larder, &[]);
    command.env("TERM", "dumb");
    let pty = Pty::start(&command, 80, 24);
    assert_ne!(pty.end(), 0);
    pty.assert_restored();
}
