//! Totals over flows: what a build's summary says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::flow::{Class, Flow, Outcome};

/// Sums over some flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Requests.
    pub requests: u64,
    /// Answered without asking upstream, or out of a fetch for another request.
    pub hits: u64,
    /// Confirmed by upstream with 304.
    pub revalidated: u64,
    /// Served though upstream could not be asked.
    pub stale: u64,
    /// Fetched.
    pub misses: u64,
    /// Refused, or failed.
    pub failed: u64,
    /// Body bytes sent to clients.
    pub bytes_sent: u64,
    /// Body bytes from the cache.
    pub bytes_cache: u64,
    /// Body bytes from upstream.
    pub bytes_upstream: u64,
}

impl Sums {
    fn add(&mut self, flow: &Flow) {
        self.requests += 1;
        match flow.outcome {
            Outcome::Hit | Outcome::Coalesced => self.hits += 1,
            Outcome::Revalidated => self.revalidated += 1,
            Outcome::Stale => self.stale += 1,
            Outcome::Miss | Outcome::Bypass | Outcome::Tunnel => self.misses += 1,
            Outcome::Denied | Outcome::Error => self.failed += 1,
        }
        self.bytes_sent += flow.bytes_sent;
        self.bytes_cache += flow.bytes_cache;
        self.bytes_upstream += flow.bytes_upstream;
    }
}

/// Sums over all flows, and by class of content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All flows.
    pub all: Sums,
    /// By class; only those that occurred.
    pub classes: BTreeMap<Class, Sums>,
}

impl Totals {
    /// Counts a flow.
    pub fn add(&mut self, flow: &Flow) {
        self.all.add(flow);
        self.classes.entry(flow.class).or_default().add(flow);
    }

    /// The sums of a class.
    pub fn class(&self, class: Class) -> Sums {
        self.classes.get(&class).copied().unwrap_or_default()
    }
}
