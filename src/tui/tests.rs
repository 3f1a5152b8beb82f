mod builds;
mod figures;
mod log;
mod templates;

use proptest::prelude::*;

use super::layout;
use super::state::{Screen, State};
use super::testing::anything::{happen, step};
use super::testing::{SIZES, buffer, sample, state};

/// Draws, and checks what holds of every frame.
fn check(state: &State) {
    let drawn = buffer(state);
    for cell in drawn.content() {
        // A control character would be a command to the terminal.
        assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
        assert_eq!(cell.bg, ratatui::style::Color::Reset, "no background is set");
    }
    let panes = state.look.panes.all();
    for (number, pane) in panes.iter().enumerate() {
        assert_eq!(pane.inside.intersection(drawn.area), pane.inside, "a pane goes beyond the screen");
        if pane.over {
            let within = layout::under_overlays(state.size);
            assert_eq!(pane.inside.intersection(within), pane.inside, "what lies over leaves the hints free");
            continue;
        }
        let others = panes[..number].iter().filter(|other| !other.over);
        for other in others {
            assert!(pane.inside.intersection(other.inside).is_empty(), "panes overlap: {pane:?} {other:?}");
        }
    }
}

#[test]
fn no_size_and_no_order_of_events_panics_or_overlaps() {
    let steps = proptest::collection::vec(step(), 1..80);
    proptest!(ProptestConfig::with_cases(64), |(steps in steps, fed in any::<bool>(), ascii in any::<bool>())| {
        let mut state = if fed { sample((80, 24)) } else { state((80, 24)) };
        if ascii {
            state.look.symbols = super::symbols::ASCII;
        }
        for step in steps {
            let _ = happen(&mut state, step);
            check(&state);
        }
    });
}

#[test]
fn every_screen_holds_at_every_size() {
    for screen in Screen::ALL {
        for height in 1..100 {
            // Every height, and widths around every limit.
            for width in [1, 2, 3, 4, 5, 8, 13, 21, 34, 59, 60, 61, 79, 80, 81, 99, 100, 139, 140, 160, 299, 300] {
                let mut state = sample((width, height));
                state.screen = screen;
                check(&state);
            }
        }
    }
}

#[test]
fn every_screen_fills_every_size() {
    for size in SIZES {
        for screen in Screen::ALL {
            let mut state = sample(size);
            state.screen = screen;
            let drawn = buffer(&state);
            assert!(drawn.content().iter().any(|cell| cell.symbol() != " "), "{screen:?} at {size:?} is empty");
        }
    }
}
