//! Which runs are kept, and what becomes of the others and their logs.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{RunStore, number};
use crate::error::{Context as _, Result};
use crate::guest::reap;

/// What [`RunStore::keep_last`] has left, and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Runs forgotten.
    pub forgotten: usize,
    /// Directories of logs removed.
    pub logs: usize,
}

impl RunStore {
    /// Forgets all but the last `count` runs, and removes the logs, below `logs`, of those and of older ones that were
    /// never recorded. Runs that are under way, by their records below `runs`, keep both.
    pub fn keep_last(&mut self, count: usize, runs: &Path, logs: &Path) -> Result<Kept> {
        let mut kept = Kept::default();
        if count == 0 {
            return Ok(kept);
        }
        let (oldest, beyond) = self.split(count)?;
        let live = live(runs)?;
        for id in beyond.iter().filter(|id| !live.contains(*id)) {
            let done = self.connection.execute("DELETE FROM run WHERE id = ?1", [id]);
            kept.forgotten += done.context(|| self.failed("write"))?;
        }
        let Some(oldest) = oldest.filter(|_| !beyond.is_empty()) else { return Ok(kept) };
        for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(id) = name.to_str().filter(|name| is_run_id(name)) else { continue };
            // Ids begin with the second the run began in.
            let old = id[..SECOND] < oldest[..SECOND] || beyond.iter().any(|beyond| beyond == id);
            if old && !live.contains(id) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                reap::remove_tree(&entry.path())?;
                kept.logs += 1;
            }
        }
        Ok(kept)
    }

    fn ids(&self) -> Result<BTreeSet<String>> {
        let read = || -> rusqlite::Result<BTreeSet<String>> {
            self.connection.prepare("SELECT id FROM run")?.query_map([], |row| row.get(0))?.collect()
        };
        read().context(|| self.failed("read"))
    }

    /// The oldest run among the newest `count`, and those before it.
    fn split(&self, count: usize) -> Result<(Option<String>, Vec<String>)> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement =
                self.connection.prepare("SELECT id FROM run ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?1")?;
            statement.query_map([number(count - 1)], |row| row.get(0))?.collect()
        };
        let mut ids = read().context(|| self.failed("read"))?.into_iter().filter(|id| is_run_id(id));
        Ok((ids.next(), ids.collect()))
    }
}

/// Removes the logs and records, below `state`, of runs that the history does not list (commands of `larder exec`), but
/// for the newest `count`, those that are under way, and all where `count` is 0. Returns how many went.
pub fn keep_last_unlisted(state: &Path, count: usize) -> Result<usize> {
    if count == 0 {
        return Ok(0);
    }
    // In this order: one that begins meanwhile has no log here yet, and one that ends is in the history by then.
    let entries = fs::read_dir(state.join("logs")).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut ids: Vec<String> = names.filter(|name| is_run_id(name)).collect();
    let live = live(&state.join("runs"))?;
    let listed = RunStore::open_to_read(state)?.map(|store| store.ids()).transpose()?.unwrap_or_default();
    ids.retain(|id| !listed.contains(id));
    // Ids begin with the second the run began in. Those of what runs now are kept, and counted.
    ids.sort_by_cached_key(|id| Reverse((live.contains(id), id.clone())));
    let (mut removed, mut failed) = (0, None);
    for id in ids.iter().skip(count).filter(|id| !live.contains(*id)) {
        match reap::remove_tree(&state.join("logs").join(id)) {
            Ok(()) => removed += 1,
            // One that stays must not keep those behind it.
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(removed), Err)
}

/// The runs that are under way, by their records.
fn live(runs: &Path) -> Result<BTreeSet<String>> {
    Ok(reap::list(runs)?.into_iter().filter(|run| run.live).map(|run| run.id).collect())
}

/// How much of an id is the time.
const SECOND: usize = 15;

/// Whether it looks like the id of a run: `20261102T101530-0a1b2c`.
fn is_run_id(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() == 22
        && bytes[8] == b'T'
        && bytes[15] == b'-'
        && bytes.iter().enumerate().all(|(at, byte)| at == 8 || at == 15 || byte.is_ascii_hexdigit())
}
