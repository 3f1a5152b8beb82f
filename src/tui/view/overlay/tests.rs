use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_all;
use crate::tui::state::State;
use crate::tui::symbols;
use crate::tui::testing::{SIZES, feed, noon, press, question, sample, text_and_styles, type_text};

/// What lies over the screen alone: what is below it changes for other reasons.
fn over(state: &State) -> String {
    let mut buffer = Buffer::empty(Rect::new(0, 0, state.size.width, state.size.height));
    draw_all(state, &mut buffer);
    text_and_styles(&buffer)
}

fn at_every_size(name: &str, prepare: impl Fn(&mut State)) {
    for size in SIZES {
        let mut state = sample(size);
        prepare(&mut state);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), over(&state));
    }
}

fn asking(state: &mut State) {
    for (id, build) in [(1, "rootfs.debian"), (2, "rootfs.ubuntu-24.04")] {
        state.run.asked(question(id, build));
    }
}

#[test]
fn messages() {
    at_every_size("messages", |state| drop(press(state, "!")));
}

#[test]
fn a_question() {
    at_every_size("question", |state| {
        asking(state);
        let _ = press(state, "a");
    });
}

#[test]
fn a_question_whose_deadline_is_suspended_says_so_and_then_counts_anew() {
    use crate::event::EventKind;
    for size in [(80, 24), (60, 15), (40, 10)] {
        let mut state = sample(size);
        asking(&mut state);
        let _ = press(&mut state, "a");
        let mut tell = |deadline| {
            let _ = feed(&mut state, 40, Some("rootfs.debian"), EventKind::Deadline { id: 1, deadline });
            over(&state)
        };
        let suspended = tell(None);
        assert!(suspended.contains("suspended") && !suspended.contains("Unanswered"), "{suspended}");
        let anew = tell(Some(noon() + jiff::SignedDuration::from_secs(40 + 20 * 60)));
        assert!(anew.contains("20:00") && !anew.contains("suspended"), "{anew}");
    }
}

#[test]
fn a_question_choosing_a_step() {
    at_every_size("question_steps", |state| {
        asking(state);
        let _ = press(state, "a R j");
    });
}

#[test]
fn confirming() {
    at_every_size("confirm", |state| drop(press(state, "q")));
}

/// The tables of other screens change for reasons of their own: what is searched for here is global.
#[test]
fn help() {
    at_every_size("help", |state| {
        let _ = press(state, "?");
        let _ = type_text(state, "anywhere ctrl-");
    });
}

#[test]
fn palette() {
    at_every_size("palette", |state| {
        let _ = press(state, ":");
        let _ = type_text(state, "global.pane");
    });
}

#[test]
fn in_ascii_there_is_nothing_but_ascii() {
    let mut state = sample((80, 24));
    state.look.symbols = symbols::ASCII;
    asking(&mut state);
    for keys in ["?", ":", "!", "a"] {
        let _ = press(&mut state, keys);
        assert!(over(&state).is_ascii(), "{}", over(&state));
        let _ = press(&mut state, "Esc");
    }
}
