//! Wrong passwords, by address; where many come from one, by the user's name too.

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

/// Who is counted as one: all that come from an address. But a tunnel, or a proxy in front, ends on the loopback or at a
/// Unix socket: of those each name is one, so that who guesses one user's password shuts out nobody else.
type Who = (Option<IpAddr>, Option<Box<str>>);

fn who(from: Option<IpAddr>, user: &str) -> Who {
    let is_shared = from.is_none_or(|address| address.is_loopback());
    (from.map(network_of), is_shared.then(|| user.into()))
}

/// Counts them: a bucket that leaks one each [`REMEMBERED`].
pub(super) struct Attempts {
    full_until: Mutex<LruCache<Who, Instant>>,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self { full_until: Mutex::new(LruCache::new(MOST)) }
    }

    /// How long the address has to wait before it is heard again.
    pub(super) fn must_wait(&self, from: Option<IpAddr>, user: &str, now: Instant) -> Option<Duration> {
        let mut buckets = self.full_until.lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = *buckets.get(&who(from, user))?;
        let over = empty_at.saturating_duration_since(now).checked_sub(REMEMBERED * (FREE - 1))?;
        (!over.is_zero()).then_some(over)
    }

    pub(super) fn failed(&self, from: Option<IpAddr>, user: &str, now: Instant) {
        let mut buckets = self.full_until.lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = buckets.get_or_insert_mut(who(from, user), || now);
        *empty_at = (*empty_at).max(now) + REMEMBERED;
    }
}
