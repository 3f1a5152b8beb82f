//! Lets one request open the way to a host before the others follow.
//!
//! Whether a host speaks HTTP/2 is known only after the first handshake. Without this, a client's hundred parallel
//! requests (cargo's index) would open a hundred connections, of which one is needed.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout};

/// How long after an answer a connection is taken to be still in the pool.
const REMEMBERED: Duration = Duration::from_secs(40);
/// How long the others wait for the first; a slow answer must not hold up those to other paths.
const PATIENCE: Duration = Duration::from_secs(2);
/// Hosts remembered.
const HOSTS: usize = 1024;

/// Hosts that have answered lately, and those being asked for the first time.
#[derive(Debug)]
pub(crate) struct FirstContact {
    hosts: Mutex<LruCache<String, Arc<Host>>>,
}

#[derive(Debug, Default)]
struct Host {
    gate: Arc<tokio::sync::Mutex<()>>,
    answered: Mutex<Option<Instant>>,
}

/// Held by a request until its answer's head is there.
#[derive(Debug)]
pub(crate) struct Pass {
    host: Arc<Host>,
    _first: Option<OwnedMutexGuard<()>>,
}

impl FirstContact {
    pub(crate) fn new() -> Self {
        Self { hosts: Mutex::new(LruCache::new(NonZeroUsize::new(HOSTS).unwrap_or(NonZeroUsize::MIN))) }
    }

    /// Waits while another request is the first at this authority.
    pub(crate) async fn enter(&self, authority: &str) -> Pass {
        let host = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            hosts.get_or_insert(authority.to_owned(), Arc::default).clone()
        };
        if host.is_known() {
            return Pass { host, _first: None };
        }
        let first = timeout(PATIENCE, host.gate.clone().lock_owned()).await.ok();
        let first = first.filter(|_| !host.is_known());
        Pass { host, _first: first }
    }
}

impl Host {
    fn is_known(&self) -> bool {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.is_some_and(|at| at.elapsed() < REMEMBERED)
    }
}

impl Pass {
    /// Notes that the host has answered.
    pub(crate) fn answered(self) {
        *self.host.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}
