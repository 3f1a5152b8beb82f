//! Requests that get an HTTP/1.1 connection of their own: those that may turn it into something else, and those that
//! the pool cannot send.

use http::header::{CONNECTION, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::client::{NetworkOrigin, Plan, authority};
use super::connector::Io;
use super::failure::failure;
use super::upload::Upload;
use crate::body::{self, Body};
use crate::hop_by_hop;
use crate::origin::{RequestContext, UpstreamError};

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
        let (mut parts, body) = request.into_parts();
        let plan = self.plan(&parts.uri, context)?;
        parts.uri = plan.uri.clone();
        hop_by_hop::strip_request(&mut parts.headers);
        let upload = Upload::new(body, false, context.flow.clone());
        let response = self.alone(&plan, parts, &upload, Some(protocols), context).await?;
        if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Switch::Switched(response));
        }
        Ok(Switch::Answered(self.receive(response, &plan, &upload)))
    }

    /// Asks about the server as a whole: `OPTIONS *` (RFC 9110 section 9.3.7).
    pub(crate) async fn ask_server(
        &self,
        request: Request<Body>,
        context: &RequestContext,
    ) -> Result<Response<Body>, UpstreamError> {
        let (mut parts, _) = request.into_parts();
        let plan = self.plan(&parts.uri, context)?;
        parts.uri = Uri::from_static("*");
        hop_by_hop::strip_request(&mut parts.headers);
        let upload = Upload::new(body::empty(), false, context.flow.clone());
        let response = self.alone(&plan, parts, &upload, None, context).await?;
        Ok(self.receive(response, &plan, &upload))
    }

    /// Sends the request on a connection opened for it.
    pub(super) async fn alone(
        &self,
        plan: &Plan<'_>,
        mut parts: Parts,
        upload: &Upload,
        protocols: Option<&HeaderValue>,
        context: &RequestContext,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let stream = plan.way.connector.http1(plan.tls, &plan.host, plan.port).await?;
        if parts.method != Method::OPTIONS || parts.uri.path() != "*" {
            let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            parts.uri = Uri::try_from(target).unwrap_or_default();
        }
        let default = if plan.tls { 443 } else { 80 };
        let host = if plan.port == default { bracketed(&plan.host) } else { authority(&plan.host, plan.port) };
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
        let failed = |error: hyper::Error| upload.failure().unwrap_or_else(|| failure(&error, &plan.peer, &method));
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(256 * 1024).max_headers(256);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // It ends with the exchange: nobody else has the sender, and what reads the answer holds the rest.
        tokio::spawn(connection.with_upgrades());
        let response =
            upload.answer(sender.send_request(request), self.timeouts.head, &plan.peer).await?.map_err(failed)?;
        context.flow.answered(response.version(), response.status().as_u16());
        Ok(response)
    }
}

impl super::connector::Connector {
    /// A connection to an origin that speaks HTTP/1.1 on it.
    async fn http1(&self, tls: bool, host: &str, port: u16) -> Result<Box<dyn Io>, UpstreamError> {
        let stream = self.tunnel(tls, host, port).await?;
        if !tls {
            return Ok(stream);
        }
        Ok(Box::new(self.tls.handshake(host, stream, &[b"http/1.1"]).await?))
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
