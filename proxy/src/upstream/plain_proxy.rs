//! `http` requests by a proxy that is sent them whole, and may ask who is asking (RFC 9110 section 11.7).

use std::sync::Arc;
use std::time::Duration;

use http::header::{EXPECT, HOST, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::auth::{Conversation, Next, ProxyAuth, Scheme};
use super::bound::Own;
use super::client::{Net, Plan};
use super::failure::{Failed, failure};
use super::observe::{Event, note};
use super::proxy_connect::unauthorized;
use super::upload::Upload;
use crate::body;
use crate::flow::FlowRecorder;
use crate::origin::{Phase, UpstreamError};

/// The page that comes with a refusal is read up to here, to use the connection again.
const PAGE_LIMIT: usize = 256 * 1024;
/// The page may take no longer.
const PAGE_TIME: Duration = Duration::from_secs(10);
/// Connections tried for one request, where the proxy closes them while it asks.
const MOST_CONNECTIONS: usize = 4;

/// One request to a proxy.
struct Asking<'a> {
    plan: &'a Plan,
    parts: &'a Parts,
    /// As it is sent.
    target: String,
    upload: &'a Upload,
    limit: Duration,
    flow: &'a Arc<FlowRecorder>,
    auth: Arc<ProxyAuth>,
}

/// Why a connection did not do.
enum Trouble {
    /// The proxy asked, and closed it; the next brings what it wants.
    Asked,
    /// It broke; what hyper said.
    Broke(hyper::Error),
    Failed(UpstreamError),
}

impl Net {
    /// Sends the request by a way, and once more with credentials where a proxy asks for them. With the error comes
    /// what hyper said, if it did.
    pub(super) async fn attempt(
        &self,
        plan: &Plan,
        parts: &Parts,
        upload: &Upload,
        limit: Duration,
        flow: &Arc<FlowRecorder>,
    ) -> Result<Response<Incoming>, Failed> {
        let Some(proxy) = plan.plain_proxy() else {
            return self.pooled(plan, parts, upload, limit, flow).await;
        };
        let auth = plan.way.connector.reach.auths.of(proxy);
        let mut parts = parts.clone();
        if auth.may_ask() && upload.wait_for_leave() {
            parts.headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        let target = parts.uri.to_string();
        Asking { plan, parts: &parts, target, upload, limit, flow, auth }.run(self).await
    }
}

impl Asking<'_> {
    async fn run(self, net: &Net) -> Result<Response<Incoming>, Failed> {
        let mut conversation = self.auth.conversation();
        loop {
            // While waiting for another to find out, it may have turned out to be the connection.
            conversation.wait_for_turn().await;
            if self.auth.is_of_connection() {
                return self.on_own_connection(conversation).await.map_err(|error| (error, None));
            }
            let mut parts = self.parts.clone();
            self.authorize(&mut parts, &mut conversation).await.map_err(|error| (error, None))?;
            if conversation.sent().is_some_and(Scheme::is_of_connection) {
                conversation = self.auth.conversation();
                continue;
            }
            let response = net.pooled(self.plan, &parts, self.upload, self.limit, self.flow).await?;
            let asks = response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
            if asks || conversation.sent().is_some() {
                self.note(response.status(), &conversation);
            }
            if !asks {
                conversation.accepted(response.headers());
                return Ok(response);
            }
            let next = conversation.challenged(response.headers()).await.map_err(unauthorized);
            next.and_then(|_| self.can_repeat()).map_err(|error| (error, None))?;
            // hyper's pool has the connection back once this has been read.
            let _ = read_page(response).await;
        }
    }

    async fn authorize(&self, parts: &mut Parts, conversation: &mut Conversation) -> Result<(), UpstreamError> {
        let value = conversation.authorization(parts.method.as_str(), &self.target).await.map_err(unauthorized)?;
        if let Some(value) = value {
            parts.headers.insert(PROXY_AUTHORIZATION, value);
        }
        Ok(())
    }

    fn note(&self, status: StatusCode, conversation: &Conversation) {
        note(|| Event::Proxy {
            proxy: self.plan.plain_proxy().map(ToString::to_string).unwrap_or_default(),
            asked: format!("{} {}", self.parts.method, crate::redact::url(&self.target)),
            answer: status.to_string(),
            scheme: conversation.sent().map(|scheme| scheme.name().to_owned()),
        });
    }

    fn can_repeat(&self) -> Result<(), UpstreamError> {
        if self.upload.is_whole() {
            return Ok(());
        }
        let proxy = self.plan.plain_proxy().map(ToString::to_string).unwrap_or_default();
        let message = format!(
            "the upstream proxy {proxy} asked for authentication (407) when the request's body had been sent; send the \
             request again"
        );
        Err(UpstreamError { phase: Phase::ProxyAnswered(407), message, retryable: false })
    }

    /// Sends it on a connection that is authenticated, or will be.
    async fn on_own_connection(&self, conversation: Conversation) -> Result<Response<Incoming>, UpstreamError> {
        let connector = &self.plan.way.connector;
        // Connections are not of one target, as those of hyper's pool are.
        let target = &self.plan.target;
        connector.reach.dialer.check_literal(&target.host, target.port, connector.guarded)?;
        let mut first = Some(conversation);
        let mut connections = 0;
        while connections < MOST_CONNECTIONS {
            let kept = self.plan.way.bound.take();
            let is_kept = kept.is_some();
            let mut own = match kept {
                Some(own) => own,
                None => {
                    connections += 1;
                    let stream = connector.to_plain_proxy(&target.host, target.port).await?;
                    let conversation = first.take().unwrap_or_else(|| self.auth.conversation());
                    Own::new(stream, conversation).await.map_err(|error| self.failure(&error))?
                }
            };
            match self.converse(&mut own).await {
                Ok(response) => {
                    self.plan.way.bound.keep(own);
                    return Ok(response);
                }
                Err(Trouble::Asked) => first = Some(own.conversation),
                Err(Trouble::Broke(error)) if is_kept && self.upload.is_whole() && self.may_repeat(&error) => {}
                Err(Trouble::Broke(error)) => return Err(self.failure(&error)),
                Err(Trouble::Failed(error)) => return Err(error),
            }
        }
        Err(self.broken("closes each connection on which it asks for authentication (407)"))
    }

    /// Whether a request that was lost with its connection may be sent again.
    fn may_repeat(&self, error: &hyper::Error) -> bool {
        error.is_canceled() || self.parts.method.is_idempotent()
    }

    /// Sends it on one connection, until the answer is no question.
    async fn converse(&self, own: &mut Own) -> Result<Response<Incoming>, Trouble> {
        // Whether the proxy may have closed the connection behind its question.
        let mut may_close = false;
        loop {
            let mut parts = self.parts.clone();
            self.authorize(&mut parts, &mut own.conversation).await.map_err(Trouble::Failed)?;
            // Only a 407 can follow, so a body would be sent in vain; and hyper would close behind one it may not send.
            let is_probe = own.conversation.is_opening() && !self.upload.is_empty();
            let response = match self.exchange(own, parts, is_probe).await {
                Err(Trouble::Broke(error)) if may_close && self.upload.is_whole() && self.may_repeat(&error) => {
                    return Err(Trouble::Asked);
                }
                exchanged => exchanged?,
            };
            self.note(response.status(), &own.conversation);
            let asks = response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
            if !asks {
                own.conversation.accepted(response.headers());
                if !is_probe {
                    return Ok(response);
                }
            }
            let next = if asks {
                own.conversation
                    .challenged(response.headers())
                    .await
                    .map_err(|error| Trouble::Failed(unauthorized(error)))?
            } else {
                Next::Any
            };
            self.can_repeat().map_err(Trouble::Failed)?;
            let is_open = read_page(response).await
                && timeout(PAGE_TIME, own.sender.ready()).await.is_ok_and(|ready| ready.is_ok());
            match next {
                _ if is_open => may_close = next == Next::Any,
                Next::Any => return Err(Trouble::Asked),
                Next::Same => {
                    let what = "closed the connection in the middle of the authentication";
                    return Err(Trouble::Failed(self.broken(what)));
                }
            }
        }
    }

    /// One request and its answer. A probe has the same target, and no body.
    async fn exchange(&self, own: &mut Own, mut parts: Parts, is_probe: bool) -> Result<Response<Incoming>, Trouble> {
        parts.version = http::Version::HTTP_11;
        if let Some(host) = parts.uri.authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok()) {
            parts.headers.insert(HOST, host);
        }
        let empty = Upload::new(body::empty(), false, self.flow.clone());
        let upload = if is_probe { &empty } else { self.upload };
        if is_probe {
            parts.method = Method::HEAD;
            parts.headers.remove(EXPECT);
            parts.headers.remove(http::header::CONTENT_LENGTH);
        }
        let mut request = Request::from_parts(parts, upload.body());
        upload.watch(&mut request);
        let answer = upload.answer(own.sender.send_request(request), self.limit, &self.plan.peer).await;
        let mut response = match answer.map_err(Trouble::Failed)? {
            Ok(response) => response,
            Err(error) => return Err(upload.failure().map_or(Trouble::Broke(error), Trouble::Failed)),
        };
        self.flow.answered(response.version(), response.status().as_u16());
        note(|| Event::Answer { status: response.status().as_u16(), version: format!("{:?}", response.version()) });
        response.extensions_mut().insert(Arc::new(upload.reading()));
        Ok(response)
    }

    fn failure(&self, error: &hyper::Error) -> UpstreamError {
        self.upload.failure().unwrap_or_else(|| failure(error, &self.plan.peer, &self.parts.method))
    }

    fn broken(&self, what: &str) -> UpstreamError {
        let proxy = self.plan.plain_proxy().map(ToString::to_string).unwrap_or_default();
        UpstreamError { phase: Phase::Proxy, message: format!("the upstream proxy {proxy} {what}"), retryable: false }
    }
}

/// Reads what comes with a refusal to its end, so that its connection can be used again. Whether it came to that.
async fn read_page(response: Response<Incoming>) -> bool {
    let page = Limited::new(response.into_body(), PAGE_LIMIT).collect();
    timeout(PAGE_TIME, page).await.is_ok_and(|page| page.is_ok())
}
