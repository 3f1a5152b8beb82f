//! Keeping the cache within its limits while it is used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::shelf::Shared;
use crate::inspect::Limits;
use crate::store::Store;

/// How often what is too old is looked for.
const AGING: Duration = Duration::from_hours(1);

/// How long a new body waits for room at most: in the end it is rather stored past the limit than not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Largest object that a range of it fetches whole, where nothing else is set. At 100 Mbit/s it takes twenty seconds,
/// about as long as clients wait for the first byte of a range at its end.
pub const WHOLE_FOR_RANGE: u64 = 256 * 1024 * 1024;

/// What the cache is kept within. Pinned entries, bodies that are being read and what was used in the present run stay
/// whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Most bytes of bodies.
    pub max_bytes: Option<u64>,
    /// Longest time without use.
    pub max_age: Option<Duration>,
    /// Least bytes that are to stay free on the file system.
    pub min_free: Option<u64>,
    /// Largest object that is fetched whole when a range of it is asked for; `None` for [`WHOLE_FOR_RANGE`]. It is never more than
    /// an eighth of the cache's limit and half of what is free.
    pub whole_for_range: Option<u64>,
}

/// The limits, and when they were last looked at.
#[derive(Default)]
pub(super) struct Room {
    keep: Mutex<Keep>,
    /// Bytes stored since.
    unlooked: AtomicU64,
    aged: Mutex<Option<Instant>>,
    making: Mutex<()>,
    /// Whether something is being removed.
    busy: watch::Sender<bool>,
    /// Responses removed so far, and bytes of bodies.
    removed: (AtomicU64, AtomicU64),
}

impl Room {
    pub(super) fn set(&self, change: impl FnOnce(&mut Keep)) {
        change(&mut self.keep.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Responses and bytes removed so far.
    pub(super) fn made(&self) -> (u64, u64) {
        (self.removed.0.load(Ordering::Relaxed), self.removed.1.load(Ordering::Relaxed))
    }

    pub(super) fn keep(&self) -> Keep {
        *self.keep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the limits have to be looked at, now that so many bytes were stored.
    pub(super) fn is_due(&self, stored: u64, store: &Store) -> bool {
        let keep = self.keep();
        let unlooked = self.unlooked.fetch_add(stored, Ordering::Relaxed) + stored;
        keep.max_bytes.is_some_and(|most| unlooked > most / 64)
            || keep.min_free.is_some_and(|wanted| store.free_bytes().is_ok_and(|free| free < wanted))
            || self.is_aging(&keep)
    }

    /// Where bodies have come faster than room is made for them, waits until that is done. Otherwise the cache would grow for as
    /// long as they come: to remove many small bodies takes longer than to store a large one.
    pub(super) async fn wait(&self) {
        let crowded = self.keep().max_bytes.is_some_and(|most| self.unlooked.load(Ordering::Relaxed) > most / 32);
        if crowded {
            let mut busy = self.busy.subscribe();
            let _ = tokio::time::timeout(PATIENCE, busy.wait_for(|busy| !busy)).await;
        }
    }

    fn is_aging(&self, keep: &Keep) -> bool {
        let aged = self.aged.lock().unwrap_or_else(PoisonError::into_inner);
        keep.max_age.is_some() && aged.is_none_or(|aged| aged.elapsed() > AGING)
    }
}

/// While something is being removed.
struct Busy<'a>(&'a watch::Sender<bool>);

impl<'a> Busy<'a> {
    fn begin(busy: &'a watch::Sender<bool>) -> Self {
        busy.send_replace(true);
        Self(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

impl Shared {
    /// Writes the notes; then, where a limit is passed, removes what was used least recently until there is a little
    /// more room than needed, so that it is not needed again at once.
    pub(super) fn make_room(&self, run: Option<SystemTime>) {
        if let Ok(only) = self.room.making.try_lock() {
            self.make_room_alone(run, &only);
        }
    }

    /// The same; where somebody is about it already, after that.
    pub(super) fn make_room_at_last(&self, run: Option<SystemTime>) {
        let only = self.room.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room_alone(run, &only);
    }

    fn make_room_alone(&self, run: Option<SystemTime>, _only: &MutexGuard<'_, ()>) {
        self.write_notes();
        let room = &self.room;
        room.unlooked.store(0, Ordering::Relaxed);
        let keep = room.keep();
        let full = keep.max_bytes.filter(|&most| self.store.bytes().is_ok_and(|bytes| bytes > most));
        let short = keep.min_free.filter(|&wanted| self.store.free_bytes().is_ok_and(|free| free < wanted));
        let aging = room.is_aging(&keep);
        if full.is_none() && short.is_none() && !aging {
            return;
        }
        let _busy = Busy::begin(&room.busy);
        if aging {
            *room.aged.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        let limits = Limits {
            max_bytes: full.map(|most| most - most / 16),
            min_free: short.map(|wanted| wanted.saturating_add(wanted / 16)),
            max_age: keep.max_age,
            keep_since: run,
            dry_run: false,
        };
        match self.store.make_room_around(&self.in_use(), &limits, SystemTime::now()) {
            Ok(removed) if removed.entries == 0 => {}
            Ok(removed) => {
                self.forget_all();
                room.removed.0.fetch_add(removed.entries, Ordering::Relaxed);
                room.removed.1.fetch_add(removed.bytes, Ordering::Relaxed);
                tracing::info!(entries = removed.entries, bytes = removed.bytes, "made room in the cache");
            }
            Err(error) => tracing::warn!(%error, "no room could be made in the cache"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_stores_faster_than_room_is_made_waits_for_it() {
        let room = Room::default();
        room.set(|keep| keep.max_bytes = Some(1600));
        let busy = Busy::begin(&room.busy);
        room.unlooked.store(50, Ordering::Relaxed);
        assert!(room.wait().now_or_never().is_some(), "so much may come meanwhile");
        room.unlooked.store(51, Ordering::Relaxed);
        let mut waits = std::pin::pin!(room.wait());
        assert!(waits.as_mut().now_or_never().is_none());
        drop(busy);
        assert!(waits.now_or_never().is_some());
        assert!(room.wait().now_or_never().is_some(), "nothing is removed");
        let _busy = Busy::begin(&room.busy);
        let begun = tokio::time::Instant::now();
        room.wait().await;
        assert_eq!(begun.elapsed(), PATIENCE, "and then it is stored all the same");
    }
}
