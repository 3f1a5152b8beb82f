//! Sends requests towards their origins: the [`Origin`] behind the cache.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, TE, TRAILER};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::anonymize::Anonymize;
use super::auth::Auths;
use super::connector::{Io, Reach};
use super::dial::Dialer;
use super::failure::{Again, Failed, again, failure};
use super::idle_body::IdleBody;
use super::observe::{Event, note};
use super::route::{ProxyUrl, Route, Target, Upstream};
use super::tls::OriginTls;
use super::upload::{Reading, Upload};
use super::ways::{Way, Ways};
use crate::body::Body;
use crate::config::{Config, Timeouts};
use crate::flow::FlowRecorder;
use crate::guard::Guard;
use crate::hop_by_hop;
use crate::mirror::MirrorMap;
use crate::mirror::token::Tokens;
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};
use crate::redact;

/// The real network.
pub struct NetworkOrigin {
    pub(super) net: Arc<Net>,
}

/// What the requests under way share.
pub(super) struct Net {
    ways: Ways,
    upstream: Upstream,
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
            tls: OriginTls::new(config.extra_roots.clone(), &mirrors, config.timeouts.connect),
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
        let routes = self.net.upstream.candidates(&Target::tunnel(host, port)).await?;
        let route = routes.into_iter().next().unwrap_or_default();
        let stream = self.net.ways.get(&route, guest).connector.tunnel(host, port).await?;
        Ok((stream, route.to_string()))
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
                let peer = request.uri().to_string();
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
    /// Sends a request where its URI leads, and waits for the answer's head: `limit`, or as the settings say, counted
    /// from the last byte of its body. With `guarded`, only to what a guest may reach.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
        asking: &Asking<'_>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let flow = asking.flow;
        let (mut parts, body) = request.into_parts();
        let plan = self.plan(&parts.uri, asking.guarded, flow).await?;
        asking.goes(&plan.way.connector.route, &[]);
        let upload = Upload::new(body, parts.headers.contains_key(EXPECT), flow.clone());
        prepare(&mut parts);
        self.anonymize(&mut parts.headers);
        let limit = asking.limit.unwrap_or(self.timeouts.head + self.timeouts.connect * 4);
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
    pub(super) async fn plan(&self, uri: &Uri, guarded: bool, flow: &FlowRecorder) -> Result<Plan, UpstreamError> {
        let target = Target::of(uri).ok_or_else(|| UpstreamError {
            phase: Phase::Exchange,
            message: format!("{uri} is not an http or https URL with a host"),
            retryable: false,
        })?;
        let route = self.upstream.candidates(&target).await?.into_iter().next().unwrap_or_default();
        note(|| Event::Asked { url: redact::url(&uri.to_string()), way: route.to_string() });
        flow.asks(route.hops.last().map_or_else(|| authority(&target.host, target.port), ProxyUrl::authority));
        Ok(Plan { target, peer: uri.to_string(), way: self.ways.get(&route, guarded) })
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
        let way = plan.way.connector.route.to_string();
        response.extensions_mut().insert(Taken { way, passed: Vec::new() });
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
        Response::from_parts(parts, IdleBody::new(body, self.timeouts.idle, peer).telling(reading).boxed())
    }
}

/// Where one request goes.
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

/// On whose behalf a request is sent, and how.
pub(super) struct Asking<'a> {
    /// Only to what a guest may reach.
    pub(super) guarded: bool,
    /// How long to wait for the answer's head, if not as long as the settings say.
    pub(super) limit: Option<Duration>,
    pub(super) flow: &'a Arc<FlowRecorder>,
    /// What the flow's route is made of; `None` where the request is none of the client's.
    pub(super) label: Option<&'a Label>,
}

/// What a flow's route says beside the way taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Label {
    /// The mirror that is asked.
    pub(super) mirror: Option<String>,
    /// What was passed over before, and why.
    pub(super) passed: Vec<String>,
}

impl Label {
    /// As in `mirror http://m/ by proxy http://p:1 (not direct: no route; proxy http://q:1: refused)`.
    pub(super) fn name(&self, way: &str, passed: &[String]) -> String {
        let way = match &self.mirror {
            None => way.to_owned(),
            Some(mirror) if way == "direct" => format!("mirror {mirror}"),
            Some(mirror) => format!("mirror {mirror} by {way}"),
        };
        let others: Vec<&str> = self.passed.iter().chain(passed).map(String::as_str).collect();
        if others.is_empty() { way } else { format!("{way} (not {})", others.join("; ")) }
    }
}

/// The way that an answer came, among its extensions.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    pub(super) way: String,
    /// What was passed over on the way there, and why.
    pub(super) passed: Vec<String>,
}

impl Asking<'_> {
    /// Notes the way that the request goes.
    fn goes(&self, route: &Route, passed: &[String]) {
        if let Some(label) = self.label {
            self.flow.update(|flow| flow.route = label.name(&route.to_string(), passed));
        }
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
fn prepare(parts: &mut Parts) {
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
