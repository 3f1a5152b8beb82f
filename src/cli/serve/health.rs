//! How the service does: for people and for what watches it.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Service;

/// How long what was found of the cache's disk counts.
const FRESH: Duration = Duration::from_secs(5);

/// How it does as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// All is well.
    Ok,
    /// It serves, but not all of it works.
    Degraded,
    /// It finishes what is under way, and takes nothing new.
    Stopping,
}

/// What is found.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    pub(super) status: Status,
    /// What does not work, and why.
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Problem {
    what: &'static str,
    why: String,
}

impl Service {
    /// Looks at everything. May block.
    pub(super) fn health(&self) -> Health {
        let found = [
            ("cache", self.cache_fault()),
            ("access log", self.access_log.failing()),
            ("settings", self.reloads().why),
        ];
        let problems: Vec<Problem> =
            found.into_iter().filter_map(|(what, why)| why.map(|why| Problem { what, why })).collect();
        let status = if self.stopping.load(Ordering::Relaxed) {
            Status::Stopping
        } else if problems.is_empty() {
            Status::Ok
        } else {
            Status::Degraded
        };
        Health { status, problems }
    }

    /// Why the cache cannot be written; found out by writing to it, but not all the time.
    pub(super) fn cache_fault(&self) -> Option<String> {
        if self.proxy.cache().store().is_none() {
            return Some("it could not be opened when the proxy started".to_owned());
        }
        let mut last = self.cache_tried.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((at, fault)) = &*last
            && at.elapsed() < FRESH
        {
            return fault.clone();
        }
        let fault = try_to_write(&self.cache_dir).err();
        let fault = fault.map(|error| format!("cannot write in {}: {error}", self.cache_dir.display()));
        *last = Some((Instant::now(), fault.clone()));
        fault
    }
}

/// Writes a block: a full disk gives a name, and no room behind it.
fn try_to_write(directory: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(directory)?;
    file.write_all(&[0; 4096])?;
    file.sync_data()
}
