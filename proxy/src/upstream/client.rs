//! Sends requests towards their origins: the [`Origin`] behind the cache.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::anonymize::Anonymize;
use super::connector::{Connector, Io};
use super::dial::Dialer;
use super::failure::{Again, ClientError, again, failure};
use super::first_contact::FirstContact;
use super::idle_body::IdleBody;
use super::observe::{Event, note};
use super::proxy_connect::unauthorized_message;
use super::route::{ProxyUrl, UpstreamProxy, target};
use super::tls::OriginTls;
use super::upload::{Reading, Sending, Upload};
use crate::body::Body;
use crate::config::{Config, Timeouts};
use crate::flow::FlowRecorder;
use crate::guard::Guard;
use crate::hop_by_hop;
use crate::mirror::MirrorMap;
use crate::mirror::token::Tokens;
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};
use crate::redact;

/// What an origin may send on one HTTP/2 stream before it is read: 80 MB/s at a round trip of 50 ms.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// The same for all streams of a connection together. Clients share it, and what a client does not read is held back
/// here: 31 that stall leave the others room. Only unread bytes take memory, so this is also its bound.
const CONNECTION_WINDOW: u32 = 32 * STREAM_WINDOW;

/// The real network.
pub struct NetworkOrigin {
    pub(super) net: Arc<Net>,
}

/// What the requests under way share.
pub(super) struct Net {
    guarded: Way,
    trusted: Way,
    pub(super) mirrors: MirrorMap,
    /// For registries among the mirrors.
    pub(super) tokens: Tokens,
    proxy: Arc<UpstreamProxy>,
    anonymize: Option<Anonymize>,
    pub(super) timeouts: Timeouts,
}

pub(super) struct Way {
    pub(super) connector: Connector,
    client: Client<Connector, Sending>,
    first_contact: FirstContact,
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
        Self { connector, client, first_contact: FirstContact::new() }
    }
}

impl NetworkOrigin {
    /// Reads nothing yet: roots are loaded by the first TLS connection.
    pub fn new(config: &Config, guard: &Arc<Guard>) -> Self {
        let proxy = Arc::new(config.upstream_proxy.clone());
        let mirrors = MirrorMap::new(config.mirrors.clone());
        let connector = |guarded| Connector {
            dialer: Dialer { guard: guard.clone(), connect_timeout: config.timeouts.connect },
            tls: Arc::new(OriginTls::new(config.extra_roots.clone(), &mirrors, config.timeouts.connect)),
            proxy: proxy.clone(),
            guarded,
        };
        let (guarded, trusted) = (Way::new(connector(true)), Way::new(connector(false)));
        let (anonymize, timeouts) = (config.anonymize.clone(), config.timeouts);
        let net = Net { guarded, trusted, mirrors, tokens: Tokens::default(), proxy, anonymize, timeouts };
        Self { net: Arc::new(net) }
    }

    /// Opens a tunnel to `host:port`; also says by which way.
    pub(crate) async fn tunnel(
        &self,
        host: &str,
        port: u16,
        guest: bool,
    ) -> Result<(Box<dyn Io>, String), UpstreamError> {
        let way = if guest { &self.net.guarded } else { &self.net.trusted };
        let stream = way.connector.tunnel(true, host, port).await?;
        Ok((stream, self.net.way_name(true, host, port)))
    }

    /// The public URI of one that lies at a mirror; see [`MirrorMap::public`].
    pub(crate) fn public(&self, uri: &Uri) -> Option<Uri> {
        self.net.mirrors.public(uri)
    }

    async fn exchange(
        &self,
        request: Request<Body>,
        context: &RequestContext,
    ) -> Result<Response<Body>, UpstreamError> {
        match self.net.mirrors.candidates(request.uri()) {
            Some(candidates) => self.net.by_mirrors(candidates, request, context).await,
            None => {
                let route = self.net.way_to(request.uri());
                context.flow.update(|flow| flow.route = route);
                let peer = request.uri().to_string();
                let response = self.net.send(request, context.guest, None, &context.flow).await?;
                context.flow.update(|flow| flow.upstream_status = Some(response.status().as_u16()));
                Ok(self.net.receive(response, peer))
            }
        }
    }
}

impl Net {
    /// Sends a request where its URI leads, and waits for the answer's head: `limit`, or as the settings say, counted
    /// from the last byte of its body. With `guarded`, only to what a guest may reach.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
        guarded: bool,
        limit: Option<Duration>,
        flow: &Arc<FlowRecorder>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        let plan = self.plan(&parts.uri, guarded, flow)?;
        let upload = Upload::new(body, parts.headers.contains_key(EXPECT), flow.clone());
        prepare(&mut parts, plan.plain_proxy());
        self.anonymize(&mut parts.headers);
        let limit = limit.unwrap_or(self.timeouts.head + self.timeouts.connect * 4);
        let (error, said) = match self.attempt(&plan, &parts, &upload, limit, flow).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        match again(said.as_ref(), &parts.method, &upload) {
            Again::No => Err(error),
            Again::Yes => self.attempt(&plan, &parts, &upload, limit, flow).await.map_err(|(error, _)| error),
            Again::Http1 => self.alone(&plan, parts, &upload, None, flow).await,
        }
    }

    /// Takes out of a request what tells who asks, where the settings say so.
    pub(super) fn anonymize(&self, headers: &mut HeaderMap) {
        if let Some(anonymize) = &self.anonymize {
            anonymize.apply(headers);
        }
    }

    /// Where a request goes, by which way.
    pub(super) fn plan<'a>(&'a self, uri: &Uri, guarded: bool, flow: &FlowRecorder) -> Result<Plan<'a>, UpstreamError> {
        let (host, port, tls) = target(uri).ok_or_else(|| UpstreamError {
            phase: Phase::Exchange,
            message: format!("{uri} is not an http or https URL with a host"),
            retryable: false,
        })?;
        let proxy = self.proxy.route(tls, host, port);
        note(|| Event::Asked { url: redact::url(&uri.to_string()), way: self.way_name(tls, host, port) });
        let hop = proxy.map_or((host, port), |proxy| (proxy.host.as_str(), proxy.port));
        flow.asks(authority(hop.0, hop.1));
        let way = if guarded { &self.guarded } else { &self.trusted };
        Ok(Plan { host: host.to_owned(), port, tls, peer: uri.to_string(), proxy, way })
    }

    /// Sends the request on a connection of the pool. With the error comes what hyper said, if it did.
    async fn attempt(
        &self,
        plan: &Plan<'_>,
        parts: &Parts,
        upload: &Upload,
        limit: Duration,
        flow: &FlowRecorder,
    ) -> Result<Response<Incoming>, (UpstreamError, Option<ClientError>)> {
        let mut request = Request::new(upload.body());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        upload.watch(&mut request);
        let authority = request.uri().authority().filter(|_| plan.tls).map(ToString::to_string);
        let exchange = async {
            let pass = match &authority {
                Some(authority) => Some(plan.way.first_contact.enter(authority).await),
                None => None,
            };
            let response = plan.way.client.request(request).await;
            if let (Some(pass), Ok(_)) = (pass, &response) {
                pass.answered();
            }
            response
        };
        let answer = upload.answer(exchange, limit, &plan.peer).await.map_err(|error| (error, None))?;
        let mut response = answer.map_err(|error| {
            let own = upload.failure().unwrap_or_else(|| failure(&error, &plan.peer, &parts.method));
            (own, Some(error))
        })?;
        flow.answered(response.version(), response.status().as_u16());
        note(|| Event::Answer { status: response.status().as_u16(), version: format!("{:?}", response.version()) });
        response.extensions_mut().insert(Arc::new(upload.reading()));
        match (response.status(), plan.plain_proxy()) {
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) => {
                let message = unauthorized_message(proxy, &offered_schemes(response.headers()));
                Err((UpstreamError { phase: Phase::ProxyAnswered(407), message, retryable: false }, None))
            }
            (StatusCode::SWITCHING_PROTOCOLS, _) => {
                let message = format!("{} switched to another protocol, which nobody had asked for", plan.peer);
                Err((UpstreamError { phase: Phase::Upgrade, message, retryable: false }, None))
            }
            _ => Ok(response),
        }
    }

    /// The answer for the cache.
    pub(super) fn receive(&self, response: Response<Incoming>, peer: String) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        let reading = parts.extensions.remove::<Arc<Reading>>();
        parts.extensions.clear();
        hop_by_hop::strip_response(&mut parts.headers);
        Response::from_parts(parts, IdleBody::new(body, self.timeouts.idle, peer).telling(reading).boxed())
    }

    /// The way to a URI, for people.
    pub(super) fn way_to(&self, uri: &Uri) -> String {
        target(uri).map_or_else(String::new, |(host, port, tls)| self.way_name(tls, host, port))
    }

    fn way_name(&self, tls: bool, host: &str, port: u16) -> String {
        self.proxy.route(tls, host, port).map_or_else(|| "direct".to_owned(), |proxy| format!("proxy {proxy}"))
    }
}

/// Where one request goes.
pub(super) struct Plan<'a> {
    /// Name or address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// The URI for people.
    pub(super) peer: String,
    proxy: Option<&'a ProxyUrl>,
    pub(super) way: &'a Way,
}

impl Plan<'_> {
    /// The proxy that is sent whole requests: for `https` it makes a tunnel instead.
    fn plain_proxy(&self) -> Option<&ProxyUrl> {
        self.proxy.filter(|_| !self.tls)
    }
}

impl Origin for NetworkOrigin {
    fn send<'a>(
        &'a self,
        request: Request<Body>,
        context: &'a RequestContext,
    ) -> BoxFuture<'a, Result<Response<Body>, UpstreamError>> {
        Box::pin(self.exchange(request, context))
    }
}

/// hyper writes Host (or `:authority`) from the URI, so that the two cannot differ.
fn prepare(parts: &mut Parts, plain_proxy: Option<&ProxyUrl>) {
    let headers = &mut parts.headers;
    // Of one hop, but what the client takes, asks for and announces is still true of the next.
    let kept = [TE, EXPECT, TRAILER].map(|name| headers.remove(&name).map(|value| (name, value)));
    hop_by_hop::strip_request(headers);
    headers.remove(HOST);
    for (name, value) in kept.into_iter().flatten() {
        // Not over TLS: on HTTP/2 hyper would take TE away with it, and only HTTP/2 has use for it (gRPC).
        if name == TE && parts.uri.scheme() == Some(&http::uri::Scheme::HTTP) {
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        headers.insert(name, value);
    }
    if let Some(value) = plain_proxy.and_then(|proxy| proxy.authorization.clone()) {
        headers.insert(PROXY_AUTHORIZATION, value);
    }
}

pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn offered_schemes(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(PROXY_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok()?.split_whitespace().next().map(str::to_owned))
        .collect()
}
