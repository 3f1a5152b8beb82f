//! What every connection of one proxy shares.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::cache::Cache;
use crate::config::Config;
use crate::error::Refusal;
use crate::fronts::Fronts;
use crate::guard::Guard;
use crate::hop_by_hop::Via;
use crate::identity::Client;
use crate::in_flight::Flows;
use crate::intercept::leaf::Leaves;
use crate::resolver::pool::NamePool;
use crate::upstream::client::NetworkOrigin;

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) access: Access,
    pub(crate) config: Config,
    pub(crate) cache: Cache,
    pub(crate) origin: Arc<NetworkOrigin>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) leaves: Arc<Leaves>,
    pub(crate) flows: Arc<Flows>,
    pub(crate) fronts: Arc<Fronts>,
    /// This proxy's name in `Via`, unique among proxies.
    pub(crate) via: Via,
    /// Tells connections to finish what is under way.
    pub(crate) stop: CancellationToken,
    /// Tells connections to end at once.
    pub(crate) abort: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Addresses given out for names, by build: one guest's questions must not push out another's.
    pub(crate) pools: Arc<Mutex<HashMap<Arc<str>, Arc<NamePool>>>>,
}

impl Shared {
    /// The clock, read in one place.
    pub(crate) fn now() -> SystemTime {
        SystemTime::now()
    }

    /// The pool of names of the client's build.
    pub(crate) fn pool(&self, client: &Client) -> Arc<NamePool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.entry(client.identity().build).or_default().clone()
    }

    /// Whether a host's TLS is passed on unseen.
    pub(crate) fn is_tunnel(&self, host: &str, port: u16) -> bool {
        self.config.tunnel.iter().any(|pattern| pattern.matches(host, port))
    }

    /// The user's rules about hosts.
    pub(crate) fn check_access(&self, host: &str, port: u16) -> Result<(), Refusal> {
        self.access.check(host, port).map_err(Refusal::denied)
    }
}
