//! Sends requests towards their origins: the [`Origin`] behind the cache.

use std::sync::Arc;

use http::header::{
    CONNECTION, EXPECT, HOST, HeaderMap, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::{Connector, Io};
use super::dial::Dialer;
use super::failure::{Again, again, failure};
use super::first_contact::FirstContact;
use super::idle_body::IdleBody;
use super::proxy_connect::unauthorized_message;
use super::route::{ProxyUrl, UpstreamProxy, target};
use super::tls::OriginTls;
use super::upload::{Sending, Upload};
use crate::body::Body;
use crate::config::{Config, Timeouts};
use crate::guard::Guard;
use crate::hop_by_hop;
use crate::mirror::{self, Mapped, Mirror};
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};

/// What an origin may send on one HTTP/2 stream before it is read: 80 MB/s at a round trip of 50 ms.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// The same for all streams of a connection together. Clients share it, and what a client does not read is held back
/// here: 31 that stall leave the others room. Only unread bytes take memory, so this is also its bound.
const CONNECTION_WINDOW: u32 = 32 * STREAM_WINDOW;

/// The real network.
pub struct NetworkOrigin {
    guarded: Way,
    trusted: Way,
    mirrors: Vec<Mirror>,
    proxy: Arc<UpstreamProxy>,
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
            .pool_idle_timeout(std::time::Duration::from_secs(50))
            .pool_max_idle_per_host(32)
            .http1_max_buf_size(256 * 1024)
            .http1_max_headers(256)
            .http2_max_header_list_size(256 * 1024)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(std::time::Duration::from_secs(20))
            .http2_keep_alive_timeout(std::time::Duration::from_secs(20))
            .build(connector.clone());
        Self { connector, client, first_contact: FirstContact::new() }
    }
}

impl NetworkOrigin {
    /// Reads nothing yet: roots are loaded by the first TLS connection.
    pub fn new(config: &Config, guard: &Arc<Guard>) -> Self {
        let proxy = Arc::new(config.upstream_proxy.clone());
        let connector = |guarded| Connector {
            dialer: Dialer { guard: guard.clone(), connect_timeout: config.timeouts.connect },
            tls: Arc::new(OriginTls::new(config.extra_roots.clone(), config.timeouts.connect)),
            proxy: proxy.clone(),
            guarded,
        };
        Self {
            guarded: Way::new(connector(true)),
            trusted: Way::new(connector(false)),
            mirrors: config.mirrors.clone(),
            proxy: proxy.clone(),
            timeouts: config.timeouts,
        }
    }

    /// Opens a tunnel to `host:port`; also says by which way.
    pub(crate) async fn tunnel(
        &self,
        host: &str,
        port: u16,
        guest: bool,
    ) -> Result<(Box<dyn Io>, String), UpstreamError> {
        let way = if guest { &self.guarded } else { &self.trusted };
        let stream = way.connector.tunnel(true, host, port).await?;
        Ok((stream, route_name(self.proxy.route(true, host, port), None)))
    }

    async fn exchange(
        &self,
        request: Request<Body>,
        context: &RequestContext,
    ) -> Result<Response<Body>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        let plan = self.plan(&parts.uri, context)?;
        let upload = Upload::new(body, parts.headers.contains_key(EXPECT), context.flow.clone());
        parts.uri = plan.uri.clone();
        prepare(&mut parts, plan.plain_proxy());
        let first = match self.attempt(&plan, &parts, &upload, context).await {
            Err(failed) => failed,
            Ok(response) => return Ok(self.receive(response, &plan, &upload)),
        };
        let response = match again(&first.1, &parts.method, &upload) {
            Again::No => return Err(first.0),
            Again::Yes => self.attempt(&plan, &parts, &upload, context).await.map_err(|(error, _)| error)?,
            Again::Http1 => self.alone(&plan, parts, &upload, None, context).await?,
        };
        Ok(self.receive(response, &plan, &upload))
    }

    /// Where a request goes, by which way.
    pub(super) fn plan<'a>(&'a self, public: &Uri, context: &RequestContext) -> Result<Plan<'a>, UpstreamError> {
        let mapped = mirror::map(&self.mirrors, public);
        let uri = mapped.as_ref().map_or_else(|| public.clone(), |mapped| mapped.uri.clone());
        let (host, port, tls) = target(&uri).ok_or_else(|| UpstreamError {
            phase: Phase::Exchange,
            message: format!("{public} is not an http or https URL with a host"),
            retryable: false,
        })?;
        let proxy = self.proxy.route(tls, host, port);
        let hop = proxy.map_or_else(|| (host.to_owned(), port), |proxy| (proxy.host.clone(), proxy.port));
        context.flow.asks(authority(&hop.0, hop.1));
        let route = route_name(proxy, mapped.as_ref());
        context.flow.update(|flow| flow.route = route);
        // What the user's configuration names is not for the guard to judge.
        let way = if context.guest && mapped.is_none() { &self.guarded } else { &self.trusted };
        Ok(Plan { host: host.to_owned(), port, tls, peer: uri.to_string(), uri, mapped, proxy, way })
    }

    /// Sends the request on a connection of the pool. With the error comes what hyper said, if it did.
    async fn attempt(
        &self,
        plan: &Plan<'_>,
        parts: &Parts,
        upload: &Upload,
        context: &RequestContext,
    ) -> Result<Response<Incoming>, (UpstreamError, Option<hyper_util::client::legacy::Error>)> {
        let mut request = Request::new(upload.body());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        upload.watch(&mut request);
        let authority = request.uri().authority().filter(|_| plan.tls).map(ToString::to_string);
        let pass = match &authority {
            Some(authority) => Some(plan.way.first_contact.enter(authority).await),
            None => None,
        };
        let limit = self.timeouts.head + self.timeouts.connect * 4;
        let answer = upload.answer(plan.way.client.request(request), limit, &plan.peer).await;
        let response = match answer.map_err(|error| (error, None))? {
            Ok(response) => response,
            Err(error) => {
                let own = upload.failure().unwrap_or_else(|| failure(&error, &plan.peer, &parts.method));
                return Err((own, Some(error)));
            }
        };
        if let Some(pass) = pass {
            pass.answered();
        }
        context.flow.answered(response.version(), response.status().as_u16());
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

    pub(super) fn receive(&self, response: Response<Incoming>, plan: &Plan<'_>, upload: &Upload) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        hop_by_hop::strip_response(&mut parts.headers);
        if let Some(mapped) = &plan.mapped {
            let location = parts.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let back = location.and_then(|location| mapped.map_back(location));
            if let Some(value) = back.and_then(|back| HeaderValue::from_str(&back).ok()) {
                parts.headers.insert(LOCATION, value);
            }
        }
        let body = IdleBody::new(body, self.timeouts.idle, plan.peer.clone()).telling(upload);
        Response::from_parts(parts, body.boxed())
    }
}

/// Where one request goes.
pub(super) struct Plan<'a> {
    /// The URI asked for upstream.
    pub(super) uri: Uri,
    /// Name or address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// The URI for people.
    pub(super) peer: String,
    mapped: Option<Mapped>,
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

fn route_name(proxy: Option<&ProxyUrl>, mapped: Option<&Mapped>) -> String {
    match (mapped, proxy) {
        (Some(mapped), Some(proxy)) => format!("mirror {} by proxy {proxy}", mapped.to),
        (Some(mapped), None) => format!("mirror {}", mapped.to),
        (None, Some(proxy)) => format!("proxy {proxy}"),
        (None, None) => "direct".to_owned(),
    }
}

fn offered_schemes(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(PROXY_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok()?.split_whitespace().next().map(str::to_owned))
        .collect()
}
