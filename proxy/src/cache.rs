//! Answers requests from the store, and asks the origin for the rest.

pub(crate) mod key;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode};

use crate::body::{Body, full};
use crate::flow::Outcome;
use crate::origin::{Origin, RequestContext};
use crate::rules::Rules;
use crate::store::Store;

pub use self::key::Key;

/// What the cache may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Serve what is stored, fetch the rest.
    Cache,
    /// Never ask upstream: serve what is stored, also stale; answer 403 to the rest.
    Offline,
}

/// The cache. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    origin: Arc<dyn Origin>,
    mode: AtomicU8,
}

impl Cache {
    /// A cache over `store`; without one everything passes uncached.
    pub fn new(_store: Option<Store>, origin: Arc<dyn Origin>, mode: Mode, _rules: Rules) -> Self {
        Self { inner: Arc::new(Inner { origin, mode: AtomicU8::new(mode as u8) }) }
    }

    /// Answers a request. Errors become responses.
    pub async fn call(&self, request: Request<Body>, context: RequestContext) -> Response<Body> {
        context.flow.outcome(Outcome::Bypass, "not cached yet");
        match self.inner.origin.send(request, &context).await {
            Ok(response) => response,
            Err(error) => {
                let mut response = Response::new(full(error.message));
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
        }
    }

    /// Changes the mode.
    pub fn set_mode(&self, mode: Mode) {
        self.inner.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// The mode in force.
    pub fn mode(&self) -> Mode {
        if self.inner.mode.load(Ordering::Relaxed) == Mode::Offline as u8 { Mode::Offline } else { Mode::Cache }
    }

    /// Begins a run: what upstream confirms from now on need not be asked for again until the next.
    #[expect(clippy::unused_self, reason = "filled in with the store")]
    pub fn begin_run(&self) {}

    /// Waits for fetches still being stored, and cancels them after `limit`.
    #[expect(clippy::unused_async, clippy::unused_self, reason = "filled in with the store")]
    pub async fn drain(&self, _limit: Duration) {}
}
