use larder_proxy::cache::Mode;

use crate::tui::effect::Done;
use crate::tui::effect::proxy::Done as ProxyDone;
use crate::tui::msg::Msg;
use crate::tui::state::proxy::testing::{traffic, under_way};
use crate::tui::state::{Screen, State};
use crate::tui::testing::{SIZES, noon, press, render, sample, type_text};
use crate::tui::{symbols, theme, update};

/// Traffic of every kind, and one request under way.
fn shown(size: (u16, u16)) -> State {
    let mut state = sample(size);
    state.screen = Screen::Proxy;
    traffic(&mut state);
    for (requests, bytes) in [(1, 40_000), (4, 900_000), (6, 3_000_000), (9, 29_300_000)] {
        state.proxy.rates.second(requests, bytes);
    }
    state.now = noon() + jiff::SignedDuration::from_secs(40);
    let under_way = vec![under_way(10, "http://deb.example.org/debian/pool/g/gcc/gcc-14_amd64.deb", 40_000_000)];
    let looked = ProxyDone::Looked(Some((Mode::Cache, under_way)));
    let _ = update::update(&mut state, Msg::Done(Done::Proxy(looked)));
    state
}

#[test]
fn traffic_at_every_size() {
    for size in SIZES {
        insta::assert_snapshot!(format!("proxy_{}x{}", size.0, size.1), render(&shown(size)));
    }
}

#[test]
fn a_request_in_detail() {
    for size in [(80, 24), (60, 15)] {
        let mut state = shown(size);
        let _ = press(&mut state, "g g");
        let _ = press(&mut state, "j");
        let _ = press(&mut state, "j");
        let _ = press(&mut state, "Enter");
        insta::assert_snapshot!(format!("proxy_detail_{}x{}", size.0, size.1), render(&state));
    }
}

#[test]
fn filtered_marked_found_paused_and_grouped() {
    let mut state = shown((80, 24));
    let _ = press(&mut state, "&");
    let _ = type_text(&mut state, "host:deb.example.org !result:stale");
    let _ = press(&mut state, "Enter");
    let _ = press(&mut state, "k");
    let _ = press(&mut state, "m");
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "Packages");
    let _ = press(&mut state, "Enter");
    traffic(&mut state);
    insta::assert_snapshot!("proxy_filtered", render(&state));
    let _ = press(&mut state, "\\");
    let _ = press(&mut state, "o");
    let _ = press(&mut state, "h");
    insta::assert_snapshot!("proxy_grouped", render(&state));
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
    insta::assert_snapshot!("proxy_ascii", drawn);
}

#[test]
fn what_can_be_done_asks_first() {
    let mut state = shown((80, 24));
    let _ = press(&mut state, "M");
    insta::assert_snapshot!("proxy_mode", render(&state));
    let _ = press(&mut state, "Esc");
    let _ = press(&mut state, "d");
    insta::assert_snapshot!("proxy_drop", render(&state));
}
