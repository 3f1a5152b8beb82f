//! Sends requests towards their origins: the [`Origin`] behind the cache.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderMap, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::connector::{Connector, Io};
use super::dial::Dialer;
use super::first_contact::FirstContact;
use super::idle_body::{IdleBody, chain};
use super::proxy_connect::unauthorized_message;
use super::route::{ProxyUrl, UpstreamProxy, target};
use super::tls::OriginTls;
use crate::body::Body;
use crate::config::{Config, Timeouts};
use crate::guard::Guard;
use crate::hop_by_hop;
use crate::mirror::MirrorMap;
use crate::mirror::token::Tokens;
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};

/// The real network.
pub struct NetworkOrigin {
    net: Arc<Net>,
}

/// What the requests under way share.
pub(super) struct Net {
    guarded: Way,
    trusted: Way,
    pub(super) mirrors: MirrorMap,
    /// For registries among the mirrors.
    pub(super) tokens: Tokens,
    proxy: Arc<UpstreamProxy>,
    timeouts: Timeouts,
}

struct Way {
    connector: Connector,
    client: Client<Connector, Body>,
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
            .http2_initial_stream_window_size(2 * 1024 * 1024)
            .http2_initial_connection_window_size(8 * 1024 * 1024)
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
        let net = Net { guarded, trusted, mirrors, tokens: Tokens::default(), proxy, timeouts: config.timeouts };
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
        let stream = way.connector.tunnel(host, port).await?;
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
                let response = self.net.send(request, context.guest, None).await?;
                context.flow.update(|flow| flow.upstream_status = Some(response.status().as_u16()));
                Ok(self.net.receive(response, peer))
            }
        }
    }
}

impl Net {
    /// Sends a request where its URI leads, and waits for the answer's head: `limit`, or as the settings say.
    /// With `guarded`, only to what a guest may reach.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
        guarded: bool,
        limit: Option<Duration>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let idempotent = is_idempotent(request.method());
        let (host, port, tls) = target(request.uri()).ok_or_else(|| UpstreamError {
            phase: Phase::Exchange,
            message: format!("{} is not an http or https URL with a host", request.uri()),
            retryable: false,
        })?;
        let plain_proxy = self.proxy.route(tls, host, port).filter(|_| !tls);
        prepare(&mut request, plain_proxy);
        let way = if guarded { &self.guarded } else { &self.trusted };
        let peer = request.uri().to_string();
        let authority = request.uri().authority().filter(|_| tls).map(ToString::to_string);
        let limit = limit.unwrap_or(self.timeouts.head + self.timeouts.connect * 4);
        let exchange = async {
            let pass = match &authority {
                Some(authority) => Some(way.first_contact.enter(authority).await),
                None => None,
            };
            let response = way.client.request(request).await;
            if let (Some(pass), Ok(_)) = (pass, &response) {
                pass.answered();
            }
            response
        };
        let response = match timeout(limit, exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(&error, &peer, idempotent)),
            Err(_) => {
                return Err(UpstreamError {
                    phase: Phase::Timeout,
                    message: format!("{peer} gave no answer within {} s", limit.as_secs_f32()),
                    retryable: idempotent,
                });
            }
        };
        if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) = (response.status(), plain_proxy) {
            let message = unauthorized_message(proxy, &offered_schemes(response.headers()));
            return Err(UpstreamError { phase: Phase::Proxy, message, retryable: false });
        }
        Ok(response)
    }

    /// The answer for the cache.
    pub(super) fn receive(&self, response: Response<Incoming>, peer: String) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        hop_by_hop::strip_response(&mut parts.headers);
        Response::from_parts(parts, IdleBody::new(body, self.timeouts.idle, peer).boxed())
    }

    /// The way to a URI, for people.
    pub(super) fn way_to(&self, uri: &Uri) -> String {
        target(uri).map_or_else(String::new, |(host, port, tls)| self.way_name(tls, host, port))
    }

    fn way_name(&self, tls: bool, host: &str, port: u16) -> String {
        self.proxy.route(tls, host, port).map_or_else(|| "direct".to_owned(), |proxy| format!("proxy {proxy}"))
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
fn prepare(request: &mut Request<Body>, plain_proxy: Option<&ProxyUrl>) {
    *request.version_mut() = Version::HTTP_11;
    request.extensions_mut().clear();
    let headers = request.headers_mut();
    hop_by_hop::strip_request(headers);
    headers.remove(HOST);
    if let Some(value) = plain_proxy.and_then(|proxy| proxy.authorization.clone()) {
        headers.insert(PROXY_AUTHORIZATION, value);
    }
}

fn is_idempotent(method: &Method) -> bool {
    // RFC 9110 section 9.2.2.
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE)
}

fn offered_schemes(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(PROXY_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok()?.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// The connector's own error where it failed, else what became of the exchange.
fn failure(error: &hyper_util::client::legacy::Error, peer: &str, idempotent: bool) -> UpstreamError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(next) = cause {
        if let Some(own) = next.downcast_ref::<UpstreamError>() {
            return UpstreamError { phase: own.phase, message: own.message.clone(), retryable: own.retryable };
        }
        cause = next.source();
    }
    UpstreamError {
        phase: Phase::Exchange,
        message: format!("{peer} gave no proper answer: {}", chain(error)),
        retryable: idempotent,
    }
}
