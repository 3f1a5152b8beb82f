use proptest::prelude::*;

use crate::tui::msg::Msg;
use crate::tui::state::Screen;
use crate::tui::testing::{SIZES, buffer, press, render, state};
use crate::tui::update::guests::testing::screen;
use crate::tui::update::update;

#[test]
fn the_list_at_every_size() {
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("guests_{width}x{height}"), render(&screen((width, height))));
    }
}

#[test]
fn an_opened_run_and_the_question_before_it_is_cleaned_up() {
    let mut state = screen((60, 15));
    let _ = press(&mut state, "Enter j");
    insta::assert_snapshot!("guests_run_60x15", render(&state));
    let mut state = screen((80, 24));
    let _ = press(&mut state, "d");
    insta::assert_snapshot!("guests_confirm", render(&state));
}

#[test]
fn what_is_said_where_there_is_nothing() {
    let mut state = state((80, 24));
    state.screen = Screen::Guests;
    assert!(render(&state).contains("looking ..."));
    state.guests.read = true;
    assert!(render(&state).contains("nothing left behind"));
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
            state.screen = Screen::Guests;
            let _ = buffer(&state);
        }
    });
}
