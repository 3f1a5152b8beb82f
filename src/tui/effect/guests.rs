//! Work on guests left behind.

use super::worker::Outside;
use crate::error::{Error, Result, chain};
use crate::guest::reap::{self, Cleaned};
use crate::guest::record::Run;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Look for what runs have on the machine.
    List,
    /// Remove what these runs left behind; those under way are never touched.
    Clean(Vec<String>),
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// The runs that have something on the machine; or why that cannot be told.
    Found(Result<Vec<Run>, String>),
    /// Runs cleaned up: what was removed of each, or why not all of it; and what there is now.
    Cleaned {
        /// By the id of the run.
        results: Vec<(String, Result<Cleaned, String>)>,
        /// As of [`Done::Found`].
        left: Result<Vec<Run>, String>,
    },
}

/// Keeps what the work needs from one time to the next.
#[derive(Debug, Default)]
pub struct Worker {}

impl Worker {
    /// Does it. May take its time: each area has a thread of its own.
    #[expect(clippy::unnecessary_wraps, reason = "all areas are called alike")]
    pub fn perform(&mut self, op: Op, outside: &Outside) -> Option<Done> {
        let _ = &self;
        let runs = outside.places.state.join("runs");
        let list = || reap::list(&runs).map_err(|error| chain(&error));
        Some(match op {
            Op::List => Done::Found(list()),
            Op::Clean(ids) => {
                let results = ids.into_iter().map(|id| {
                    let cleaned = clean(&runs, &id).map_err(|error| chain(&error));
                    (id, cleaned)
                });
                Done::Cleaned { results: results.collect(), left: list() }
            }
        })
    }
}

fn clean(runs: &std::path::Path, id: &str) -> Result<Cleaned> {
    let found = reap::list(runs)?.into_iter().find(|run| run.id == id);
    reap::cleanup(&found.ok_or_else(|| Error::new(format!("the run {id} has left nothing any more")))?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::guest::record::Record;
    use crate::tui::effect::worker::Places;

    #[test]
    fn what_a_dead_run_left_is_removed_and_a_live_one_is_not_touched() {
        let state = tempfile::tempdir().unwrap();
        let (runs, scratch) = (state.path().join("runs"), state.path().join("scratch"));
        std::fs::create_dir_all(&scratch).unwrap();
        let run = |id: &str| {
            let record = Record::create(&runs, id, "build", SystemTime::now()).unwrap();
            record.make_tree(&scratch.join(id)).unwrap();
            record
        };
        drop(run("dead"));
        let live = run("live");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let places = Places { state: state.path().to_owned(), ..Places::default() };
        let outside = Outside::new(places, runtime.handle().clone(), Arc::new(|_| Ok(())));
        let done = Worker::default().perform(Op::Clean(vec!["dead".to_owned(), "live".to_owned()]), &outside);
        let Some(Done::Cleaned { results, left }) = done else { panic!("{done:?}") };
        assert_eq!(results[0].1.as_ref().unwrap().trees, [scratch.join("dead")]);
        assert!(results[1].1.as_ref().unwrap_err().contains("is still under way"));
        assert!(!scratch.join("dead").exists() && scratch.join("live").exists());
        assert_eq!(left.unwrap().iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["live"]);
        live.remove_tree(&scratch.join("live")).unwrap();
        live.finish().unwrap();
    }
}
