use crate::tui::state::Screen;
use crate::tui::testing::{SIZES, press, render, state};
use crate::tui::update::guests::testing::screen;

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
