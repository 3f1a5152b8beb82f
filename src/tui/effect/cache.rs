//! Work on the cache.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use larder_proxy::inspect::{Explanation, Folder, Limits, Removed, Soundness, Stats, Target, Variant};
use larder_proxy::rules::Rules;
use larder_proxy::store::Store;

use super::store::{OpenStore, shown};
use super::worker::Outside;
use crate::error::{Error, Result};
use crate::output::text::bytes;

/// Most entries of a folder that are listed; the rest is told by number.
pub const MOST_ENTRIES: usize = 5000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sum up what is stored, of URLs that contain this.
    Load(Option<String>),
    /// List the entries right in a folder, of URLs that contain this.
    Entries(String, Option<String>),
    /// Say why a URL is answered as it is.
    Explain(String),
    /// Read bodies and compare them with their digests.
    Verify(Vec<Target>),
    /// Remove entries.
    Remove(Vec<Target>),
    /// Pin entries, or take the pins out.
    Pin(Vec<Target>, bool),
    /// Say what could be collected. What was used since then stays.
    Preview(Option<SystemTime>),
    /// Collect it.
    Collect(Limits),
}

/// Something that could be collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In words.
    pub what: String,
    /// The limits to keep to.
    pub limits: Limits,
    /// What would go.
    pub removed: Removed,
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// What is stored.
    Loaded(Result<(Folder, Stats)>),
    /// The entries of a folder.
    Entries(String, Vec<Arc<Variant>>),
    /// Why a URL is answered as it is.
    Explained(Box<Explanation>),
    /// What could be collected.
    Preview(Vec<Plan>),
    /// Something has been done; what is stored has changed.
    Changed(Result<String>),
    /// Something has been found out.
    Told(Result<String>),
}

/// Keeps what the work needs from one time to the next.
#[derive(Debug, Default)]
pub struct Worker {
    store: OpenStore,
}

impl Worker {
    /// Does it. May take its time: each area has a thread of its own.
    pub fn perform(&mut self, op: Op, outside: &Outside) -> Option<Done> {
        Some(match op {
            Op::Load(text) => {
                Done::Loaded(self.store.get(outside).and_then(|store| load(&store, &outside.rules, text.as_deref())))
            }
            Op::Entries(prefix, text) => {
                let store = self.store.get(outside);
                match store.and_then(|store| entries(&store, &outside.rules, &prefix, text.as_deref())) {
                    Ok(found) => Done::Entries(prefix, found),
                    Err(error) => Done::Told(Err(error)),
                }
            }
            Op::Explain(url) => {
                let store = self.store.get(outside).ok()?;
                let found = store.explain(&url, &outside.rules, SystemTime::now()).ok()??;
                Done::Explained(Box::new(found))
            }
            Op::Verify(targets) => Done::Told(self.store.get(outside).and_then(|store| verify(&store, &targets))),
            Op::Remove(targets) => Done::Changed(self.remove(targets, outside)),
            Op::Pin(targets, pinned) => {
                Done::Changed(self.store.get(outside).and_then(|store| pin(&store, &targets, pinned)))
            }
            Op::Preview(keep_since) => match self.store.get(outside).and_then(|store| preview(&store, keep_since)) {
                Ok(plans) => Done::Preview(plans),
                Err(error) => Done::Told(Err(error)),
            },
            Op::Collect(limits) => Done::Changed(self.store.get(outside).and_then(|store| collect(&store, &limits))),
        })
    }

    fn remove(&mut self, targets: Vec<Target>, outside: &Outside) -> Result<String> {
        let (mut entries, mut freed, mut pinned) = (0, 0, 0);
        for target in targets {
            let dropped = self.store.remove(target, outside)?;
            entries += dropped.removed.entries;
            freed += dropped.removed.bytes;
            pinned += dropped.pinned;
        }
        let stay = if pinned > 0 { format!("; {pinned} pinned stay, P takes the pin out") } else { String::new() };
        Ok(format!("removed {entries} entries, {}{stay}", bytes(freed)))
    }
}

fn read(error: larder_proxy::store::StoreError) -> Error {
    shown("cannot read the cache".to_owned(), error)
}

fn load(store: &Store, rules: &Rules, text: Option<&str>) -> Result<(Folder, Stats)> {
    let stats = store.stats().map_err(read)?;
    let folder = store.folders(text, rules, SystemTime::now(), &AtomicBool::new(false)).map_err(read)?;
    Ok((folder.unwrap_or_default(), stats))
}

fn entries(store: &Store, rules: &Rules, prefix: &str, text: Option<&str>) -> Result<Vec<Arc<Variant>>> {
    let found = store.folder_entries(prefix, text, MOST_ENTRIES, rules, SystemTime::now()).map_err(read)?;
    Ok(found.into_iter().map(Arc::new).collect())
}

fn verify(store: &Store, targets: &[Target]) -> Result<String> {
    let (mut seen, mut size, mut wrong) = (BTreeSet::new(), 0, Vec::new());
    for target in targets {
        for entry in store.find(target).map_err(read)? {
            if !seen.insert(entry.digest.to_string()) {
                continue;
            }
            size += entry.size;
            if store.check(&entry).map_err(read)? != Soundness::Sound {
                wrong.push(entry.draft.url.clone());
            }
        }
    }
    match wrong.first() {
        None => Ok(format!("{} bodies read, {}: sound", seen.len(), bytes(size))),
        Some(first) => Err(Error::new(format!("{} of {} bodies are not sound: {first}", wrong.len(), seen.len()))
            .hint("d removes it; it is fetched again when it is asked for")),
    }
}

fn pin(store: &Store, targets: &[Target], pinned: bool) -> Result<String> {
    let mut count = 0;
    for target in targets {
        count += store
            .set_pinned(target, pinned)
            .map_err(|error| shown("cannot change the cache's index".to_owned(), error))?;
    }
    Ok(if pinned { format!("pinned {count}: no limit removes them") } else { format!("unpinned {count}") })
}

/// What can be chosen from: what was not used for long, and half of all there is.
fn preview(store: &Store, keep_since: Option<SystemTime>) -> Result<Vec<Plan>> {
    const DAY: Duration = Duration::from_hours(24);
    let unused = |days: u32| {
        let limits = Limits { max_age: Some(DAY * days), keep_since, ..Limits::default() };
        (format!("not used for {days} days"), limits)
    };
    let half = store.bytes().map_err(read)? / 2;
    let halved = Limits { max_bytes: Some(half), keep_since, ..Limits::default() };
    let below = (format!("least recently used, until {} are left", bytes(half)), halved);
    let mut plans: Vec<Plan> = Vec::new();
    for (what, limits) in [unused(90), unused(30), unused(7), below] {
        let removed = store
            .make_room(&Limits { dry_run: true, ..limits }, SystemTime::now())
            .map_err(|error| shown("cannot look through the cache".to_owned(), error))?;
        // What comes to the same as the one before is no choice.
        if removed.entries > 0 && plans.last().is_none_or(|last| last.removed != removed) {
            plans.push(Plan { what, limits, removed });
        }
    }
    Ok(plans)
}

fn collect(store: &Store, limits: &Limits) -> Result<String> {
    let removed = store
        .gc(limits, SystemTime::now())
        .map_err(|error| shown("cannot make room in the cache".to_owned(), error))?;
    Ok(format!("collected {} entries, {}", removed.entries, bytes(removed.bytes)))
}
