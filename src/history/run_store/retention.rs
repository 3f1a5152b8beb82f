//! Which runs are kept, and what becomes of the others and their logs.

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
        let Some(oldest) = self.nth_newest(count)? else { return Ok(kept) };
        let live: BTreeSet<String> = reap::list(runs)?.into_iter().filter(|run| run.live).map(|run| run.id).collect();
        for id in self.before(&oldest)? {
            if !live.contains(&id) {
                let done = self.connection.execute("DELETE FROM run WHERE id = ?1", [&id]);
                kept.forgotten += done.context(|| self.failed("write"))?;
            }
        }
        for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(id) = name.to_str().filter(|name| is_run_id(name)) else { continue };
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // Ids begin with the time the run began.
            if id < oldest.as_str() && is_directory && !live.contains(id) {
                reap::remove_tree(&entry.path())?;
                kept.logs += 1;
            }
        }
        Ok(kept)
    }

    /// Id of the last run that is among the newest `count`; none if there are fewer.
    fn nth_newest(&self, count: usize) -> Result<Option<String>> {
        let Some(skipped) = count.checked_sub(1).map(number) else { return Ok(None) };
        let mut statement = self
            .connection
            .prepare("SELECT id FROM run ORDER BY id DESC LIMIT 1 OFFSET ?1")
            .context(|| self.failed("read"))?;
        let found: rusqlite::Result<Vec<String>> =
            statement.query_map([skipped], |row| row.get(0)).and_then(Iterator::collect);
        Ok(found.context(|| self.failed("read"))?.pop())
    }

    fn before(&self, id: &str) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare("SELECT id FROM run WHERE id < ?1")?;
            statement.query_map([id], |row| row.get(0))?.collect()
        };
        read().context(|| self.failed("read"))
    }
}

/// Whether it looks like the id of a run: `20261102T101530-0a1b2c`.
fn is_run_id(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() == 22
        && bytes[8] == b'T'
        && bytes[15] == b'-'
        && bytes.iter().enumerate().all(|(at, byte)| at == 8 || at == 15 || byte.is_ascii_hexdigit())
}
