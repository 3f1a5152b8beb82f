//! What the cache asks when it has no answer of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response, Uri};

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

    /// Whether a guest asking for this URL would be refused whatever name service said: then it gets nothing stored of
    /// it either, whoever has fetched that. Of names it is where they led that counts, which is stored.
    fn is_kept_from_guests(&self, _uri: &Uri) -> bool {
        false
    }
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

/// Where on the way to the origin something failed. Each has its error type in `Proxy-Status` (see
/// [`crate::error::rescue`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The address may not be dialled by this client.
    Denied,
    /// The name has no address.
    Resolve,
    /// The connection was refused.
    Connect,
    /// No way leads to the address.
    Unroutable,
    /// Nobody answered the attempt to connect.
    ConnectTimeout,
    /// The upstream proxy could not be used: unreachable, silent, or not a proxy.
    Proxy,
    /// The upstream proxy answered with this status, and nothing else.
    ProxyAnswered(u16),
    /// The origin's certificate is not to be trusted.
    Tls,
    /// The TLS handshake failed in another way.
    TlsHandshake,
    /// The origin ended the TLS handshake with this alert.
    TlsAlert(u8),
    /// What was answered was not HTTP, or not what was asked for.
    Exchange,
    /// The connection was lost before anything of an answer had arrived.
    Terminated,
    /// The connection was lost in the middle of an answer's head.
    Incomplete,
    /// The answer's head is larger than is read.
    HeadTooLarge,
    /// The origin switched protocols wrongly, or not though it said so.
    Upgrade,
    /// No answer in time.
    Timeout,
    /// The client's own body broke off, or was no proper HTTP.
    Client,
    /// The client did not send its body in time.
    ClientTimeout,
}
