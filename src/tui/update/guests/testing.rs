//! Guests for tests: records on disk, as runs that died or go on would have left them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::guest::reap;
use crate::guest::record::{Entry, Record, Run};
use crate::tui::effect::Done;
use crate::tui::effect::guests::Done as Work;
use crate::tui::msg::Msg;
use crate::tui::state::{Screen, State};
use crate::tui::testing::{noon, state};
use crate::tui::update::update;

/// The records of a run that died and of one under way, below `state`. The latter lives as long as what is returned.
pub(in crate::tui) fn records(state: &Path) -> Record {
    let started = |ago| SystemTime::from(noon()) - Duration::from_secs(ago);
    let dead = Record::create(state, "20260829T100000-dddddd", "build debian.pkr.hcl", started(270_000)).unwrap();
    for name in ["rootfs.debian", "rootfs.ubuntu-24.04"] {
        dead.add(&Entry::Tree { path: format!("/state/scratch/20260829T100000-dddddd-{name}").into() }).unwrap();
    }
    drop(dead);
    drop(Record::create(state, "20260828T100000-eeeeee", "exec pip", started(360_000)).unwrap());
    let live = Record::create(state, "20260901T100000-aaaaaa", "build both.pkr.hcl", started(95)).unwrap();
    live.add(&Entry::Tree { path: "/state/scratch/20260901T100000-aaaaaa-a".into() }).unwrap();
    live
}

/// Runs as their records tell them, with processes that are always the same.
fn runs() -> Vec<Run> {
    let state = tempfile::tempdir().unwrap();
    let live = records(state.path());
    let mut runs = reap::list(state.path()).unwrap();
    drop(live);
    runs.sort_by(|a, b| a.id.cmp(&b.id));
    for (run, pid) in runs.iter_mut().zip([4100, 4200, 4300]) {
        run.pid = pid;
    }
    runs[1].processes = vec![(4210, "guest".to_owned())];
    runs
}

/// The Guests screen at this size.
pub(in crate::tui) fn screen(size: (u16, u16)) -> State {
    let mut state = State { screen: Screen::Guests, ..state(size) };
    let _ = update(&mut state, Msg::Done(Done::Guests(Work::Found(Ok(runs())))));
    state
}
