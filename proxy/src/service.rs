//! One request through the proxy: make it canonical, record it, ask the cache, and watch the answer leave.

use std::fmt::Write as _;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::body::{self, Body};
use crate::cache::{InFile, Mode};
use crate::direct::Outbox;
use crate::error::{self, Refusal};
use crate::flow::{FlowRecorder, Outcome};
use crate::forward::{self, Scope};
use crate::hop_by_hop::{self, Via};
use crate::identity::Client;
use crate::kept_body::KeptBody;
use crate::max_forwards;
use crate::origin::{Phase, RequestContext, UpstreamError};
use crate::redact;
use crate::sent_body::SentBody;
use crate::shared::Shared;
use crate::taking::Taking;
use crate::upgrade;
use crate::upstream::route::target;

/// What a client's connection does beside carrying an answer.
#[derive(Clone, Default)]
pub(crate) struct Line {
    /// Whether the client takes its answers.
    pub(crate) taking: Arc<Taking>,
    /// What it is to send of files itself.
    pub(crate) outbox: Option<Arc<Outbox>>,
}

/// Answers one request of a client; failures are answers too.
pub(crate) async fn respond(
    shared: &Arc<Shared>,
    client: &Client,
    scope: &Scope,
    line: &Line,
    request: Request<Body>,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let kept = parts.extensions.remove::<KeptBody>();
    let uri = forward::absolute_uri(&parts, scope)
        // What an index names by a mirror's own URL is judged, kept and fetched as what it stands for.
        .map(|uri| shared.origin.public(&uri).unwrap_or(uri))
        .and_then(|uri| check(shared, &parts, uri));
    let shown = redact::owned(text(uri.as_ref().unwrap_or(&parts.uri)));
    let flow = FlowRecorder::begin(client.identity(), &parts.method, shown, &shared.flows);
    flow.update(|flow| {
        flow.version = version_name(parts.version).into();
        flow.intercepted = matches!(scope, Scope::Inside { tls: true, .. });
    });
    let waiting = Waiting(Some(flow.clone()));
    let (head, version) = (parts.method == Method::HEAD, parts.version);
    let response = match uri {
        Ok(uri) => {
            let context = RequestContext { flow: flow.clone(), guest: client.is_guest() };
            pass_on(shared, parts, uri, body, context).await
        }
        Err(refusal) => {
            flow.outcome(Outcome::Denied, refusal.message.clone());
            let mut response = refusal.response();
            if refusal.status == StatusCode::BAD_REQUEST && version < Version::HTTP_2 {
                // Where its end is, its sender and we may see differently.
                response.extensions_mut().insert(Close);
            }
            response
        }
    };
    waiting.over();
    finish(response, flow, head, &shared.via, line).map(|body| body.keeping(kept).boxed())
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP",
    }
}

/// The same as `to_string`, which allocates for each part of a URI.
fn text(uri: &Uri) -> String {
    let part = |part: Option<&str>| part.map_or(0, str::len);
    let rest = part(uri.path_and_query().map(PathAndQuery::as_str));
    let length = part(uri.scheme_str()) + "://".len() + part(uri.authority().map(Authority::as_str)) + rest + 1;
    let mut text = String::with_capacity(length);
    let _ = write!(text, "{uri}");
    text
}

/// Sends the request the way it has to go: to the cache, past it to the origin, or no further.
async fn pass_on(
    shared: &Arc<Shared>,
    mut parts: Parts,
    uri: Uri,
    body: Body,
    context: RequestContext,
) -> Response<Body> {
    if hop_by_hop::expects_more(&parts.headers) {
        let message = "nothing but `100-continue` can be expected of this proxy";
        context.flow.outcome(Outcome::Denied, message);
        return error::answer(StatusCode::EXPECTATION_FAILED, "http_request_error", message);
    }
    match max_forwards::count_down(&parts.method, &mut parts.headers) {
        Ok(false) if uri.authority().is_some() => {}
        Ok(_) => {
            context.flow.outcome(Outcome::Bypass, "a question for the proxy itself");
            return max_forwards::answer(&parts, &uri);
        }
        Err(refusal) => {
            context.flow.outcome(Outcome::Denied, refusal.message.clone());
            return refusal.response();
        }
    }
    let about_server = forward::is_about_server(&parts);
    let upgrade = upgrade::take(&mut parts, &body);
    hop_by_hop::strip_request_but_wishes(&mut parts.headers, !body.is_end_stream());
    if let Some(host) = uri.authority().map(Authority::as_str)
        && parts.headers.get(HOST).is_none_or(|named| named != host)
        && let Ok(value) = HeaderValue::from_str(host)
    {
        parts.headers.insert(HOST, value);
    }
    shared.via.append_to(&mut parts.headers, parts.version);
    parts.uri = uri;
    let request = Request::from_parts(parts, body);
    // Boxed: a connection holds this future for as long as it lasts, and most of that time asks nothing.
    match upgrade {
        Some(upgrade) => Box::pin(upgrade.pass(shared, request, &context)).await,
        None if about_server => Box::pin(ask_server(shared, request, &context)).await,
        None => shared.cache.call(request, context).await,
    }
}

/// `OPTIONS *` goes to the origin past the cache.
async fn ask_server(shared: &Shared, request: Request<Body>, context: &RequestContext) -> Response<Body> {
    let why = "a question about the server as a whole";
    let result = if shared.cache.mode() == Mode::Offline {
        context.flow.update(|flow| flow.offline_miss = true);
        let message = format!("{why} cannot be asked offline");
        Err(UpstreamError { phase: Phase::Denied, message, retryable: false })
    } else {
        shared.origin.ask_server(request, context).await
    };
    match result {
        Ok(response) => {
            context.flow.outcome(Outcome::Bypass, why);
            response
        }
        Err(error) => {
            let outcome = if error.phase == Phase::Denied { Outcome::Denied } else { Outcome::Error };
            context.flow.outcome(outcome, error.message.clone());
            error::rescue(&error)
        }
    }
}

/// Rules that need the whole URI: loops, and the user's lists of hosts.
fn check(shared: &Shared, parts: &Parts, uri: Uri) -> Result<Uri, Refusal> {
    if shared.via.has_passed(&parts.headers) {
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

fn finish(response: Response<Body>, flow: Arc<FlowRecorder>, head: bool, via: &Via, line: &Line) -> Response<SentBody> {
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    // Only a switch that was agreed on comes here with this status.
    let switched = parts.headers.remove(UPGRADE).filter(|_| parts.status == StatusCode::SWITCHING_PROTOCOLS);
    hop_by_hop::strip_response(&mut parts.headers);
    if let Some(protocol) = switched {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(UPGRADE, protocol);
    }
    if parts.extensions.get::<Close>().is_some() {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let hop = flow.hop();
    error::name_next_hop(&parts.extensions, &mut parts.headers, &hop.name);
    via.append_to(&mut parts.headers, hop.version.unwrap_or(Version::HTTP_11));
    flow.update(|flow| flow.status = parts.status.as_u16());
    let body = match (parts.extensions.remove::<InFile>(), &line.outbox) {
        _ if head => body::empty(),
        (Some(in_file), Some(outbox)) => in_file.body(outbox.clone(), &flow),
        _ => body,
    };
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    flow.expect(body.size_hint().exact().or(announced));
    Response::from_parts(parts, SentBody::new(body, flow, line.taking.clone()))
}

/// Marks an answer after which the connection ends: what follows may not have been meant as a request.
#[derive(Clone, Copy)]
pub(crate) struct Close;

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
                    flow.why = "the client went away before the answer began".into();
                }
            });
        }
    }
}
