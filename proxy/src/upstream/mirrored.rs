//! A request to whatever stands in for a public name: the mirrors in their order, until one has an answer.
//!
//! A mirror that cannot be reached, fails, is slow, or has not got it, is passed over. Those that were found failing lately
//! are asked last, and probed on the side. An absence that a mirror tells of holds where no other has the thing, also
//! when another could not be asked: they stand in for the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use url::Url;

use super::asking::{Asking, Label, Taken};
use super::client::Net;
use crate::body::{Body, empty};
use crate::mirror::back::strip_client_credentials;
use crate::mirror::credentials::Credentials;
use crate::mirror::health::{Change, Failure, Standing};
use crate::mirror::token::{self, Challenge};
use crate::mirror::{Mapped, Target, rewrite};
use crate::origin::{Phase, RequestContext, UpstreamError};

/// What an answer's status says about who gave it.
enum Verdict {
    /// It is the answer.
    Take,
    /// It is well, and has not got it.
    Lacks(String),
    /// It is not well.
    Fails(Failure, String),
    /// It does not take the credentials of the settings, which are no business of the client's.
    Refuses(String),
}

/// What came of asking so far.
#[derive(Default)]
struct Tried {
    /// Who was passed over, and why.
    passed: Vec<String>,
    /// The first answer that something is not there.
    absent: Option<(Mapped, Response<Incoming>)>,
    /// The first answer that tells of a failure.
    failing: Option<(Mapped, Response<Incoming>)>,
    slow: Option<Mapped>,
    error: Option<UpstreamError>,
}

impl Net {
    /// Asks the candidates, of which there is at least one.
    pub(super) async fn by_mirrors(
        self: &Arc<Self>,
        candidates: Vec<Mapped>,
        request: Request<Body>,
        context: &RequestContext,
    ) -> Result<Response<Body>, UpstreamError> {
        let (parts, body) = request.into_parts();
        let repeatable = body.is_end_stream() && parts.method.is_safe();
        let mut order = in_order(candidates, Instant::now());
        if repeatable {
            self.probe(&order, &parts, context);
        } else {
            // A body cannot be sent a second time, and a change must not be made twice.
            order.truncate(1);
        }
        let mut body = Some(body);
        let (mut tried, several) = (Tried::default(), order.len() > 1);
        let last = order.len().saturating_sub(1);
        for (index, mapped) in order.into_iter().enumerate() {
            let limit = (index < last).then_some(mapped.target.patience);
            let body = body.take().unwrap_or_else(empty);
            if let Some(response) = self.try_one(mapped, &parts, body, limit, context, &mut tried).await {
                return Ok(response);
            }
        }
        if let Some(mapped) = tried.slow.take()
            && let Some(response) = self.try_one(mapped, &parts, empty(), None, context, &mut tried).await
        {
            return Ok(response);
        }
        if let Some((mapped, response)) = tried.absent.or(tried.failing) {
            return Ok(self.answer(&mapped, response, &parts, &tried.passed, context));
        }
        let error = tried.error.unwrap_or_else(|| UpstreamError {
            phase: Phase::Exchange,
            message: "no mirror was asked".to_owned(),
            retryable: false,
        });
        if !several {
            return Err(error);
        }
        let host = parts.uri.host().unwrap_or_default();
        let message = format!("no mirror of {host} gave an answer: {}", tried.passed.join("; "));
        Err(UpstreamError { phase: error.phase, message, retryable: false })
    }

    /// Asks one; its answer, if that is the answer.
    async fn try_one(
        self: &Arc<Self>,
        mapped: Mapped,
        parts: &Parts,
        body: Body,
        limit: Option<Duration>,
        context: &RequestContext,
        tried: &mut Tried,
    ) -> Option<Response<Body>> {
        let label = label(&mapped, &tried.passed);
        let asked = self.ask(&mapped, parts, body, limit, context, Some(&label)).await;
        let target = mapped.target.clone();
        let response = match asked {
            Ok(response) => response,
            Err(error) => {
                note(&target, Err((Failure::Hard, &error.message)));
                tried.passed.push(format!("{target}: {}", error.message));
                if error.phase == Phase::Timeout && limit.is_some() {
                    tried.slow.get_or_insert(mapped);
                }
                tried.error.get_or_insert(error);
                return None;
            }
        };
        match judge(&target, &response) {
            Verdict::Take => {
                note(&target, Ok(()));
                return Some(self.answer(&mapped, response, parts, &tried.passed, context));
            }
            Verdict::Lacks(why) => {
                note(&target, Ok(()));
                tried.passed.push(format!("{target}: {why}"));
                tried.absent.get_or_insert((mapped, response));
            }
            Verdict::Fails(failure, why) => {
                note(&target, Err((failure, &why)));
                tried.passed.push(format!("{target}: {why}"));
                tried.failing.get_or_insert((mapped, response));
            }
            Verdict::Refuses(why) => {
                note(&target, Err((Failure::Hard, &why)));
                let message = format!("the mirror {target} {why}; look at `larder mirrors check`");
                tried.passed.push(format!("{target}: {why}"));
                tried.error.get_or_insert(UpstreamError { phase: Phase::Exchange, message, retryable: false });
            }
        }
        None
    }

    /// Makes an answer of a mirror's one of the public name.
    fn answer(
        &self,
        mapped: &Mapped,
        response: Response<Incoming>,
        parts: &Parts,
        passed: &[String],
        context: &RequestContext,
    ) -> Response<Body> {
        let taken = response.extensions().get::<Taken>().cloned().unwrap_or_default();
        let route = label(mapped, passed).name(&taken.way, &taken.passed);
        context.flow.update(|flow| {
            flow.route = route;
            flow.authorized |= mapped.target.credentials.is_some();
            flow.upstream_status = Some(response.status().as_u16());
        });
        let response = self.receive(response, mapped.uri.to_string());
        let (mut answer, body) = response.into_parts();
        let target = mapped.target.clone();
        let body = body
            .map_err(move |error| {
                // Whoever asks for the rest should not be sent to the same one again.
                note(&target, Err((Failure::Hard, &error.to_string())));
                error
            })
            .boxed();
        mapped.map_fields_back(&self.mirrors, &mut answer.headers);
        let mut asked = bare(mapped, parts);
        let body = if mapped.target.url().is_some() && rewrite::prepare(&mut asked) {
            rewrite::body(&mapped.spellings(&self.mirrors), answer.status, &mut answer.headers, body)
        } else {
            body
        };
        Response::from_parts(answer, body)
    }

    /// Sends the request to one mirror, with what that one may know.
    async fn ask(
        self: &Arc<Self>,
        mapped: &Mapped,
        parts: &Parts,
        body: Body,
        limit: Option<Duration>,
        context: &RequestContext,
        label: Option<&Label>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = bare(mapped, parts).map(|_| body);
        let asking =
            Asking { guarded: mapped.target.url().is_none() && context.guest, limit, flow: &context.flow, label };
        let Some(own) = mapped.target.url() else { return self.send(request, &asking).await };
        rewrite::prepare(&mut request);
        let public = Url::parse(&parts.uri.to_string()).ok();
        let passes = mapped.target.client_credentials || public.is_some_and(|public| is_as_good(&public, own));
        if !passes {
            strip_client_credentials(&mut request);
        }
        // What the settings hold is for fetching: a guest must not publish with it.
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads || request.headers().contains_key(AUTHORIZATION) {
            return self.send(request, &asking).await;
        }
        let token = self.tokens.get(own.as_str(), mapped.uri.path(), Instant::now());
        if let Some(value) = token.or_else(|| mapped.target.credentials.as_ref().map(Credentials::value)) {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let again = bare(mapped, parts);
        let fields = request.headers().clone();
        let response = self.send(request, &asking).await?;
        let challenge = Some(&response)
            .filter(|response| response.status() == StatusCode::UNAUTHORIZED && !mapped.target.client_credentials)
            .and_then(|response| Challenge::of(response.headers()));
        let Some(challenge) = challenge else { return Ok(response) };
        let Some(token) = self.token(&challenge, mapped, limit, context).await else { return Ok(response) };
        let mut request = again;
        *request.headers_mut() = fields;
        request.headers_mut().insert(AUTHORIZATION, token);
        self.send(request, &asking).await
    }

    /// Asks for a token, with the mirror's credentials if the realm is at the mirror itself.
    async fn token(
        self: &Arc<Self>,
        challenge: &Challenge,
        mapped: &Mapped,
        limit: Option<Duration>,
        context: &RequestContext,
    ) -> Option<HeaderValue> {
        let mut request = Request::new(empty());
        *request.uri_mut() = challenge.question()?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let at_home = mapped.target.is_home_of(challenge.realm());
        if let Some(credentials) = mapped.target.credentials.as_ref().filter(|_| at_home) {
            request.headers_mut().insert(AUTHORIZATION, credentials.value());
        }
        // Elsewhere, the mirror's word must not open to a guest what it could not reach itself.
        let asking = Asking { guarded: context.guest && !at_home, limit, flow: &context.flow, label: None };
        let response = self.send(request, &asking).await.ok()?;
        if response.status() != StatusCode::OK {
            tracing::debug!(mirror = %mapped.target, status = %response.status(), "no token");
            return None;
        }
        let body = tokio::time::timeout(
            limit.unwrap_or(crate::mirror::PATIENCE),
            Limited::new(response.into_body(), token::LARGEST).collect(),
        );
        let (value, lifetime) = token::read(&body.await.ok()?.ok()?.to_bytes())?;
        let mirror = mapped.target.to_string();
        self.tokens.put(&mirror, mapped.uri.path(), value.clone(), lifetime, Instant::now());
        Some(value)
    }

    /// Finds out about mirrors that were failing, if it is time to, while another one answers.
    fn probe(self: &Arc<Self>, candidates: &[Mapped], parts: &Parts, context: &RequestContext) {
        if candidates.len() < 2 {
            return;
        }
        for mapped in candidates.iter().filter(|mapped| mapped.target.health().begin_probe(Instant::now())) {
            let (net, mapped, context) = (self.clone(), mapped.clone(), context.clone());
            let mut head = Request::new(()).into_parts().0;
            head.method = Method::HEAD;
            head.uri = parts.uri.clone();
            tokio::spawn(async move {
                let limit = Some(mapped.target.patience);
                match net
                    .ask(&mapped, &head, empty(), limit, &context, None)
                    .await
                    .map(|answer| judge(&mapped.target, &answer))
                {
                    Ok(Verdict::Take | Verdict::Lacks(_)) => note(&mapped.target, Ok(())),
                    Ok(Verdict::Fails(failure, why)) => note(&mapped.target, Err((failure, &why))),
                    Ok(Verdict::Refuses(why)) => note(&mapped.target, Err((Failure::Hard, &why))),
                    Err(error) => note(&mapped.target, Err((Failure::Hard, &error.message))),
                }
            });
        }
    }
}

/// What the flow's route says of a mirror that is asked after others.
fn label(mapped: &Mapped, passed: &[String]) -> Label {
    let own = format!("{}: ", mapped.target);
    let others = passed.iter().filter(|passed| !passed.starts_with(&own)).cloned();
    Label { mirror: mapped.target.url().map(ToString::to_string), passed: others.collect() }
}

/// Those that are up in their order, then those that are not, in theirs.
fn in_order(candidates: Vec<Mapped>, now: Instant) -> Vec<Mapped> {
    let (mut up, rest): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|mapped| mapped.target.health().standing(now) == Standing::Up);
    up.extend(rest);
    up
}

/// The request for a mirror, without a body.
fn bare(mapped: &Mapped, parts: &Parts) -> Request<Body> {
    let mut request = Request::new(empty());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = mapped.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    *request.extensions_mut() = parts.extensions.clone();
    request
}

/// Whether what a client sends to the public name may be sent to the mirror: the same host, and no less secret.
pub(super) fn is_as_good(public: &Url, own: &Url) -> bool {
    let https = |url: &Url| url.scheme() == "https" && url.port().is_none();
    public.origin() == own.origin() || (public.host() == own.host() && https(own) && public.port().is_none())
}

fn judge(target: &Target, response: &Response<Incoming>) -> Verdict {
    let status = response.status();
    let has_credentials = target.credentials.is_some();
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if retry_after(response).is_some() => {
            let wish = retry_after(response).unwrap_or_default();
            Verdict::Fails(Failure::Busy(wish), format!("answers {status}"))
        }
        StatusCode::TOO_MANY_REQUESTS => Verdict::Fails(Failure::Soft, format!("answers {status}")),
        _ if status.is_server_error() => Verdict::Fails(Failure::Soft, format!("answers {status}")),
        StatusCode::UNAUTHORIZED if has_credentials => {
            Verdict::Refuses(format!("does not take the credentials of the settings ({status})"))
        }
        StatusCode::UNAUTHORIZED => Verdict::Lacks(format!("asks for credentials ({status})")),
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => {
            Verdict::Lacks(format!("has it not ({status})"))
        }
        _ => Verdict::Take,
    }
}

/// The seconds of a Retry-After; a date is not heeded.
fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Notes what came of a request, and tells what has changed.
fn note(target: &Target, outcome: Result<(), (Failure, &str)>) {
    let now = Instant::now();
    let change = match &outcome {
        Ok(()) => target.health().answered(now),
        Err((failure, why)) => target.health().failed(now, failure, *why),
    };
    match (change, outcome) {
        (Change::WentDown(pause), Err((_, why))) => {
            tracing::warn!("the mirror {target} is passed over for {} s: {why}", pause.as_secs());
        }
        (Change::CameBack, _) => tracing::warn!("the mirror {target} answers again"),
        _ => {}
    }
}
