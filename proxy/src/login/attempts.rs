//! Wrong passwords, by address.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::admission::network_of;

/// Wrong passwords that an address has free.
const FREE: u32 = 10;
/// How long each counts.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Addresses remembered.
const MOST: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

/// Counts them: a bucket that leaks one each [`REMEMBERED`].
pub(super) struct Attempts {
    full_until: Mutex<LruCache<Option<IpAddr>, Instant>>,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self { full_until: Mutex::new(LruCache::new(MOST)) }
    }

    /// How long the address has to wait before it is heard again.
    pub(super) fn must_wait(&self, from: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let mut buckets = self.full_until.lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = *buckets.get(&from.map(network_of))?;
        let over = empty_at.saturating_duration_since(now).checked_sub(REMEMBERED * (FREE - 1))?;
        (!over.is_zero()).then_some(over)
    }

    pub(super) fn failed(&self, from: Option<IpAddr>, now: Instant) {
        let mut buckets = self.full_until.lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = buckets.get_or_insert_mut(from.map(network_of), || now);
        *empty_at = (*empty_at).max(now) + REMEMBERED;
    }
}
