//! Searching a log and filtering it, in a thread of its own.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::LogStore;
use super::index::Place;
use super::pattern::Filter;
use super::reader::Reader;

/// After so many lines the thread says how far it is, and looks whether it is still wanted.
const BATCH: usize = 4096;

/// The lines of a log that a filter takes, found from a line on to the end, and then from the start to that line.
/// Dropping it ends the thread.
pub struct Scan {
    filter: Arc<Filter>,
    shared: Arc<Shared>,
    tell: Arc<dyn Fn() + Send + Sync>,
    /// Where the log ended when it was last looked at.
    end: Place,
}

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    running: AtomicBool,
    /// Bytes looked at, and to be looked at.
    done: AtomicU64,
    total: AtomicU64,
    found: Mutex<Found>,
}

/// What was found. Lines are in order within each; those of `before` are all above those of `from`.
#[derive(Default)]
struct Found {
    before: Vec<usize>,
    from: Vec<usize>,
    failed: Option<String>,
}

/// A part of a log to look through.
struct Part {
    start: Place,
    end: Place,
    /// Whether its lines come above those found so far.
    above: bool,
}

impl Scan {
    /// Starts to look through what the store has; `tell` is called, from the thread, when there is something new to
    /// see.
    pub fn start(store: &LogStore, filter: Filter, from: usize, tell: Arc<dyn Fn() + Send + Sync>) -> Self {
        let shared = Arc::new(Shared::default());
        let mut scan = Self { filter: Arc::new(filter), shared, tell, end: Place::default() };
        let middle = store.index.before(from);
        if let Some((file, end)) = store.reading() {
            let below = Part { start: middle, end, above: false };
            let above = Part { start: Place::default(), end: middle, above: true };
            scan.end = end;
            scan.look(file, vec![below, above]);
        }
        scan
    }

    /// Looks through what the store has got since, once the thread is done with what was there before. To be called
    /// when the store has grown.
    pub fn grow(&mut self, store: &LogStore) {
        if self.is_running() {
            return;
        }
        let Some((file, end)) = store.reading() else { return };
        if end.line < self.end.line {
            // The file was begun anew.
            *self.found() = Found::default();
            self.end = Place::default();
        }
        if end.line > self.end.line {
            let part = Part { start: self.end, end, above: false };
            self.end = end;
            self.look(file, vec![part]);
        }
    }

    fn look(&mut self, file: Arc<File>, parts: Vec<Part>) {
        let total = parts.iter().map(|part| part.end.offset - part.start.offset).sum();
        self.shared.done.store(0, Ordering::Relaxed);
        self.shared.total.store(total, Ordering::Relaxed);
        self.shared.running.store(true, Ordering::Release);
        let (shared, filter, tell) = (self.shared.clone(), self.filter.clone(), self.tell.clone());
        let work = move || {
            if let Err(error) = parts.iter().try_for_each(|part| shared.look(&file, &filter, part, &*tell)) {
                shared.found().failed = Some(error.to_string());
            }
            shared.running.store(false, Ordering::Release);
            tell();
        };
        if let Err(error) = thread::Builder::new().name("log search".into()).spawn(work) {
            self.shared.running.store(false, Ordering::Release);
            self.found().failed = Some(error.to_string());
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.shared.found()
    }

    /// Whether the thread is still looking.
    pub fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::Acquire)
    }

    /// How much has been looked through, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "shown as a percentage")]
    pub fn progress(&self) -> f64 {
        match self.shared.total.load(Ordering::Relaxed) {
            0 => 1.0,
            total => self.shared.done.load(Ordering::Relaxed) as f64 / total as f64,
        }
    }

    /// Why the search ended early, if it did.
    pub fn failure(&self) -> Option<String> {
        self.found().failed.clone()
    }

    /// What it looks for.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How many lines were found.
    pub fn count(&self) -> usize {
        let found = self.found();
        found.before.len() + found.from.len()
    }

    /// The lines found in places `first` to `first + count` of all that were found.
    pub fn slice(&self, first: usize, count: usize) -> Vec<usize> {
        let found = self.found();
        found.before.iter().chain(&found.from).skip(first).take(count).copied().collect()
    }

    /// The place, from 0, of the first found line that is at or after `line`.
    pub fn place_of(&self, line: usize) -> usize {
        let found = self.found();
        let at = |lines: &[usize]| lines.partition_point(|found| *found < line);
        at(&found.before) + at(&found.from)
    }

    /// The first found line after `line`; with none there, the first of all.
    pub fn next(&self, line: usize) -> Option<usize> {
        let place = self.place_of(line + 1);
        self.slice(place, 1).first().or(self.slice(0, 1).first()).copied()
    }

    /// The last found line before `line`; with none there, the last of all.
    pub fn previous(&self, line: usize) -> Option<usize> {
        let place = self.place_of(line).checked_sub(1).or(self.count().checked_sub(1))?;
        self.slice(place, 1).first().copied()
    }

    /// The lines shown for a filter: those found, and those around them, below `length`.
    pub fn shown(&self, length: usize) -> Vec<usize> {
        let around = self.filter.around;
        let found = self.found();
        let mut shown: Vec<usize> = Vec::with_capacity(found.before.len() + found.from.len());
        for line in found.before.iter().chain(&found.from) {
            let next = shown.last().map_or(0, |last| last + 1);
            shown.extend(next.max(line.saturating_sub(around))..(line + around + 1).min(length));
        }
        shown
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, file: &File, filter: &Filter, part: &Part, tell: &dyn Fn()) -> io::Result<()> {
        let mut reader = Reader::new(file, part.start.offset, part.end.offset);
        let mut line = part.start.line;
        let mut batch = Vec::new();
        let mut told = part.start.offset;
        let mut ended = false;
        while !ended && !self.cancelled.load(Ordering::Relaxed) {
            let stop = line + BATCH;
            while line < stop {
                let Some(raw) = reader.next()? else {
                    ended = true;
                    break;
                };
                if filter.takes(raw.bytes) {
                    batch.push(line);
                }
                line += 1;
            }
            self.done.fetch_add(reader.offset() - told, Ordering::Relaxed);
            told = reader.offset();
            let mut found = self.found();
            if part.above { &mut found.before } else { &mut found.from }.append(&mut batch);
            drop(found);
            tell();
        }
        Ok(())
    }
}
