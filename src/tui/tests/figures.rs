//! How long the UI's own thread takes where there is much: 1,000 runs, and a cache of 300,000 entries. What is measured is what
//! nobody else could do meanwhile: taking a message in, and drawing.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use larder_proxy::inspect::{Folder, FolderSums, Stats};

use crate::tui::effect::cache::Done as Stored;
use crate::tui::effect::history::Done as Recorded;
use crate::tui::effect::{Done, Effect};
use crate::tui::msg::Msg;
use crate::tui::state::cache::testing::variant;
use crate::tui::state::history::Kept;
use crate::tui::state::history::testing::runs;
use crate::tui::state::{Screen, State};
use crate::tui::testing::{buffer, press, state, type_text};
use crate::tui::update::update;

/// Longest that the thread may be held up, where dependencies are optimised and Larder is not.
const LIMIT: Duration = Duration::from_millis(100);

const RUNS: usize = 1000;
const HOSTS: usize = 30;
const FOLDERS: usize = 1000;
const ENTRIES: usize = 10;

/// Does something and draws; fails if that takes too long, unless the machine was busy each of three times.
fn quickly(what: &str, state: &mut State, mut work: impl FnMut(&mut State)) {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        work(state);
        let _ = buffer(state);
        least = least.min(began.elapsed());
    }
    println!("{what}: {least:.1?}");
    assert!(least < LIMIT, "{what} takes {least:?}");
}

fn keys(state: &mut State, keys: &str) {
    let _: Vec<Effect> = press(state, keys);
}

#[test]
#[ignore = "times: cargo test --lib figures -- --ignored --nocapture"]
fn a_thousand_runs() {
    let mut state = State { screen: Screen::History, ..state((160, 48)) };
    let some = runs();
    let many = || -> Vec<Kept> {
        let one = |number: usize| {
            let mut kept = some[number % some.len()].clone();
            kept.run.id = format!("20260901T{number:06}-{number:06x}");
            let builds = kept.run.builds.clone();
            // Twelve builds, as a large template has.
            kept.run.builds = builds.iter().cycle().take(12).cloned().collect();
            kept
        };
        (0..RUNS).map(one).collect()
    };
    let mut given: Vec<Vec<Kept>> = (0..4).map(|_| many()).collect();
    let mut arrive = |state: &mut State| {
        let runs = Recorded::Runs(Ok(given.pop().unwrap()), TimeZone::UTC);
        let _ = update(state, Msg::Done(Done::History(runs)));
    };
    arrive(&mut state);
    quickly("1,000 runs arrive again", &mut state, &mut arrive);
    quickly("to the end of the list", &mut state, |state| keys(state, "G"));
    quickly("one run up", &mut state, |state| keys(state, "k"));
    quickly("finding what is not there", &mut state, |state| {
        keys(state, "/");
        let _ = type_text(state, "nowhere");
        keys(state, "Enter");
    });
    quickly("filtering", &mut state, |state| {
        keys(state, "&");
        let _ = type_text(state, "!nowhere");
        keys(state, "Enter");
    });
    quickly("opening a run, and back", &mut state, |state| keys(state, "Enter j Esc"));
    quickly("comparing", &mut state, |state| keys(state, "g g D Esc"));
}

fn tree() -> Folder {
    let sums = |entries: usize| FolderSums { entries: entries as u64, bytes: 1000, ..FolderSums::default() };
    let host = |number: usize| {
        let host = format!("https://host{number}.example.org");
        let folder = |number: usize| Folder {
            name: format!("pool/main/p/package-{number}"),
            prefix: format!("{host}/pool/main/p/package-{number}/"),
            sums: sums(ENTRIES),
            own: ENTRIES as u64,
            folders: Vec::new(),
        };
        let folders = (0..FOLDERS).map(folder).collect();
        Folder { prefix: format!("{host}/"), name: host.clone(), sums: sums(FOLDERS * ENTRIES), own: 0, folders }
    };
    Folder { sums: sums(HOSTS * FOLDERS * ENTRIES), folders: (0..HOSTS).map(host).collect(), ..Folder::default() }
}

fn stored(state: &mut State, done: Stored) {
    let _ = update(state, Msg::Done(Done::Cache(done)));
}

#[test]
#[ignore = "times: cargo test --lib figures -- --ignored --nocapture"]
fn three_hundred_thousand_entries() {
    let mut state = State { screen: Screen::Cache, ..state((160, 48)) };
    let mut given: Vec<Folder> = (0..4).map(|_| tree()).collect();
    let stats = Stats { entries: (HOSTS * FOLDERS * ENTRIES) as u64, ..Stats::default() };
    let mut arrive = |state: &mut State| stored(state, Stored::Loaded(Ok((given.pop().unwrap(), stats.clone()))));
    arrive(&mut state);
    // All hosts are unfolded: 30,000 rows.
    for folder in state.cache.root.clone().unwrap().folders {
        state.cache.open.insert(folder.prefix);
    }
    quickly("the tree arrives again", &mut state, &mut arrive);
    assert_eq!(state.cache.rows.len(), HOSTS * (FOLDERS + 1));
    quickly("to the end", &mut state, |state| keys(state, "G"));
    quickly("a row up", &mut state, |state| keys(state, "k"));
    quickly("unfolding a folder, and folding it", &mut state, |state| keys(state, "l h"));
    quickly("sorting", &mut state, |state| keys(state, "s"));
    quickly("finding what is not there", &mut state, |state| {
        keys(state, "/");
        let _ = type_text(state, "nowhere");
        keys(state, "Enter");
    });
    keys(&mut state, "g g");
    // A hundred folders are unfolded, whose entries come one folder after another when the tree is read again.
    let entries = |prefix: &str| (0..10).map(|id| variant(id, &format!("{prefix}a-{id}.deb"), 1000, None)).collect();
    let prefixes: Vec<String> = state.cache.root.as_ref().unwrap().folders[0].folders[..100]
        .iter()
        .map(|folder| folder.prefix.clone())
        .collect();
    for prefix in &prefixes {
        state.cache.open.insert(prefix.clone());
    }
    quickly("the entries of a hundred folders arrive", &mut state, |state| {
        for prefix in &prefixes {
            stored(state, Stored::Entries(prefix.clone(), entries(prefix)));
        }
    });
    quickly("copying all", &mut state, |state| keys(state, "Y"));
    quickly("the most entries that are listed of a folder arrive", &mut state, |state| {
        let many = (0..5000).map(|id| variant(id, &format!("{}b-{id}.deb", prefixes[0]), 1000, None)).collect();
        stored(state, Stored::Entries(prefixes[0].clone(), many));
    });
}
