//! HTTP on one connection, by hyper, with the limits that a hostile client meets.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::ext::Protocol as ConnectProtocol;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::admission::Gate;
use crate::body::{self, Body};
use crate::connect;
use crate::current::Current;
use crate::direct::Direct;
use crate::error::answer;
use crate::flow::{FlowRecorder, Outcome};
use crate::forward::Scope;
use crate::head_timer::HeadTimer;
use crate::identity::Client;
use crate::kept_body::KeptBody;
use crate::listener::Held;
use crate::redact;
use crate::seldom::Seldom;
use crate::service::{self, Line};
use crate::shared::Shared;
use crate::taking::Taking;
use crate::upgrade;
use crate::upstream::connector::Io;
use crate::upstream::idle_body::IdleBody;

/// Requests at a time on one HTTP/2 connection: cargo and gRPC clients have a hundred and more.
const STREAMS: u32 = 256;
/// How long a client that is not let in has to take the answer.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// What holds for the request, or as long as what was begun under it lasts.
    pub(crate) shared: Arc<Shared>,
    /// What holds for the next request.
    pub(crate) current: Arc<Current<Shared>>,
    /// Decides who may ask, where that is not everybody.
    pub(crate) gate: Option<Arc<Gate>>,
    pub(crate) client: Client,
    pub(crate) scope: Scope,
    /// Tells the connection to finish what is under way: its listener, or the whole proxy, stops.
    pub(crate) stop: CancellationToken,
    /// What the connection takes of the listener's, as long as it or a tunnel made on it lasts.
    pub(crate) held: Arc<Held>,
    /// Of the connection, once it is served.
    pub(crate) line: Line,
}

/// Serves requests until the connection ends, or is told to stop: then what is under way is finished.
///
/// hyper-util's automatic builder is not used: it waits for the first bytes without a limit, and takes HTTP/2 where
/// nobody agreed on it.
pub(crate) async fn serve(io: impl Io + 'static, protocol: Protocol, session: Session) {
    serve_with(io, protocol, Session { line: Line::default(), ..session }).await;
}

/// The same for HTTP/1 on a connection on which nobody else reads or writes what passes.
pub(crate) async fn serve_plain(stream: TcpStream, session: Session) {
    let taking = Arc::<Taking>::default();
    let io = Direct::new(stream, taking.clone());
    let line = Line { taking, outbox: Some(io.outbox().clone()) };
    serve_with(io, Protocol::Http1, Session { line, ..session }).await;
}

async fn serve_with(io: impl Io + 'static, protocol: Protocol, session: Session) {
    let stop = session.stop.clone();
    let head_timeout = session.shared.config.timeouts.client;
    let abort = session.shared.abort.clone();
    let (taking, patience) = (session.line.taking.clone(), session.shared.config.timeouts.send);
    let session = Arc::new(session);
    let calm = Arc::new(Calm::default());
    let cancelled = calm.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        // Made here, and not when it is first polled: a request may be cancelled before that.
        let call = Call { calm: cancelled.clone(), done: false };
        let session = session.clone();
        async move {
            let answer = handle(session, request).await;
            call.end();
            answer
        }
    });
    let io = TokioIo::new(io);
    let mut end = Seldom::new(async {
        tokio::select! {
            () = taking.stalled(patience) => End::Stalled,
            () = calm.lost.notified() => End::Lost,
            () = stop.cancelled() => End::Stop,
        }
    });
    let result = match protocol {
        Protocol::Http1 => {
            let connection = http1(head_timeout).serve_connection(io, service).with_upgrades();
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                biased;
                result = connection.as_mut() => result,
                end = &mut end => {
                    if end.is_at_once(patience) {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                    finish(connection, &abort).await
                }
            }
        }
        Protocol::Http2 => {
            let mut connection = std::pin::pin!(http2().serve_connection(io, service));
            tokio::select! {
                biased;
                result = connection.as_mut() => result,
                end = &mut end => {
                    if end.is_at_once(patience) {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                    finish(connection, &abort).await
                }
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a client's connection ended in an error");
    }
}

/// Why a connection ends that its client has not closed.
enum End {
    /// The client takes nothing.
    Stalled,
    /// It cancels too much.
    Lost,
    /// Nothing more is served.
    Stop,
}

impl End {
    /// Whether nothing is finished any more.
    fn is_at_once(&self, patience: Duration) -> bool {
        match self {
            Self::Stalled => tracing::debug!("a client took nothing of its answers for {} s", patience.as_secs()),
            Self::Lost => tracing::debug!("a client cancels its requests as fast as it makes them"),
            Self::Stop => return false,
        }
        true
    }
}

async fn finish(connection: impl Future<Output = hyper::Result<()>>, abort: &CancellationToken) -> hyper::Result<()> {
    tokio::select! {
        result = connection => result,
        () = abort.cancelled() => Ok(()),
    }
}

/// How a client's requests on one connection fare. Cancelling each at once costs the client nothing and us a request
/// upstream, and gets round the limit of streams ("rapid reset").
#[derive(Default)]
struct Calm {
    /// Requests cancelled, less those that ended.
    cancelled: AtomicI64,
    lost: Notify,
}

/// More than a client has open at a time: one that gives up all at once is nothing unusual.
const CANCELLED: i64 = 2 * STREAMS as i64;

struct Call {
    calm: Arc<Calm>,
    done: bool,
}

impl Call {
    fn end(mut self) {
        self.done = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let cancelled = &self.calm.cancelled;
        if self.done {
            let _ =
                cancelled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count > 0).then(|| count - 1));
        } else if cancelled.fetch_add(1, Ordering::Relaxed) >= CANCELLED {
            self.calm.lost.notify_one();
        }
    }
}

fn http1(head_timeout: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Of fields there may be 100, which is hyper's own limit: set by us, it would cost two arrays on the heap a request.
    builder.timer(HeadTimer::new()).header_read_timeout(head_timeout).max_buf_size(64 * 1024);
    builder
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(64 * 1024)
        // For uploads. One that its origin does not read must not use up the connection's: 31 may stall.
        .initial_stream_window_size(512 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        // What waits for a client that reads slowly, for each stream.
        .max_send_buf_size(64 * 1024)
        .max_pending_accept_reset_streams(64)
        .max_local_error_reset_streams(64)
        .enable_connect_protocol()
        .keep_alive_interval(Duration::from_mins(1))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Answers whatever comes first on a connection, and closes it.
pub(crate) async fn refuse(io: impl Io + 'static, answer: impl Fn() -> Response<Body>) {
    let service = service_fn(|_| {
        let answer = answer();
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1(REFUSAL_TIMEOUT).serve_connection(TokioIo::new(io), service);
    if timeout(REFUSAL_TIMEOUT, connection).await.is_err() {
        tracing::debug!("a client that is not let in does not take the answer");
    }
}

impl Session {
    /// The session of a request that arrives now: under the settings in force, and for who logged in with it.
    async fn of_request(self: Arc<Self>, request: &Request<Incoming>) -> Result<Arc<Self>, Response<Body>> {
        let is_same = Arc::ptr_eq(&*self.current.look(), &self.shared);
        let session = if is_same { self } else { Arc::new(Self { shared: self.current.get(), ..(*self).clone() }) };
        let Some(gate) = session.gate.as_ref() else { return Ok(session) };
        let judged = if session.scope == Scope::Proxy {
            gate.authorize(session.client.identity().address, request.headers()).await
        } else {
            // Inside a CONNECT, who asked for it is known.
            let client = session.client.identity();
            gate.still_admits(client.address, client.user.as_deref()).map(|()| None)
        };
        match judged {
            Ok(None) => Ok(session),
            Ok(Some(user)) => {
                let client = session.client.known_as(user);
                Ok(Arc::new(Self { client, ..(*session).clone() }))
            }
            Err(response) => {
                let shown = redact::url(&request.uri().to_string());
                let flow =
                    FlowRecorder::begin(session.client.identity(), request.method(), shown, &session.shared.flows);
                flow.outcome(Outcome::Denied, "the client may not use this proxy, or did not log in");
                flow.update(|flow| flow.status = response.status().as_u16());
                Err(response)
            }
        }
    }
}

async fn handle(session: Arc<Session>, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let session = match session.of_request(&request).await {
        Ok(session) => session,
        Err(response) => return Ok(response),
    };
    if let Some(protocol) = request.extensions_mut().remove::<ConnectProtocol>() {
        if let Err(refusal) = upgrade::from_extended_connect(&mut request, protocol.as_str()) {
            return Ok(refusal.response());
        }
    } else if request.method() == Method::CONNECT {
        if session.scope == Scope::Proxy {
            return Ok(connect::accept(&session, request).await);
        }
        let text = "CONNECT has no meaning on this connection";
        let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, "http_request_error", text);
        if request.version() < Version::HTTP_2 {
            // Nobody has looked how its body is framed.
            refused.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        return Ok(refused);
    }
    if request.headers().contains_key(UPGRADE) {
        request.extensions_mut().insert(session.held.clone());
    }
    let (limit, rate) = (session.shared.config.timeouts.idle, session.shared.config.timeouts.min_rate);
    let mut request = request.map(|body| {
        if body.is_end_stream() {
            return body::empty();
        }
        IdleBody::new(body, limit, "the client".to_owned()).at_least(rate).boxed()
    });
    if request.version() == Version::HTTP_2 && !request.body().is_end_stream() {
        let kept = KeptBody::new(std::mem::replace(request.body_mut(), body::empty()));
        *request.body_mut() = kept.clone().boxed();
        request.extensions_mut().insert(kept);
    }
    let Session { shared, client, scope, line, .. } = &*session;
    Ok(service::respond(shared, client, scope, line, request).await)
}
