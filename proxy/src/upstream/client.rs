//! Sends requests towards their origins: the [`Origin`] behind the cache.

use std::sync::Arc;

use http::header::{HOST, HeaderMap, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::connector::{Connector, Io};
use super::dial::Dialer;
use super::idle_body::{IdleBody, chain};
use super::proxy_connect::unauthorized_message;
use super::route::{ProxyUrl, UpstreamProxy, target};
use super::tls::OriginTls;
use crate::body::Body;
use crate::config::{Config, Timeouts};
use crate::guard::Guard;
use crate::hop_by_hop;
use crate::mirror::{self, Mapped, Mirror};
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};

/// The real network.
pub struct NetworkOrigin {
    guarded: Way,
    trusted: Way,
    mirrors: Vec<Mirror>,
    proxy: Arc<UpstreamProxy>,
    timeouts: Timeouts,
}

struct Way {
    connector: Connector,
    client: Client<Connector, Body>,
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
            .http2_initial_stream_window_size(2 * 1024 * 1024)
            .http2_initial_connection_window_size(8 * 1024 * 1024)
            .http2_keep_alive_interval(std::time::Duration::from_secs(20))
            .http2_keep_alive_timeout(std::time::Duration::from_secs(20))
            .build(connector.clone());
        Self { connector, client }
    }
}

impl NetworkOrigin {
    /// Reads nothing yet: roots are loaded by the first TLS connection.
    pub fn new(config: &Config, guard: Arc<Guard>) -> Self {
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
        let stream = way.connector.tunnel(host, port).await?;
        Ok((stream, route_name(self.proxy.route(true, host, port), None)))
    }

    async fn exchange(
        &self,
        mut request: Request<Body>,
        context: &RequestContext,
    ) -> Result<Response<Body>, UpstreamError> {
        let public = request.uri().clone();
        let mapped = mirror::map(&self.mirrors, &public);
        if let Some(mapped) = &mapped {
            *request.uri_mut() = mapped.uri.clone();
        }
        let idempotent = is_idempotent(request.method());
        let (host, port, tls) = target(request.uri()).ok_or_else(|| UpstreamError {
            phase: Phase::Exchange,
            message: format!("{public} is not an http or https URL with a host"),
            retryable: false,
        })?;
        let proxy = self.proxy.route(tls, host, port);
        let route = route_name(proxy, mapped.as_ref());
        context.flow.update(|flow| flow.route.clone_from(&route));
        prepare(&mut request, proxy.filter(|_| !tls));

        let plain_proxy = proxy.filter(|_| !tls);
        // What the user's configuration names is not for the guard to judge.
        let way = if context.guest && mapped.is_none() { &self.guarded } else { &self.trusted };
        let peer = request.uri().to_string();
        let limit = self.timeouts.head + self.timeouts.connect * 4;
        let response = match timeout(limit, way.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(&error, &peer, idempotent)),
            Err(_) => {
                return Err(UpstreamError {
                    phase: Phase::Timeout,
                    message: format!("{peer} gave no answer within {} s", limit.as_secs()),
                    retryable: idempotent,
                });
            }
        };
        context.flow.update(|flow| flow.upstream_status = Some(response.status().as_u16()));
        if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) = (response.status(), plain_proxy) {
            let message = unauthorized_message(proxy, &offered_schemes(response.headers()));
            return Err(UpstreamError { phase: Phase::Proxy, message, retryable: false });
        }
        Ok(self.receive(response, peer, mapped.as_ref()))
    }

    fn receive(&self, response: Response<Incoming>, peer: String, mapped: Option<&Mapped>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        hop_by_hop::strip_response(&mut parts.headers);
        if let Some(mapped) = mapped {
            let location = parts.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let back = location.and_then(|location| mapped.map_back(location));
            if let Some(value) = back.and_then(|back| HeaderValue::from_str(&back).ok()) {
                parts.headers.insert(LOCATION, value);
            }
        }
        Response::from_parts(parts, IdleBody::new(body, self.timeouts.idle, peer).boxed())
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
