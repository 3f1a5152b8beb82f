use super::testing::screen;
use super::*;
use crate::guest::reap::Cleaned;
use crate::tui::testing::{press, state};
use crate::tui::update::{Msg, update};

const DEAD: &str = "20260829T100000-dddddd";

fn ids(state: &State) -> Vec<&str> {
    state.guests.runs.iter().map(|run| &run.id[16..]).collect()
}

#[test]
fn coming_to_the_screen_looks_what_is_left() {
    let mut state = state((80, 24));
    assert_eq!(press(&mut state, "7"), work(Op::List));
    let _ = press(&mut state, "Enter j d D y Y n Tab");
    assert!(state.overlays.is_empty() && !state.guests.opened);
}

#[test]
fn the_dead_come_first() {
    assert_eq!(ids(&screen((80, 24))), ["dddddd", "eeeeee", "aaaaaa"]);
}

#[test]
fn nothing_is_removed_without_a_question() {
    let mut state = screen((80, 24));
    assert_eq!(press(&mut state, "d"), []);
    assert_eq!(press(&mut state, "Enter"), [], "a stray Enter removes nothing");
    assert_eq!(press(&mut state, "Esc"), []);
    assert!(state.overlays.is_empty());
    let _ = press(&mut state, "d");
    assert_eq!(press(&mut state, "d"), work(Op::Clean(vec![DEAD.to_owned()])));
    let _ = press(&mut state, "D");
    let both = [DEAD, "20260828T100000-eeeeee"].map(str::to_owned).to_vec();
    assert_eq!(press(&mut state, "d"), work(Op::Clean(both)));
}

#[test]
fn a_run_under_way_is_never_cleaned_up() {
    let mut state = screen((80, 24));
    assert_eq!(press(&mut state, "G d"), []);
    assert!(state.overlays.is_empty() && state.notice.unwrap().text.contains("is under way"));
}

#[test]
fn what_came_of_it_is_told() {
    let mut state = screen((80, 24));
    let left: Vec<Run> = state.guests.runs[1..].to_vec();
    let removed = Cleaned { processes: vec![(1, "guest".to_owned())], trees: vec!["/a".into()] };
    let results = vec![(DEAD.to_owned(), Ok(removed)), ("x".to_owned(), Err("cannot remove /b".to_owned()))];
    let done = crate::tui::effect::Done::Guests(Done::Cleaned { results, left: Ok(left) });
    let _ = update(&mut state, Msg::Done(done));
    assert_eq!(ids(&state), ["eeeeee", "aaaaaa"]);
    assert_eq!(state.notice.as_ref().unwrap().text, "cannot remove /b");
    assert_eq!(state.run.messages.len(), 1, "it stays among the messages");
}

#[test]
fn what_a_run_left_can_be_gone_through_and_copied() {
    let mut state = screen((80, 24));
    let _ = press(&mut state, "Tab j");
    let copied = press(&mut state, "y");
    assert_eq!(copied, [Effect::Copy(format!("files    /state/scratch/{DEAD}-rootfs.debian"))]);
    let _ = press(&mut state, "Esc");
    assert!(!state.guests.opened);
}
