//! A pool of connections for each way that is taken.
//!
//! hyper's pool knows connections by scheme and authority. A connection is good for what may go its way only: a
//! request that the rules send by another proxy must not ride on it, and a guest not on one that it could not have
//! opened. So each way, and each of the two kinds of client, has a pool of its own. There are few ways, but a PAC
//! script may find many: those not taken for longest are given up, with their idle connections.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lru::LruCache;

use super::bound::Bound;
use super::connector::{Connector, Reach};
use super::dial::Dialer;
use super::first_contact::FirstContact;
use super::route::Route;
use super::standing::Standings;
use super::upload::Sending;

/// What an origin may send on one HTTP/2 stream before it is read: 80 MB/s at a round trip of 50 ms.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// The same for all streams of a connection together. Clients share it, and what a client does not read is held back
/// here: 31 that stall leave the others room. Only unread bytes take memory, so this is also its bound.
const CONNECTION_WINDOW: u32 = 32 * STREAM_WINDOW;
/// Ways whose connections are kept, for guests and others together.
const MOST: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// The ways that have been taken lately.
pub(super) struct Ways {
    reach: Arc<Reach>,
    taken: Mutex<LruCache<(Route, bool), Arc<Way>>>,
}

impl Ways {
    pub(super) fn new(reach: Arc<Reach>) -> Self {
        Self { reach, taken: Mutex::new(LruCache::new(MOST)) }
    }

    /// The way by this route. With `guarded`, only to what a guest may reach.
    pub(super) fn get(&self, route: &Route, guarded: bool) -> Arc<Way> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (route.clone(), guarded);
        taken.get_or_insert(key, || Arc::new(Way::new(self.connector(route, guarded)))).clone()
    }

    /// Makes connections that belong to no pool.
    pub(super) fn connector(&self, route: &Route, guarded: bool) -> Connector {
        Connector { reach: self.reach.clone(), route: Arc::new(route.clone()), guarded }
    }

    /// What opens connections, and knows where guests may not go.
    pub(super) fn dialer(&self) -> &Dialer {
        &self.reach.dialer
    }

    /// How the ways do.
    pub(super) fn standings(&self) -> &Standings {
        &self.reach.standings
    }
}

/// One way, and its connections.
pub(super) struct Way {
    pub(super) connector: Connector,
    pub(super) client: Client<Connector, Sending>,
    pub(super) first_contact: FirstContact,
    /// Connections that a proxy knows as the user's.
    pub(super) bound: Arc<Bound>,
}

impl Way {
    fn new(connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(50))
            .pool_max_idle_per_host(32)
            .http1_max_buf_size(256 * 1024)
            .http1_max_headers(256)
            .http2_max_header_list_size(256 * 1024)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(20))
            .build(connector.clone());
        Self { connector, client, first_contact: FirstContact::new(), bound: Arc::default() }
    }
}
