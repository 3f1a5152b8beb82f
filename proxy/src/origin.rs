//! What the cache asks when it has no answer of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};

use crate::body::Body;
use crate::flow::FlowRecorder;

/// What travels beside a request through the layers.
#[derive(Clone)]
pub struct RequestContext {
    /// Record of the flow under way.
    pub flow: Arc<FlowRecorder>,
    /// Whether the restrictions for guests hold (see [`crate::identity::Client::guest`]).
    pub guest: bool,
}

/// A future that may be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends a request towards its origin. The request's URI is absolute and canonical; hop-by-hop fields have been
/// removed. The implementation maps mirrors, picks the route (direct or upstream proxy), checks the address
/// dialled, and notes route and upstream status in the flow.
pub trait Origin: Send + Sync {
    /// Sends the request and returns the answer's head with its body still arriving.
    fn send<'a>(
        &'a self,
        request: Request<Body>,
        context: &'a RequestContext,
    ) -> BoxFuture<'a, Result<Response<Body>, UpstreamError>>;
}

/// Why upstream gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UpstreamError {
    /// At which point it failed.
    pub phase: Phase,
    /// What happened, with host and cause, for people.
    pub message: String,
    /// Whether the same request may be sent again: nothing of an answer had arrived.
    pub retryable: bool,
}

/// Where on the way to the origin something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The address may not be dialled by this client.
    Denied,
    /// The name has no address.
    Resolve,
    /// No connection.
    Connect,
    /// The upstream proxy refused.
    Proxy,
    /// The TLS handshake failed.
    Tls,
    /// The connection was lost, or the answer was not HTTP.
    Exchange,
    /// No answer in time.
    Timeout,
}
