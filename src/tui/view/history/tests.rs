use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::tui::effect::Done;
use crate::tui::effect::history::Done as Read;
use crate::tui::msg::Msg;
use crate::tui::state::history::testing::runs;
use crate::tui::state::{Screen, State};
use crate::tui::symbols::ASCII;
use crate::tui::testing::{SIZES, buffer, press, render, state, type_text};
use crate::tui::update::update;

fn screen(size: (u16, u16)) -> State {
    let mut state = State { screen: Screen::History, ..state(size) };
    let _ = update(&mut state, Msg::Done(Done::History(Read::Runs(Ok(runs()), TimeZone::UTC))));
    state
}

#[test]
fn the_list_at_every_size() {
    for (width, height) in SIZES {
        let mut state = screen((width, height));
        let _ = press(&mut state, "j");
        insta::assert_snapshot!(format!("history_{width}x{height}"), render(&state));
    }
}

#[test]
fn an_opened_run_at_every_size() {
    for (width, height) in SIZES {
        let mut state = screen((width, height));
        let _ = press(&mut state, "j Enter j j");
        insta::assert_snapshot!(format!("history_run_{width}x{height}"), render(&state));
    }
}

#[test]
fn two_runs_side_by_side_at_every_size() {
    for (width, height) in SIZES {
        let mut state = screen((width, height));
        let _ = press(&mut state, "j m G m D");
        insta::assert_snapshot!(format!("history_diff_{width}x{height}"), render(&state));
    }
}

#[test]
fn marks_a_filter_and_ascii() {
    let mut state = screen((80, 24));
    state.look.symbols = ASCII;
    let _ = press(&mut state, "m m &");
    let _ = type_text(&mut state, "!cancelled");
    let _ = press(&mut state, "Enter");
    insta::assert_snapshot!("history_filtered", render(&state));
}

#[test]
fn what_is_said_where_there_is_nothing() {
    let mut empty = State { screen: Screen::History, ..state((80, 24)) };
    assert!(render(&empty).contains("reading ..."));
    let _ = update(&mut empty, Msg::Done(Done::History(Read::Runs(Ok(Vec::new()), TimeZone::UTC))));
    insta::assert_snapshot!("history_empty", render(&empty));
    let mut failed = State { screen: Screen::History, ..state((80, 24)) };
    let why = "cannot open the history of runs, /state/history.sqlite: no".to_owned();
    let _ = update(&mut failed, Msg::Done(Done::History(Read::Runs(Err(why), TimeZone::UTC))));
    insta::assert_snapshot!("history_failed", render(&failed));
}

#[test]
fn no_size_and_no_order_of_keys_panics() {
    let keys: Vec<&str> = crate::tui::keymap::all().flat_map(|(_, binding)| binding.keys.iter().copied()).collect();
    let step = (0..keys.len(), 1_u16..300, 1_u16..100, any::<bool>());
    proptest!(ProptestConfig::with_cases(48), |(steps in proptest::collection::vec(step, 1..60))| {
        let mut state = screen((80, 24));
        for (key, width, height, resize) in steps {
            if resize {
                let _ = update(&mut state, Msg::Resize(width, height));
            }
            let _ = press(&mut state, keys[key]);
            // Most keys lead away.
            state.screen = Screen::History;
            let _ = buffer(&state);
        }
    });
}
