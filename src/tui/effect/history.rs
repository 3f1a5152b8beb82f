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
