use larder_proxy::inspect::{Limits, Removed};

use crate::tui::effect::Done;
use crate::tui::effect::cache::{Done as CacheDone, Plan};
use crate::tui::msg::Msg;
use crate::tui::state::cache::testing::{LINUX, entries, stored};
use crate::tui::state::{Screen, State};
use crate::tui::testing::{SIZES, press, render, sample, state};
use crate::tui::{symbols, theme, update};

fn tell(state: &mut State, done: CacheDone) {
    let _ = update::update(state, Msg::Done(Done::Cache(done)));
}

/// Unfolded down to some entries.
fn shown(size: (u16, u16)) -> State {
    let mut state = sample(size);
    state.screen = Screen::Cache;
    tell(&mut state, CacheDone::Loaded(Ok(stored())));
    for keys in ["l", "j", "l", "j", "j", "l"] {
        let _ = press(&mut state, keys);
    }
    tell(&mut state, CacheDone::Entries(LINUX.to_owned(), entries()));
    state
}

#[test]
fn the_tree_at_every_size() {
    for size in SIZES {
        insta::assert_snapshot!(format!("cache_{}x{}", size.0, size.1), render(&shown(size)));
    }
}

#[test]
fn an_entry_in_detail() {
    for size in [(80, 24), (60, 15)] {
        let mut state = shown(size);
        for keys in ["j", "m", "Enter"] {
            let _ = press(&mut state, keys);
        }
        insta::assert_snapshot!(format!("cache_entry_{}x{}", size.0, size.1), render(&state));
    }
}

#[test]
fn before_and_without_anything() {
    let mut empty = state((80, 24));
    let _ = press(&mut empty, "4");
    assert!(render(&empty).contains("reading the index"));
    tell(&mut empty, CacheDone::Loaded(Ok(Default::default())));
    insta::assert_snapshot!("cache_empty", render(&empty));
    tell(&mut empty, CacheDone::Loaded(Err(crate::error::Error::new("cannot open the cache at /cache"))));
    assert!(render(&empty).contains("cannot open the cache at /cache"));
}

#[test]
fn what_goes_is_shown_first() {
    let mut state = shown((80, 24));
    let _ = press(&mut state, "d");
    insta::assert_snapshot!("cache_delete", render(&state));
    let _ = press(&mut state, "Esc");
    let removed = Removed { entries: 120, bytes: 1_200_000_000 };
    let plan = |what: &str| Plan { what: what.to_owned(), limits: Limits::default(), removed };
    tell(&mut state, CacheDone::Preview(vec![plan("not used for 90 days"), plan("not used for 30 days")]));
    insta::assert_snapshot!("cache_collect", render(&state));
}

#[test]
fn without_colour_and_in_ascii() {
    let mut state = shown((80, 24));
    state.look.theme = theme::Theme::Mono;
    state.look.symbols = symbols::ASCII;
    let drawn = render(&state);
    assert!(drawn.is_ascii(), "{drawn}");
    for colour in ["Green", "Red", "Blue", "Cyan", "Yellow", "Magenta"] {
        assert!(!drawn.contains(colour), "{colour} in\n{drawn}");
    }
    insta::assert_snapshot!("cache_ascii", drawn);
}
