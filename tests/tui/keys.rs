//! What is typed arrives, whatever happens at the same time.

use std::time::Duration;

use crate::at_hand;
use crate::pty::Pty;
use crate::support::Larder;

/// Times that a key is typed among changes of the size.
const KEYS: usize = 300;

#[test]
fn keys_typed_while_the_size_changes_arrive_at_once() {
    let larder = Larder::new();
    let pty = Pty::start(&at_hand(&larder, &[]), 80, 24);
    pty.wait_for("larder");
    let mut typed = String::new();
    for number in 0..KEYS {
        if typed.is_empty() {
            pty.keys(":");
            pty.wait_for(">");
        }
        let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
        typed.push(letter);
        // Before it, after it, and around it.
        for change in 0..number % 5 {
            pty.resize_at_once(81, 24 + u16::try_from(change).unwrap());
        }
        pty.keys(&letter.to_string());
        if number % 2 == 0 {
            pty.resize_at_once(79, 24);
        }
        pty.resize_at_once(80, 24);
        let seen = pty.try_wait_until(Duration::from_secs(5), |screen| screen.contains(&typed));
        assert!(seen.is_ok(), "key {number}, {letter:?} of {typed:?}, is lost; there is:\n{}", seen.unwrap_err());
        if typed.len() == 30 {
            typed.clear();
            pty.keys_alone("\x1b");
        }
    }
}

#[test]
fn esc_is_esc_although_other_keys_begin_with_it() {
    let larder = Larder::new();
    let pty = Pty::start(&at_hand(&larder, &[]), 80, 24);
    pty.wait_for("larder");
    for _ in 0..3 {
        pty.keys("?");
        pty.wait_for("Help");
        pty.keys("\x1b");
        pty.wait_gone("Help");
    }
}

#[test]
fn much_that_comes_at_once_arrives_to_its_end() {
    let larder = Larder::new();
    let pty = Pty::start(&at_hand(&larder, &[]), 80, 24);
    pty.wait_for("larder");
    pty.keys(":");
    pty.wait_for(">");
    pty.keys(&format!("{}{}theme", "x".repeat(1500), "\x7f".repeat(1500)));
    pty.wait_for("> theme");
}
