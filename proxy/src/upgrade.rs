//! Connections that a client turns into another protocol (RFC 9110 section 7.8), WebSocket above all (RFC 6455), also
//! on a stream of HTTP/2 (RFC 8441). The bytes that follow are passed on unseen, once the origin has agreed.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::body::{self, Body};
use crate::cache::Mode;
use crate::error::{Refusal, rescue};
use crate::flow::{FlowRecorder, Outcome};
use crate::hop_by_hop::options;
use crate::listener::Held;
use crate::origin::{Phase, RequestContext, UpstreamError};
use crate::service::Close;
use crate::shared::Shared;
use crate::tunnel;
use crate::upstream::alone::Switch;

/// What RFC 6455 section 1.3 appends to the key.
const WEBSOCKET: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's wish to switch protocols.
pub(crate) struct Upgrade {
    /// Those it offers, the preferred first.
    protocols: Vec<String>,
    client: OnUpgrade,
    /// The key we made up for a client whose HTTP/2 needs none.
    key: Option<HeaderValue>,
    /// The client's place, which it keeps while the way is open.
    held: Option<Arc<Held>>,
}

/// Marks a request that came as an extended CONNECT.
#[derive(Clone)]
struct Extended(HeaderValue);

/// Turns an extended CONNECT of HTTP/2 into the request it stands for (RFC 8441 section 5).
pub(crate) fn from_extended_connect(request: &mut Request<Incoming>, protocol: &str) -> Result<(), Refusal> {
    if protocol != "websocket" {
        return Err(Refusal {
            status: StatusCode::NOT_IMPLEMENTED,
            kind: "http_request_error",
            message: format!("an extended CONNECT can ask for `websocket` here, not for `{protocol}`"),
        });
    }
    let mut nonce = [0; 16];
    let made =
        SystemRandom::new().fill(&mut nonce).ok().and_then(|()| HeaderValue::try_from(STANDARD.encode(nonce)).ok());
    let key = made.ok_or_else(|| Refusal::malformed("the system has no random numbers"))?;
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_KEY, key.clone());
    request.extensions_mut().insert(Extended(key));
    Ok(())
}

/// Takes the wish out of a request. Where there is none that can be met, the request is answered as if there were
/// none, as section 7.8 allows: other versions of HTTP and TLS would hide the requests inside from this proxy, and
/// with a body it is not clear where the other protocol begins.
pub(crate) fn take(parts: &mut Parts, body: &Body) -> Option<Upgrade> {
    let client = parts.extensions.remove::<OnUpgrade>();
    let extended = parts.extensions.remove::<Extended>();
    let held = parts.extensions.remove::<Arc<Held>>();
    let upgradable = parts.version == Version::HTTP_11 || extended.is_some();
    let named = options(&parts.headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"));
    if !upgradable || !named || !body.is_end_stream() {
        return None;
    }
    let protocols: Vec<String> =
        options(&parts.headers, &UPGRADE).filter(|one| !is_http(one)).map(str::to_owned).collect();
    let client = client.filter(|_| !protocols.is_empty())?;
    Some(Upgrade { protocols, client, key: extended.map(|Extended(key)| key), held })
}

fn is_http(protocol: &str) -> bool {
    let name = protocol.split('/').next().unwrap_or_default();
    ["h2c", "h2", "http", "tls"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl Upgrade {
    /// Asks the origin, and opens the way between the two if it agrees.
    pub(crate) async fn pass(
        self,
        shared: &Arc<Shared>,
        request: Request<Body>,
        context: &RequestContext,
    ) -> Response<Body> {
        let flow = &context.flow;
        let offered = self.protocols.join(", ");
        let on_http2 = self.key.is_some();
        let result = match HeaderValue::try_from(&offered) {
            _ if shared.cache.mode() == Mode::Offline => Err(offline(&request, flow)),
            Ok(protocols) => shared.origin.switch(request, &protocols, context).await,
            Err(_) => Err(disagreed(&request.uri().to_string(), "was offered what is no protocol")),
        };
        let result = match result {
            Ok(Switch::Switched(response)) => self.open(shared, response, flow),
            Ok(Switch::Answered(response)) if self.key.is_some() && response.status().is_success() => {
                // To a client on HTTP/2 it would say that the way is open.
                Err(disagreed(&flow.hop().name, &format!("answered {} in place of switching", response.status())))
            }
            Ok(Switch::Answered(response)) => {
                flow.outcome(Outcome::Bypass, format!("the origin did not switch to {offered}"));
                Ok(response)
            }
            Err(error) => Err(error),
        };
        let mut response = result.unwrap_or_else(|error| {
            let outcome = if error.phase == Phase::Denied { Outcome::Denied } else { Outcome::Error };
            flow.outcome(outcome, error.message.clone());
            rescue(&error)
        });
        if response.status() != StatusCode::SWITCHING_PROTOCOLS && !on_http2 {
            // A client in a hurry may have sent what is not HTTP.
            response.extensions_mut().insert(Close);
        }
        response
    }

    /// The origin has agreed: checks to what, and lets the bytes pass from when the client has been told.
    fn open(
        self,
        shared: &Arc<Shared>,
        mut response: Response<Incoming>,
        flow: &Arc<FlowRecorder>,
    ) -> Result<Response<Body>, UpstreamError> {
        let name = flow.hop().name;
        let chosen: Vec<&str> = options(response.headers(), &UPGRADE).collect();
        let offered = |one: &&str| self.protocols.iter().any(|offer| offer.eq_ignore_ascii_case(one));
        if chosen.is_empty() || !chosen.iter().all(offered) {
            return Err(disagreed(&name, &format!("switched to `{}`, which was not offered", chosen.join(", "))));
        }
        let chosen = chosen.join(", ");
        let Ok(protocol) = HeaderValue::try_from(&chosen) else {
            return Err(disagreed(&name, "switched to what is no protocol"));
        };
        if self.key.as_ref().is_some_and(|key| !is_accepted(key, response.headers())) {
            return Err(disagreed(&name, "did not answer the WebSocket key"));
        }
        flow.outcome(Outcome::Tunnel, format!("switched to {chosen}, and passed on unseen"));
        let origin = hyper::upgrade::on(&mut response);
        let (shared, flow, client, held) = (shared.clone(), flow.clone(), self.client, self.held);
        let tasks = shared.tasks.clone();
        tasks.spawn(async move {
            let _held = held;
            let both = async { tokio::try_join!(client, origin) };
            let both = tokio::select! {
                both = both => both,
                () = shared.abort.cancelled() => return flow.update(|flow| flow.aborted = true),
            };
            match both {
                Ok((client, origin)) => {
                    tunnel::copy(&shared, TokioIo::new(client), TokioIo::new(origin), &flow).await;
                }
                Err(error) => flow.update(|flow| {
                    flow.aborted = true;
                    flow.why = format!("{}; it broke off: {error}", flow.why).into();
                }),
            }
        });
        let mut answer = Response::new(body::empty());
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        if self.key.is_some() {
            answer.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        } else {
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            answer.headers_mut().insert(UPGRADE, protocol);
        }
        Ok(answer)
    }
}

/// Whether the origin has proved that it read the key (RFC 6455 section 4.2.2).
fn is_accepted(key: &HeaderValue, answer: &HeaderMap) -> bool {
    let expected = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), WEBSOCKET.as_bytes()].concat());
    answer.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|value| value.as_bytes() == STANDARD.encode(expected).as_bytes())
}

fn disagreed(name: &str, what: &str) -> UpstreamError {
    UpstreamError { phase: Phase::Upgrade, message: format!("{name} {what}"), retryable: false }
}

fn offline(request: &Request<Body>, flow: &FlowRecorder) -> UpstreamError {
    flow.update(|flow| flow.offline_miss = true);
    let host = request.uri().host().unwrap_or_default();
    UpstreamError {
        phase: Phase::Denied,
        message: format!("nothing of a connection that switches protocols is cached, so {host} cannot be had offline"),
        retryable: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_is_accepted() {
        let mut answer = HeaderMap::new();
        answer.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(is_accepted(&HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="), &answer));
        assert!(!is_accepted(&HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZR=="), &answer));
    }

    #[test]
    fn http_by_another_name_is_not_passed_on() {
        for (protocol, expected) in [
            ("h2c", true),
            ("H2C", true),
            ("HTTP/2.0", true),
            ("TLS/1.0", true),
            ("websocket", false),
            ("SPDY/3.1", false),
        ] {
            assert_eq!(is_http(protocol), expected, "{protocol}");
        }
    }
}
