//! Sends requests towards their origins: the [`Origin`] behind the cache.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, TE, TRAILER};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::anonymize::Anonymize;
use super::asking::{Asking, Label};
use super::auth::Auths;
use super::connector::{Io, Reach};
use super::course::Purpose;
use super::dial::Dialer;
use super::failure::{Failed, failure};
use super::idle_body::IdleBody;
use super::observe::{Event, note};
use super::route::{ProxyUrl, Route, Target, Upstream};
use super::standing::Standings;
use super::tls::OriginTls;
use super::upload::{Reading, Upload};
use super::ways::{Way, Ways};
use crate::body::Body;
use crate::config::{Config, Timeouts};
use crate::flow::FlowRecorder;
use crate::guard::Guard;
use crate::hop_by_hop;
use crate::mirror::token::Tokens;
use crate::mirror::{Mapped, MirrorMap};
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};
use crate::redact;

/// The real network.
pub struct NetworkOrigin {
    pub(super) net: Arc<Net>,
}

/// What the requests under way share.
pub(super) struct Net {
    pub(super) ways: Ways,
    pub(super) upstream: Upstream,
    pub(super) mirrors: MirrorMap,
    /// For registries among the mirrors.
    pub(super) tokens: Tokens,
    anonymize: Option<Anonymize>,
    pub(super) timeouts: Timeouts,
}

impl NetworkOrigin {
    /// Reads nothing yet: roots are loaded by the first TLS connection.
    pub fn new(config: &Config, guard: &Arc<Guard>) -> Self {
        let mirrors = MirrorMap::new(config.mirrors.clone());
        let reach = Reach {
            auths: Auths::new(config.proxy_logins.clone(), config.secrets.clone()),
            dialer: Dialer { guard: guard.clone(), connect_timeout: config.timeouts.connect },
            tls: OriginTls::new(config.extra_roots.clone(), &mirrors, config.host_tls.clone(), config.timeouts.connect),
            standings: Standings::default(),
        };
        let net = Net {
            ways: Ways::new(Arc::new(reach)),
            upstream: config.upstream.clone(),
            mirrors,
            tokens: Tokens::default(),
            anonymize: config.anonymize.clone(),
            timeouts: config.timeouts,
        };
        Self { net: Arc::new(net) }
    }

    /// Opens a tunnel to `host:port`; also says by which way.
    pub(crate) async fn tunnel(
        &self,
        host: &str,
        port: u16,
        guest: bool,
    ) -> Result<(Box<dyn Io>, String), UpstreamError> {
        let opened = self.net.open(Target::tunnel(host, port), guest, Purpose::Tunnel).await?;
        Ok((opened.stream, opened.way))
    }

    /// The ways to a target, in the order of the settings.
    pub async fn candidates(&self, target: &Target) -> Result<Vec<Route>, UpstreamError> {
        self.net.upstream.candidates(target).await
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
                let peer = redact::url(&request.uri().to_string());
                let label = Label::default();
                let asking = Asking { guarded: context.guest, limit: None, flow: &context.flow, label: Some(&label) };
                let response = self.net.send(request, &asking).await?;
                context.flow.update(|flow| flow.upstream_status = Some(response.status().as_u16()));
                Ok(self.net.receive(response, peer))
            }
        }
    }
}

impl Net {
    /// Whether nothing is to tell who asks.
    pub(super) fn is_anonymous(&self) -> bool {
        self.anonymize.is_some()
    }

    /// Takes out of a request what tells who asks, where the settings say so.
    pub(super) fn anonymize(&self, headers: &mut HeaderMap) {
        if let Some(anonymize) = &self.anonymize {
            anonymize.apply(headers);
        }
    }

    /// Sends the request once, on a connection of the pool. With the error comes what hyper said, if it did.
    pub(super) async fn pooled(
        &self,
        plan: &Plan,
        parts: &Parts,
        upload: &Upload,
        limit: Duration,
        flow: &FlowRecorder,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::new(upload.body());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        upload.watch(&mut request);
        let authority = request.uri().authority().filter(|_| plan.target.tls).map(ToString::to_string);
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
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let message = format!("{} switched to another protocol, which nobody had asked for", plan.peer);
            return Err((UpstreamError { phase: Phase::Upgrade, message, retryable: false }, None));
        }
        Ok(response)
    }

    /// The answer for the cache.
    pub(super) fn receive(&self, response: Response<Incoming>, peer: String) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        let reading = parts.extensions.remove::<Arc<Reading>>();
        parts.extensions.clear();
        hop_by_hop::strip_response(&mut parts.headers);
        Response::from_parts(
            parts,
            IdleBody::new(body, self.timeouts.idle, peer).at_least(self.timeouts.min_rate).telling(reading).boxed(),
        )
    }
}

/// Where one request goes, by one way.
pub(super) struct Plan {
    pub(super) target: Target,
    /// The URI for people.
    pub(super) peer: String,
    pub(super) way: Arc<Way>,
}

impl Plan {
    /// The proxy that is sent whole requests: for `https` it makes a tunnel instead.
    pub(super) fn plain_proxy(&self) -> Option<&ProxyUrl> {
        self.way.connector.plain_proxy().filter(|_| !self.target.tls)
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

    fn is_kept_from_guests(&self, uri: &Uri) -> bool {
        let Some((host, port, _)) = super::route::target(uri) else { return false };
        let stands_in = |all: Vec<_>| all.iter().any(|mapped: &Mapped| mapped.target.url().is_some());
        self.net.ways.dialer().check_literal(host, port, true).is_err()
            && !self.net.mirrors.candidates(uri).is_some_and(stands_in)
    }
}

/// hyper writes Host (or `:authority`) from the URI, so that the two cannot differ.
pub(super) fn prepare(parts: &mut Parts) {
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
}

pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
