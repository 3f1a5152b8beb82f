//! HTTP on one connection, by hyper, with the limits that a hostile client meets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio_util::sync::CancellationToken;

use crate::body::Body;
use crate::connect;
use crate::error::answer;
use crate::forward::Scope;
use crate::identity::Client;
use crate::service;
use crate::shared::Shared;
use crate::upstream::connector::Io;
use crate::upstream::idle_body::IdleBody;

/// Which HTTP is spoken; settled by ALPN, or HTTP/1 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.0 and 1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// One connection's facts.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    pub(crate) scope: Scope,
    /// Tells the connection to finish what is under way: its listener, or the whole proxy, stops.
    pub(crate) stop: CancellationToken,
}

/// Serves requests until the connection ends, or the proxy stops: then what is under way is finished.
pub(crate) async fn serve(io: impl Io + 'static, protocol: Protocol, session: Session) {
    let shared = session.shared.clone();
    let stop = session.stop.clone();
    let builder = builder(protocol, shared.config.timeouts.client);
    let session = Arc::new(session);
    let service = service_fn(move |request| handle(session.clone(), request));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection.as_mut() => result,
                () = shared.abort.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a client's connection ended in an error");
    }
}

fn builder(protocol: Protocol, head_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder = match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_timeout).max_buf_size(64 * 1024).max_headers(100);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(64 * 1024)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .max_pending_accept_reset_streams(64)
        .keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn handle(session: Arc<Session>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.method() == Method::CONNECT {
        return Ok(if session.scope == Scope::Proxy {
            connect::accept(&session, request).await
        } else {
            answer(StatusCode::METHOD_NOT_ALLOWED, "http_request_error", "CONNECT has no meaning on this connection")
        });
    }
    let limit = session.shared.config.timeouts.idle;
    let request = request.map(|body| IdleBody::new(body, limit, "the client".to_owned()).boxed());
    Ok(service::respond(&session.shared, &session.client, &session.scope, request).await)
}
