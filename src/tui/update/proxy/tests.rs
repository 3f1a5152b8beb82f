use larder_proxy::cache::Mode;
use larder_proxy::flow::Outcome;
use proptest::prelude::*;

use super::*;
use crate::tui::effect::Done as AnyDone;
use crate::tui::msg::Msg;
use crate::tui::state::proxy::rows;
use crate::tui::state::proxy::testing::{end, flow, traffic, under_way};
use crate::tui::state::run::FLOWS;
use crate::tui::testing::{buffer, press, sample, type_text};
use crate::tui::update::update;

fn shown() -> State {
    let mut state = sample((80, 24));
    state.screen = Screen::Proxy;
    state
}

fn many(state: &mut State, ids: std::ops::Range<u64>) {
    for id in ids {
        end(state, flow(id, Outcome::Hit, &format!("http://example.org/{id}"), 10));
    }
}

fn looked(state: &mut State, under_way: Vec<larder_proxy::in_flight::InFlight>) {
    let done = Done::Looked(Some((Mode::Cache, under_way)));
    let _ = update(state, Msg::Done(AnyDone::Proxy(done)));
}

fn ids(state: &State) -> Vec<u64> {
    let items = state.proxy.rows.iter().filter_map(|row| item(&state.proxy, &state.run, row));
    items.filter_map(|item| item.flow().map(|flow| flow.id)).collect()
}

fn selected(state: &State) -> Option<u64> {
    act::selected(state).map(|flow| flow.id)
}

#[test]
fn following_keeps_the_last_in_view_and_moving_up_ends_it() {
    let mut state = shown();
    many(&mut state, 0..100);
    assert_eq!(selected(&state), Some(99));
    let _ = press(&mut state, "k");
    let (place, seen) = (state.proxy.place, selected(&state));
    many(&mut state, 100..130);
    assert_eq!((state.proxy.place, selected(&state)), (place, seen), "nothing moves what is read");
    assert_eq!(state.proxy.arrived - state.proxy.seen, 30);
    let _ = press(&mut state, "f");
    assert_eq!(selected(&state), Some(129));
    let _ = press(&mut state, "Ctrl-u");
    let _ = press(&mut state, "G");
    many(&mut state, 130..131);
    assert_eq!(selected(&state), Some(130), "G follows again");
}

#[test]
fn what_is_read_stays_also_when_the_oldest_fall_off() {
    let mut state = shown();
    many(&mut state, 0..FLOWS as u64);
    let _ = press(&mut state, "Ctrl-b");
    let (seen, above) = (selected(&state), state.proxy.place.selected - state.proxy.place.top);
    many(&mut state, FLOWS as u64..FLOWS as u64 + 500);
    assert_eq!(selected(&state), seen);
    assert_eq!(state.proxy.place.selected - state.proxy.place.top, above);
    assert_eq!((state.proxy.rows.len(), state.proxy.fallen(&state.run)), (FLOWS, 500));
    assert_eq!(ids(&state).first(), Some(&500));
}

#[test]
fn frozen_the_list_stays_as_it_is() {
    let mut state = shown();
    many(&mut state, 0..3);
    looked(&mut state, vec![under_way(10, "http://example.org/x", 100)]);
    let _ = press(&mut state, "p");
    many(&mut state, 3..9);
    end(&mut state, flow(10, Outcome::Miss, "http://example.org/x", 100));
    looked(&mut state, vec![under_way(11, "http://example.org/y", 100)]);
    assert_eq!(ids(&state), [0, 1, 2, 10]);
    let _ = press(&mut state, "p");
    assert_eq!(ids(&state), [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
}

#[test]
fn one_under_way_becomes_one_that_ended_where_it_is() {
    let mut state = shown();
    many(&mut state, 0..3);
    looked(&mut state, vec![under_way(7, "http://example.org/a", 100), under_way(8, "http://example.org/b", 100)]);
    assert_eq!((ids(&state), selected(&state)), (vec![0, 1, 2, 7, 8], Some(8)));
    let _ = press(&mut state, "k");
    end(&mut state, flow(8, Outcome::Miss, "http://example.org/b", 100));
    assert_eq!((ids(&state), selected(&state)), (vec![0, 1, 2, 8, 7], Some(7)));
    end(&mut state, flow(7, Outcome::Miss, "http://example.org/a", 100));
    assert_eq!((ids(&state), selected(&state)), (vec![0, 1, 2, 8, 7], Some(7)));
    // A look that was taken before they ended changes nothing.
    looked(&mut state, vec![under_way(7, "http://example.org/a", 100)]);
    assert_eq!(ids(&state), [0, 1, 2, 8, 7]);
}

#[test]
fn filters_apply_to_what_comes_and_can_be_turned_off() {
    let mut state = shown();
    traffic(&mut state);
    let _ = press(&mut state, "&");
    let _ = type_text(&mut state, "result:miss !security");
    let _ = press(&mut state, "Enter");
    assert_eq!(ids(&state), [3]);
    end(&mut state, flow(20, Outcome::Hit, "http://example.org/", 1));
    end(&mut state, flow(21, Outcome::Miss, "http://example.org/", 1));
    assert_eq!(ids(&state), [3, 21]);
    let _ = press(&mut state, "\\");
    assert_eq!(ids(&state).len(), 11);
    let _ = press(&mut state, "&");
    assert_eq!(state.bar.as_ref().unwrap().input.value(), "result:miss !security", "what was typed is there again");
    let _ = type_text(&mut state, " /(/");
    let _ = press(&mut state, "Enter");
    assert!(state.notice.as_ref().unwrap().error, "a pattern that cannot be read is told");
}

#[test]
fn search_goes_round_and_filter_does_not_hide_what_is_selected() {
    let mut state = shown();
    traffic(&mut state);
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "STABLE");
    let _ = press(&mut state, "Enter");
    assert_eq!(selected(&state), Some(1));
    let _ = press(&mut state, "n");
    assert_eq!(selected(&state), Some(2));
    let _ = press(&mut state, "N");
    let _ = press(&mut state, "N");
    assert_eq!(selected(&state), Some(9));
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "nowhere");
    let _ = press(&mut state, "Enter");
    assert_eq!(selected(&state), Some(9));
    assert!(state.notice.as_ref().unwrap().text.contains("nowhere"));
}

#[test]
fn groups_are_counted_and_folded() {
    let mut state = shown();
    traffic(&mut state);
    let _ = press(&mut state, "o");
    let headings = |state: &State| -> Vec<(String, u64)> {
        let rows = state.proxy.rows.iter();
        rows.filter_map(
            |row| if let Row::Heading(found) = row { Some((found.name.clone(), found.requests)) } else { None },
        )
        .collect()
    };
    assert_eq!(headings(&state).iter().map(|(_, count)| count).sum::<u64>(), 9);
    let _ = press(&mut state, "g g");
    let all = state.proxy.rows.len();
    let _ = press(&mut state, "Enter");
    assert_eq!(state.proxy.rows.len(), all - 1, "the first group has one request");
    let _ = press(&mut state, "l");
    assert_eq!(state.proxy.rows.len(), all);
    let _ = press(&mut state, "o");
    assert_eq!(headings(&state), [("rootfs.alpine".to_owned(), 1), ("rootfs.debian".to_owned(), 8)]);
}

#[test]
fn effects_are_as_asked() {
    let mut state = shown();
    traffic(&mut state);
    let _ = press(&mut state, "g g");
    let url = "http://deb.example.org/debian/dists/stable/InRelease";
    let work = |op| vec![Effect::Work(Work::Proxy(op))];
    assert_eq!(press(&mut state, "y"), [Effect::Copy(url.to_owned())]);
    assert_eq!(press(&mut state, "u"), [Effect::Copy(format!("curl --location --remote-name '{url}'"))]);
    assert_eq!(press(&mut state, "r"), work(Op::Refetch(url.to_owned())));
    let digest = "9f".repeat(32);
    assert_eq!(press(&mut state, "v"), work(Op::View { digest: digest.clone() }));
    assert_eq!(press(&mut state, "b"), work(Op::Save { digest, url: url.to_owned() }));
    assert!(press(&mut state, "d").is_empty(), "dropping asks");
    assert!(press(&mut state, "Enter").is_empty(), "a stray Enter answers nothing");
    assert_eq!(press(&mut state, "d"), work(Op::Drop(vec![url.to_owned()])));
    let [Effect::Work(Work::Proxy(Op::Har(flows)))] = &press(&mut state, "H")[..] else { panic!() };
    assert_eq!(flows.len(), 9);
    let _ = press(&mut state, "m");
    let [Effect::Work(Work::Proxy(Op::Har(flows)))] = &press(&mut state, "H")[..] else { panic!() };
    assert_eq!(flows.len(), 1, "what is marked, where something is");
    looked(&mut state, Vec::new());
    assert!(press(&mut state, "M").is_empty());
    assert_eq!(press(&mut state, "o"), work(Op::SetMode(Mode::Offline)));
    // A tunnel is neither fetched nor copied as a command.
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "esm");
    let _ = press(&mut state, "Enter");
    assert!(press(&mut state, "r").is_empty() && press(&mut state, "u").is_empty());
}

/// What shells do with it is tried in the tests of the command itself.
#[test]
fn a_url_is_one_word_of_the_command() {
    let mut state = shown();
    end(&mut state, flow(1, Outcome::Hit, "http://example.org/it's?a=1&b=$(id)", 1));
    let [Effect::Copy(text)] = &press(&mut state, "u")[..] else { panic!() };
    let output =
        std::process::Command::new("sh").arg("-c").arg(format!("set -- {text}; printf %s \"$4\"")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "http://example.org/it's?a=1&b=$(id)");
}

#[test]
fn a_new_run_begins_with_an_empty_list() {
    let mut state = shown();
    traffic(&mut state);
    looked(&mut state, vec![under_way(10, "http://example.org/x", 100)]);
    let mut next = sample((80, 24));
    std::mem::swap(&mut state, &mut next);
    state.proxy = next.proxy;
    let started = EventKind::RunStarted {
        schema: 1,
        version: String::new(),
        run: String::new(),
        uuid: String::new(),
        builds: Vec::new(),
        net: "cache".to_owned(),
    };
    crate::tui::testing::feed(&mut state, 100, None, started);
    assert!(state.proxy.rows.is_empty() && state.proxy.in_flight.is_empty() && state.proxy.arrived == 0);
}

#[derive(Clone, Debug)]
enum Step {
    Press(usize),
    Flow(u64, usize),
    Look(Vec<u64>),
    Tick,
    Resize(u16, u16),
    Type(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..200_usize).prop_map(Step::Press),
        (1..40_u64, 0..9_usize).prop_map(|(id, outcome)| Step::Flow(id, outcome)),
        proptest::collection::vec(1..40_u64, 0..5).prop_map(Step::Look),
        Just(Step::Tick),
        (1..300_u16, 1..100_u16).prop_map(|(width, height)| Step::Resize(width, height)),
        prop_oneof![Just("host:a"), Just("/x/"), Just("!miss"), Just("result:hit"), Just("/(/")].prop_map(Step::Type),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes in whatever order: nothing panics, each request is there once, and what is selected is seen.
    #[test]
    fn no_order_of_events_breaks_the_list(steps in proptest::collection::vec(step(), 1..120)) {
        const OUTCOMES: [Outcome; 9] = [
            Outcome::Hit, Outcome::Miss, Outcome::Revalidated, Outcome::Stale, Outcome::Coalesced, Outcome::Tunnel,
            Outcome::Bypass, Outcome::Denied, Outcome::Error,
        ];
        let keys: Vec<&str> = crate::tui::keymap::table(crate::tui::keymap::Scope::Screen(Screen::Proxy))
            .iter()
            .chain(crate::tui::keymap::table(crate::tui::keymap::Scope::Move))
            .flat_map(|binding| binding.keys.iter().copied())
            .chain(["Esc", "Enter", "Tab", "\\", "n", "z", "y", "Y"])
            .collect();
        let mut state = shown();
        let mut ended = std::collections::HashSet::new();
        for step in steps {
            match step {
                Step::Press(at) => {
                    let _ = press(&mut state, keys[at % keys.len()]);
                    // Esc leaves for Builds.
                    state.screen = Screen::Proxy;
                }
                Step::Flow(id, outcome) if ended.insert(id) => {
                    end(&mut state, flow(id, OUTCOMES[outcome], &format!("http://a{}.example.org/x{id}", id % 3), id));
                }
                Step::Flow(..) => {}
                Step::Look(mut ids) => {
                    ids.sort_unstable();
                    ids.dedup();
                    looked(&mut state, ids.into_iter().map(|id| under_way(id, "http://example.org/x", 10)).collect());
                }
                Step::Tick => {
                    let now = state.now + jiff::SignedDuration::from_secs(1);
                    let _ = update(&mut state, Msg::Tick(now));
                }
                Step::Resize(width, height) => {
                    let _ = update(&mut state, Msg::Resize(width, height));
                }
                Step::Type(text) => {
                    state.overlays.clear();
                    let _ = press(&mut state, "&");
                    let _ = type_text(&mut state, text);
                    let _ = press(&mut state, "Enter");
                }
            }
            let _ = buffer(&state);
            let mut seen = ids(&state);
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), count, "a request is there twice");
            let place = state.proxy.place;
            prop_assert!(place.selected < state.proxy.rows.len().max(1));
            if !state.proxy.stale {
                // As if made anew.
                prop_assert_eq!(&state.proxy.rows, &rows::build(&state.proxy, &state.run));
            }
        }
    }
}
