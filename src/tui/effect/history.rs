//! Work on earlier runs.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::worker::Outside;
use crate::error::{Result, chain};
use crate::guest::reap;
use crate::history::run_store::RunStore;
use crate::tui::state::history::Kept;

/// Most runs shown. More are kept only where somebody has set so; `larder history` lists them.
const SHOWN: usize = 1000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read the runs.
    List,
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// The runs there are, the newest first; or why they could not be read.
    Runs(Result<Vec<Kept>, String>, TimeZone),
}

/// Keeps what the work needs from one time to the next.
#[derive(Debug, Default)]
pub struct Worker {}

impl Worker {
    /// Does it. May take its time: each area has a thread of its own.
    #[expect(clippy::unnecessary_wraps, clippy::needless_pass_by_value, reason = "all areas are called alike")]
    pub fn perform(&mut self, op: Op, outside: &Outside) -> Option<Done> {
        let _ = &self;
        match op {
            Op::List => {
                let runs = read(&outside.places.state).map_err(|error| chain(&error));
                Some(Done::Runs(runs, TimeZone::system()))
            }
        }
    }
}

fn read(state: &std::path::Path) -> Result<Vec<Kept>> {
    let Some(store) = RunStore::open_to_read(state)? else { return Ok(Vec::new()) };
    let found = reap::list(&state.join("runs")).unwrap_or_default();
    let live: BTreeSet<String> = found.into_iter().filter(|run| run.live).map(|run| run.id).collect();
    let runs = store.runs(None, SHOWN)?;
    Ok(runs.into_iter().map(|run| Kept { live: run.ending.is_none() && live.contains(&run.id), run }).collect())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::guest::record::Record;
    use crate::history::testing::{Script, recording, simple};

    #[test]
    fn runs_are_read_with_those_under_way() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(read(state.path()).unwrap(), []);
        simple(recording(state.path(), 0), "20260901T100000-aaaaaa", [1.0, 2.0]);
        for id in ["20260902T100000-bbbbbb", "20260903T100000-cccccc"] {
            Script::new(recording(state.path(), 0)).start(id, &["a"]).finish();
        }
        let live =
            Record::create(&state.path().join("runs"), "20260903T100000-cccccc", "b", SystemTime::now()).unwrap();
        let found = read(state.path()).unwrap();
        let words: Vec<_> = found.iter().map(|kept| (&kept.run.id[16..], kept.standing().1)).collect();
        assert_eq!(words, [("cccccc", "running"), ("bbbbbb", "cut off"), ("aaaaaa", "done")]);
        live.finish().unwrap();
    }
}
