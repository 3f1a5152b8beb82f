use larder_proxy::inspect::{Limits, Removed, Target};
use proptest::prelude::*;

use super::*;
use crate::tui::effect::Done as AnyDone;
use crate::tui::effect::cache::Plan;
use crate::tui::keymap::{Scope, table};
use crate::tui::msg::Msg;
use crate::tui::state::Screen;
use crate::tui::state::cache::testing::{LINUX, entries, stored};
use crate::tui::testing::{buffer, press, sample, type_text};
use crate::tui::update::update;

fn tell(state: &mut State, done: Done) -> Vec<Effect> {
    update(state, Msg::Done(AnyDone::Cache(done)))
}

fn shown() -> State {
    let mut state = sample((80, 24));
    assert_eq!(press(&mut state, "4"), work(Op::Load(None)));
    let _ = tell(&mut state, Done::Loaded(Ok(stored())));
    state
}

/// With the cursor on the folder of entries, unfolded.
fn unfolded() -> State {
    let mut state = shown();
    for keys in ["l", "j", "Enter", "j", "j"] {
        let _ = press(&mut state, keys);
    }
    assert_eq!(press(&mut state, "l"), work(Op::Entries(LINUX.to_owned(), None)));
    let _ = tell(&mut state, Done::Entries(LINUX.to_owned(), entries()));
    state
}

fn names(state: &State) -> Vec<String> {
    state.cache.rows.iter().map(|row| format!("{}{}", " ".repeat(row.depth()), row.name())).collect()
}

#[test]
fn folders_unfold_and_their_entries_are_asked_for_once() {
    let mut state = unfolded();
    assert_eq!(
        names(&state),
        [
            "http://deb.example.org",
            " debian",
            "  dists/stable",
            "  pool/main/l/linux",
            "   linux-headers-6.8.0-41_all.deb",
            "   linux-image-6.8.0-41-generic_amd64.deb",
            "https://files.example.org",
            "https://registry.example.org",
        ]
    );
    assert!(press(&mut state, "h").is_empty());
    assert_eq!(state.cache.rows.len(), 6);
    assert!(press(&mut state, "l").is_empty(), "they are there already");
    let _ = press(&mut state, "j");
    let _ = press(&mut state, "h");
    assert_eq!(state.cache.selected().unwrap().name(), "pool/main/l/linux", "to the left is the folder it is in");
    let _ = press(&mut state, "s");
    let _ = press(&mut state, "G");
    assert_eq!(names(&state)[0], "https://registry.example.org", "the largest first");
}

#[test]
fn what_comes_anew_leaves_the_person_where_they_are() {
    let mut state = unfolded();
    let _ = press(&mut state, "j");
    let place = state.cache.place;
    assert_eq!(press(&mut state, "r"), work(Op::Load(None)));
    assert_eq!(tell(&mut state, Done::Loaded(Ok(stored()))), work(Op::Entries(LINUX.to_owned(), None)));
    assert_eq!(state.cache.place, place);
    let _ = tell(&mut state, Done::Entries(LINUX.to_owned(), entries()[..1].to_vec()));
    assert_eq!(state.cache.place, place);
    assert!(matches!(state.cache.rows[5], Row::More { count: 1, coming: false, .. }));
}

/// The rows that there are when entries come into those there were, and when all are made anew, are the same.
#[test]
fn entries_come_into_their_place_alone() {
    let mut state = unfolded();
    let _ = press(&mut state, "G");
    for found in [entries()[..1].to_vec(), entries(), Vec::new()] {
        let _ = tell(&mut state, Done::Entries(LINUX.to_owned(), found));
        assert_eq!(state.cache.selected().unwrap().name(), "https://registry.example.org");
        let came = format!("{:?}", state.cache.rows);
        refresh(&mut state);
        assert_eq!(came, format!("{:?}", state.cache.rows));
    }
    // A folder that was folded meanwhile has no place.
    let _ = press(&mut state, "g g");
    let _ = press(&mut state, "h");
    let before = names(&state);
    let _ = tell(&mut state, Done::Entries(LINUX.to_owned(), entries()));
    assert_eq!(names(&state), before);
}

#[test]
fn nothing_is_removed_without_being_asked() {
    let mut state = unfolded();
    assert!(press(&mut state, "d").is_empty());
    assert!(press(&mut state, "Enter").is_empty(), "a stray Enter answers nothing");
    assert_eq!(press(&mut state, "d"), work(Op::Remove(vec![Target::Below(LINUX.to_owned())])));
    let _ = press(&mut state, "j");
    assert!(press(&mut state, "d").is_empty() && state.overlays.is_empty(), "a pinned one is not even offered");
    let _ = press(&mut state, "j");
    let _ = press(&mut state, "d");
    assert_eq!(press(&mut state, "d"), work(Op::Remove(vec![Target::Ids(vec![2])])));
    let _ = press(&mut state, "Space");
    let _ = press(&mut state, "Space");
    assert_eq!(state.cache.marks.len(), 2);
    assert!(press(&mut state, "D").is_empty());
    let [Effect::Work(Work::Cache(Op::Remove(targets)))] = &press(&mut state, "D")[..] else { panic!() };
    assert_eq!(targets.len(), 2);
    let after = tell(&mut state, Done::Changed(Ok("removed".to_owned())));
    assert_eq!((after, state.cache.marks.len()), (work(Op::Load(None)), 0));
}

#[test]
fn pins_are_put_in_and_taken_out() {
    let mut state = unfolded();
    let _ = press(&mut state, "j");
    assert_eq!(press(&mut state, "P"), work(Op::Pin(vec![Target::Ids(vec![1])], false)));
    let _ = press(&mut state, "j");
    assert_eq!(press(&mut state, "P"), work(Op::Pin(vec![Target::Ids(vec![2])], true)));
    let _ = press(&mut state, "h");
    assert_eq!(press(&mut state, "P"), work(Op::Pin(vec![Target::Below(LINUX.to_owned())], true)));
    assert_eq!(press(&mut state, "v"), work(Op::Verify(vec![Target::Below(LINUX.to_owned())])));
}

#[test]
fn collecting_shows_first_and_keeps_what_the_run_uses() {
    let mut state = shown();
    let run = state.run.started.unwrap();
    assert_eq!(press(&mut state, "C"), work(Op::Preview(Some(run.into()))));
    let limits = Limits { max_bytes: Some(5), ..Limits::default() };
    let plan = Plan { what: "old".to_owned(), limits, removed: Removed { entries: 3, bytes: 9 } };
    assert!(tell(&mut state, Done::Preview(vec![plan])).is_empty());
    assert_eq!(press(&mut state, "1"), work(Op::Collect(limits)));
    let _ = tell(&mut state, Done::Preview(Vec::new()));
    assert!(state.overlays.is_empty() && state.notice.is_some());
}

#[test]
fn the_filter_is_asked_of_the_index_and_the_search_of_what_is_shown() {
    let mut state = unfolded();
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "IMAGE");
    let _ = press(&mut state, "Enter");
    assert_eq!(press(&mut state, "y"), [Effect::Copy(format!("{LINUX}linux-image-6.8.0-41-generic_amd64.deb"))]);
    let _ = press(&mut state, "&");
    let _ = type_text(&mut state, "numpy");
    assert_eq!(press(&mut state, "Enter"), work(Op::Load(Some("numpy".to_owned()))));
    assert_eq!(press(&mut state, "\\"), work(Op::Load(None)));
    assert_eq!(press(&mut state, "\\"), work(Op::Load(Some("numpy".to_owned()))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_order_of_keys_and_answers_panics(
        steps in proptest::collection::vec((0..100_usize, 0..6_u8, 1..300_u16, 1..100_u16), 1..80),
    ) {
        let keys: Vec<&str> = table(Scope::Screen(Screen::Cache))
            .iter()
            .chain(table(Scope::Move))
            .flat_map(|binding| binding.keys.iter().copied())
            .chain(["Esc", "Enter", "Tab", "\\", "n", "z", "y", "Y"])
            .collect();
        let mut state = shown();
        for (key, answer, width, height) in steps {
            let _ = press(&mut state, keys[key % keys.len()]);
            state.screen = Screen::Cache;
            let _ = match answer {
                0 => tell(&mut state, Done::Loaded(Ok(stored()))),
                1 => tell(&mut state, Done::Loaded(Ok(Default::default()))),
                2 => tell(&mut state, Done::Entries(LINUX.to_owned(), entries())),
                3 => tell(&mut state, Done::Changed(Err(crate::error::Error::new("no")))),
                4 => update(&mut state, Msg::Resize(width, height)),
                _ => Vec::new(),
            };
            let _ = buffer(&state);
            prop_assert!(state.cache.place.selected < state.cache.rows.len().max(1));
        }
    }
}
