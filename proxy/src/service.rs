//! One request through the proxy: make it canonical, record it, ask the cache, and watch the answer leave.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::body::{self, Body};
use crate::error::Refusal;
use crate::flow::{FlowRecorder, Outcome};
use crate::forward::{self, Scope};
use crate::hop_by_hop;
use crate::identity::Client;
use crate::origin::RequestContext;
use crate::redact;
use crate::sent_body::SentBody;
use crate::shared::Shared;
use crate::upstream::route::target;

/// Answers one request of a client; failures are answers too.
pub(crate) async fn respond(shared: &Shared, client: &Client, scope: &Scope, request: Request<Body>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let uri = forward::absolute_uri(&parts, scope)
        // What an index names by a mirror's own URL is judged, kept and fetched as what it stands for.
        .map(|uri| shared.origin.public(&uri).unwrap_or(uri))
        .and_then(|uri| check(shared, &parts, uri));
    let shown = uri.as_ref().map_or_else(|_| parts.uri.to_string(), Uri::to_string);
    let flow = FlowRecorder::begin(client.identity(), parts.method.as_str(), redact::url(&shown), shared.flows.clone());
    flow.update(|flow| {
        flow.version = format!("{:?}", parts.version);
        flow.intercepted = matches!(scope, Scope::Inside { tls: true, .. });
    });
    let waiting = Waiting(Some(flow.clone()));
    let head = parts.method == Method::HEAD;
    let response = match uri {
        Ok(uri) => {
            hop_by_hop::strip_request(&mut parts.headers);
            if let Some(value) = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
                parts.headers.insert(HOST, value);
            }
            hop_by_hop::add_via(&mut parts.headers, via_version(parts.version), &shared.via);
            parts.uri = uri;
            let context = RequestContext { flow: flow.clone(), guest: client.is_guest() };
            shared.cache.call(Request::from_parts(parts, body), context).await
        }
        Err(refusal) => {
            flow.outcome(Outcome::Denied, refusal.message.clone());
            refusal.response()
        }
    };
    waiting.over();
    finish(response, flow, head, &shared.via)
}

/// Rules that need the whole URI: loops, and the user's lists of hosts.
fn check(shared: &Shared, parts: &http::request::Parts, uri: Uri) -> Result<Uri, Refusal> {
    if hop_by_hop::has_passed(&parts.headers, &shared.via) {
        return Err(Refusal {
            status: StatusCode::LOOP_DETECTED,
            kind: "proxy_loop_detected",
            message: format!(
                "the request for {} has come back to this proxy; look at the upstream proxy and mirrors",
                redact::url(&uri.to_string())
            ),
        });
    }
    if let Some((host, port, _)) = target(&uri) {
        shared.check_access(host, port)?;
    }
    Ok(uri)
}

fn finish(response: Response<Body>, flow: Arc<FlowRecorder>, head: bool, via: &str) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    hop_by_hop::strip_response(&mut parts.headers);
    hop_by_hop::add_via(&mut parts.headers, "1.1", via);
    flow.update(|flow| flow.status = parts.status.as_u16());
    let body = if head { body::empty() } else { body };
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    flow.expect(body.size_hint().exact().or(announced));
    Response::from_parts(parts, SentBody::new(body, flow).boxed())
}

fn via_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        _ => "1.1",
    }
}

/// Marks the flow where the client goes away while the answer is being waited for (hyper drops the future).
struct Waiting(Option<Arc<FlowRecorder>>);

impl Waiting {
    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(flow) = &self.0 {
            flow.update(|flow| {
                flow.aborted = true;
                if flow.why.is_empty() {
                    "the client went away before the answer began".clone_into(&mut flow.why);
                }
            });
        }
    }
}
