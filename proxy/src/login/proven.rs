//! Passwords that were found right a short while ago.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use lru::LruCache;

/// How long a password that was found right is taken without a check.
const LIFETIME: Duration = Duration::from_mins(10);
/// How many are remembered.
const MOST: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

/// Remembers digests under a key that lives as long as this: what a dump of memory shows is no password, and cannot be
/// tried against a list of them elsewhere.
pub(super) struct Proven {
    key: Option<hmac::Key>,
    until: Mutex<LruCache<[u8; 32], Instant>>,
}

impl Proven {
    pub(super) fn new() -> Self {
        // Without random numbers nothing is remembered.
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self { key, until: Mutex::new(LruCache::new(MOST)) }
    }

    pub(super) fn holds(&self, user: &str, password: &str, hash: &str, now: Instant) -> bool {
        let Some(digest) = self.digest(user, password, hash) else { return false };
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match until.get(&digest) {
            Some(limit) if *limit > now => true,
            Some(_) => {
                until.pop(&digest);
                false
            }
            None => false,
        }
    }

    pub(super) fn note(&self, user: &str, password: &str, hash: &str, now: Instant) {
        if let Some(digest) = self.digest(user, password, hash) {
            self.until.lock().unwrap_or_else(PoisonError::into_inner).put(digest, now + LIFETIME);
        }
    }

    /// Each part with its length, so that no two triples are alike.
    fn digest(&self, user: &str, password: &str, hash: &str) -> Option<[u8; 32]> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        for part in [user, password, hash] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign().as_ref().try_into().ok()
    }
}
