//! Requests that get an HTTP/1.1 connection of their own: those that may turn it into something else, and those that
//! the pool cannot send.

use std::sync::Arc;

use http::header::{CONNECTION, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use url::Url;

use super::asking::Label;
use super::client::{Net, NetworkOrigin, authority};
use super::connector::Reached;
use super::course::{Opened, Purpose, of};
use super::failure::failure;
use super::mirrored::is_as_good;
use super::origin_stream::KeptFromGuests;
use super::route::Target;
use super::upload::Upload;
use crate::body::{self, Body};
use crate::flow::FlowRecorder;
use crate::hop_by_hop;
use crate::mirror::back::strip_client_credentials;
use crate::origin::{RequestContext, UpstreamError};
use crate::redact;

/// What comes of asking an origin to switch protocols.
pub(crate) enum Switch {
    /// It answered 101: the head, and the connection with it.
    Switched(Response<Incoming>),
    /// It answered as if it had not been asked.
    Answered(Response<Body>),
}

impl NetworkOrigin {
    /// Asks the origin to switch to one of `protocols` (RFC 9110 section 7.8). Through a proxy upstream that takes a
    /// tunnel, for `http` too: a proxy need not know of the protocol.
    pub(crate) async fn switch(
        &self,
        request: Request<Body>,
        protocols: &HeaderValue,
        context: &RequestContext,
    ) -> Result<Switch, UpstreamError> {
        let (request, guarded, label) = self.net.map_once(request, context);
        let (mut parts, body) = request.into_parts();
        let peer = redact::url(&parts.uri.to_string());
        let opened = self.net.alone_to(&parts.uri, guarded, &label, context).await?;
        hop_by_hop::strip_request(&mut parts.headers);
        let upload = Upload::new(body, false, context.flow.clone());
        let response = self.net.alone(opened, parts, &upload, Some(protocols), &context.flow).await?;
        if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Switch::Switched(response));
        }
        Ok(Switch::Answered(self.net.receive(response, peer)))
    }

    /// Asks about the server as a whole: `OPTIONS *` (RFC 9110 section 9.3.7).
    pub(crate) async fn ask_server(
        &self,
        request: Request<Body>,
        context: &RequestContext,
    ) -> Result<Response<Body>, UpstreamError> {
        let (request, guarded, label) = self.net.map_once(request, context);
        let (mut parts, _) = request.into_parts();
        let peer = redact::url(&parts.uri.to_string());
        let opened = self.net.alone_to(&parts.uri, guarded, &label, context).await?;
        parts.uri = Uri::from_static("*");
        hop_by_hop::strip_request(&mut parts.headers);
        let upload = Upload::new(body::empty(), false, context.flow.clone());
        let response = self.net.alone(opened, parts, &upload, None, &context.flow).await?;
        Ok(self.net.receive(response, peer))
    }
}

impl Net {
    /// Maps the request to the first mirror that stands in for its host, where there is one; also says whether the
    /// restrictions for guests hold. What the settings hold for the mirror is for fetching, and not sent.
    fn map_once(&self, mut request: Request<Body>, context: &RequestContext) -> (Request<Body>, bool, Label) {
        let mapped = self.mirrors.candidates(request.uri()).and_then(|all| all.into_iter().next());
        let own = mapped.as_ref().and_then(|mapped| Some((mapped, mapped.target.url()?)));
        let Some((mapped, own)) = own else {
            return (request, context.guest, Label::default());
        };
        let public = Url::parse(&request.uri().to_string()).ok();
        if !mapped.target.client_credentials && !public.is_some_and(|public| is_as_good(&public, own)) {
            strip_client_credentials(&mut request);
        }
        *request.uri_mut() = mapped.uri.clone();
        (request, false, Label { mirror: Some(own.to_string()), passed: Vec::new() })
    }

    /// Opens a connection that one request gets for itself.
    async fn alone_to(
        self: &Arc<Self>,
        uri: &Uri,
        guarded: bool,
        label: &Label,
        context: &RequestContext,
    ) -> Result<Opened, UpstreamError> {
        let opened = self.open(of(uri)?, guarded, Purpose::Http1).await?;
        context.flow.update(|flow| flow.route = label.name(&opened.way, &[]));
        context.flow.asks(opened.next.clone());
        Ok(opened)
    }

    /// Sends the request on a connection opened for it.
    pub(super) async fn alone(
        &self,
        opened: Opened,
        mut parts: Parts,
        upload: &Upload,
        protocols: Option<&HeaderValue>,
        flow: &FlowRecorder,
    ) -> Result<Response<Incoming>, UpstreamError> {
        self.anonymize(&mut parts.headers);
        let Opened { target, stream, kept_from_guests, .. } = opened;
        let peer = redact::url(&target.url());
        if parts.method != Method::OPTIONS || parts.uri.path() != "*" {
            let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            parts.uri = Uri::try_from(target).unwrap_or_default();
        }
        let Target { tls, host, port, .. } = &target;
        let host = if *port == if *tls { 443 } else { 80 } { bracketed(host) } else { authority(host, *port) };
        if let Ok(host) = HeaderValue::try_from(host) {
            parts.headers.insert(HOST, host);
        }
        if let Some(protocols) = protocols {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, protocols.clone());
        } else {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        parts.extensions.clear();
        parts.version = http::Version::HTTP_11;
        let method = parts.method.clone();
        let mut request = Request::from_parts(parts, upload.body());
        upload.watch(&mut request);
        let failed = |error: hyper::Error| upload.failure().unwrap_or_else(|| failure(&error, &peer, &method));
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(256 * 1024).max_headers(256);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // It ends with the exchange: nobody else has the sender, and what reads the answer holds the rest.
        tokio::spawn(connection.with_upgrades());
        let mut response =
            upload.answer(sender.send_request(request), self.timeouts.head, &peer).await?.map_err(failed)?;
        flow.answered(response.version(), response.status().as_u16());
        response.extensions_mut().insert(Arc::new(upload.reading()));
        if kept_from_guests {
            response.extensions_mut().insert(KeptFromGuests);
        }
        Ok(response)
    }
}

impl super::connector::Connector {
    /// A connection to an origin that speaks HTTP/1.1 on it.
    pub(super) async fn http1(&self, target: &Target) -> Result<Reached, UpstreamError> {
        let reached = self.reach(&target.host, target.port).await?;
        if !target.tls {
            return Ok(reached);
        }
        let tls = self.reach.tls.handshake(&target.host, target.port, reached.stream, &[b"http/1.1"]).await?;
        Ok(Reached { stream: Box::new(tls), ..reached })
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
