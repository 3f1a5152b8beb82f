//! The ways to a target, one after the other, until one leads there.
//!
//! What failed before anything was sent is tried by the next way, whatever it is; what was sent only where doing it
//! twice does no harm. Ways known to fail, or to be slow beside others, come last, and are looked at beside what is
//! asked, so that finding out costs nobody anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::EXPECT;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;

use super::anonymize::Anonymize;
use super::asking::{Asking, Taken};
use super::client::{Net, Plan, authority, prepare};
use super::connector::{HURRY, Io, Reached};
use super::failure::{Again, Failed, again};
use super::figures::Step;
use super::observe::{Event, note};
use super::patience::unlimited;
use super::route::{ProxyUrl, Route, Target};
use super::standing::Part;
use super::upload::Upload;
use crate::body::{self, Body};
use crate::flow::FlowRecorder;
use crate::identity::Identity;
use crate::in_flight::Flows;
use crate::mirror::health::Failure;
use crate::origin::{Phase, UpstreamError};
use crate::redact;

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Bytes that are not looked into.
    Tunnel,
    /// HTTP/1.1, in TLS where the target has it.
    Http1,
}

/// A connection, and how it came about.
pub(super) struct Opened {
    pub(super) target: Target,
    pub(super) stream: Box<dyn Io>,
    /// The way for people, with what was passed over and why.
    pub(super) way: String,
    /// Whom the first message goes to.
    pub(super) next: String,
    /// Whether a guest may not go there.
    pub(super) kept_from_guests: bool,
}

/// What came of the ways tried so far.
#[derive(Default)]
struct Tried {
    passed: Vec<String>,
    /// The first proxy's answer that tells of a failure.
    failing: Option<(Route, Response<Incoming>)>,
    /// The first way that took too long.
    slow: Option<Route>,
    error: Option<UpstreamError>,
}

impl Tried {
    fn pass_over(&mut self, route: &Route, error: UpstreamError) {
        note(|| Event::WayFailed { way: route.to_string(), why: error.message.clone() });
        self.passed.push(format!("{route}: {}", error.message));
        self.error.get_or_insert(error);
    }

    /// The error once every way has failed.
    fn error(self, host: &str) -> UpstreamError {
        let error = self.error.unwrap_or_else(|| UpstreamError {
            phase: Phase::Proxy,
            message: format!("no way is known to {host}"),
            retryable: false,
        });
        if self.passed.len() < 2 {
            return error;
        }
        UpstreamError { message: format!("no way led to {host}: {}", self.passed.join("; ")), ..error }
    }
}

impl Net {
    /// Sends a request where its URI leads, and waits for the answer's head: as long as is asked for, or as the
    /// settings say, counted from the last byte of its body.
    pub(super) async fn send(
        self: &Arc<Self>,
        request: Request<Body>,
        asking: &Asking<'_>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        let target = of(&parts.uri)?;
        let routes = self.arranged(&target, asking.guarded).await?;
        let is_repeatable = body.is_end_stream() && parts.method.is_safe();
        let upload = Upload::new(body, parts.headers.contains_key(EXPECT), asking.flow.clone());
        prepare(&mut parts);
        self.anonymize(&mut parts.headers);
        let mut tried = Tried::default();
        let last = routes.len().saturating_sub(1);
        for (index, route) in routes.into_iter().enumerate() {
            let hurry = (index < last).then_some(self.timeouts.patience);
            asking.goes(&target, &route, &tried.passed);
            note(|| Event::Asked { url: redact::url(&target.url()), way: route.to_string() });
            let plan = self.plan(&target, &route, asking.guarded);
            let answer = self.by(&plan, &parts, &upload, asking, hurry.map(|hurry| (hurry, is_repeatable))).await;
            asking.came(answer.as_ref().ok());
            match answer {
                Ok(answer) if hurry.is_some() && is_repeatable && is_of_gateway(&plan, &answer) => {
                    tried.passed.push(format!("{route}: answers {}", answer.status()));
                    tried.failing.get_or_insert((route, answer));
                }
                Ok(answer) => return Ok(taken(answer, &route, tried.passed)),
                Err(failed) => {
                    if !may_go_on(&failed, &parts.method, &upload) {
                        return Err(failed.0);
                    }
                    if failed.0.phase == Phase::Timeout && hurry.is_some() {
                        tried.slow.get_or_insert(route.clone());
                    }
                    tried.pass_over(&route, failed.0);
                }
            }
        }
        if let Some(route) = tried.slow.take() {
            asking.goes(&target, &route, &tried.passed);
            let plan = self.plan(&target, &route, asking.guarded);
            if let Ok(answer) = self.by(&plan, &parts, &upload, asking, None).await {
                asking.came(Some(&answer));
                return Ok(taken(answer, &route, tried.passed));
            }
        }
        match tried.failing.take() {
            Some((route, answer)) => Ok(taken(answer, &route, tried.passed)),
            None => Err(tried.error(&target.host)),
        }
    }

    /// Opens a connection for one use only.
    pub(super) async fn open(
        self: &Arc<Self>,
        target: Target,
        guarded: bool,
        purpose: Purpose,
    ) -> Result<Opened, UpstreamError> {
        let routes = self.arranged(&target, guarded).await?;
        let mut tried = Tried::default();
        let last = routes.len().saturating_sub(1);
        for (index, route) in routes.into_iter().enumerate() {
            let connector = self.ways.connector(&route, guarded);
            let opening = async {
                match purpose {
                    Purpose::Tunnel => connector.reach(&target.host, target.port).await,
                    Purpose::Http1 => connector.http1(&target).await,
                }
            };
            let opened = match (index < last).then_some(self.timeouts.patience) {
                Some(hurry) => HURRY.scope(hurry, opening).await,
                None => opening.await,
            };
            match opened {
                Ok(Reached { stream, kept_from_guests }) => {
                    let next = route.hops.first().map(ProxyUrl::authority);
                    let next = next.unwrap_or_else(|| authority(&target.host, target.port));
                    let way = named(&route, &tried.passed);
                    return Ok(Opened { target, stream, way, next, kept_from_guests });
                }
                Err(error) if error.phase == Phase::Denied => return Err(error),
                Err(error) => tried.pass_over(&route, error),
            }
        }
        Err(tried.error(&target.host))
    }

    /// The ways to a target as they are to be tried. Those to be looked at are, on the side.
    async fn arranged(self: &Arc<Self>, target: &Target, guarded: bool) -> Result<Vec<Route>, UpstreamError> {
        let found = self.upstream.candidates(target).await?;
        let found = if self.is_anonymous() { Anonymize::routes(found) } else { found };
        let arranged = self.ways.standings().arrange(found, &target.host, Instant::now());
        for route in arranged.probe {
            let (net, target) = (self.clone(), target.clone());
            tokio::spawn(async move { net.look_at(&target, &route, guarded).await });
        }
        Ok(arranged.routes)
    }

    fn plan(&self, target: &Target, route: &Route, guarded: bool) -> Plan {
        Plan { target: target.clone(), peer: redact::url(&target.url()), way: self.ways.get(route, guarded) }
    }

    /// Asks by one way; twice, where the first connection turned out to be no good. With `hurry`, a connection must
    /// be there within that, and, where the request can be repeated, the answer in three times that.
    async fn by(
        self: &Arc<Self>,
        plan: &Plan,
        parts: &Parts,
        upload: &Upload,
        asking: &Asking<'_>,
        hurry: Option<(Duration, bool)>,
    ) -> Result<Response<Incoming>, Failed> {
        let own = self.timeouts.head + self.timeouts.connect * 4;
        let limit = asking.limit.unwrap_or(own);
        let limit = match hurry {
            Some((hurry, true)) => limit.min(hurry * 3),
            _ => limit,
        };
        let asked = Box::pin(async {
            let failed = match self.attempt(plan, parts, upload, limit, asking.flow).await {
                Err(failed) => failed,
                Ok(answer) => return Ok(answer),
            };
            match again(failed.1.as_ref(), &parts.method, upload) {
                Again::No => Err(failed),
                Again::Yes => self.attempt(plan, parts, upload, limit, asking.flow).await,
                Again::Http1 => self.by_http1(plan, parts, upload, asking.flow).await.map_err(|error| (error, None)),
            }
        });
        let asked = async {
            match hurry {
                Some((hurry, _)) => HURRY.scope(hurry, asked).await,
                None => asked.await,
            }
        };
        let (answer, took) = unlimited(asked).await;
        self.judge(plan, took, &answer);
        answer
    }

    async fn by_http1(
        &self,
        plan: &Plan,
        parts: &Parts,
        upload: &Upload,
        flow: &FlowRecorder,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let Reached { stream, kept_from_guests } = plan.way.connector.http1(&plan.target).await?;
        let (way, next) = (String::new(), String::new());
        let opened = Opened { target: plan.target.clone(), stream, way, next, kept_from_guests };
        let mut copy = Request::new(()).into_parts().0;
        copy.method = parts.method.clone();
        copy.uri = parts.uri.clone();
        copy.headers = parts.headers.clone();
        self.alone(opened, copy, upload, None, flow).await
    }

    /// Notes what an exchange says of the way, beside what the connector saw: of a proxy that is sent whole requests
    /// more is not known before it answers.
    fn judge(&self, plan: &Plan, took: Duration, answer: &Result<Response<Incoming>, Failed>) {
        let route = &*plan.way.connector.route;
        let (standings, host, now) = (self.ways.standings(), plan.target.host.as_str(), Instant::now());
        let part = || Part::whole(route, host);
        match answer {
            Ok(answer) if is_of_gateway(plan, answer) => {
                standings.count(&part(), Step::Answer);
                standings.failed(&part(), &Failure::Soft, &format!("answers {}", answer.status()), now);
            }
            Ok(_) => {
                let took = plan.plain_proxy().map(|_| took);
                standings.answered(route, host, took, now);
            }
            Err((error, _)) if error.phase == Phase::ProxyAnswered(407) => {
                // To CONNECT it was counted there.
                if plan.plain_proxy().is_some() {
                    standings.count(&part(), Step::Login);
                }
                standings.failed(&part(), &Failure::Hard, &error.message, now);
            }
            // Slow or gone: it may be the origin, where others are asked by the same way.
            Err((error, _)) if matches!(error.phase, Phase::Timeout | Phase::Terminated | Phase::Incomplete) => {
                standings.count(&part(), Step::Answer);
                standings.failed(&part(), &Failure::Soft, &error.message, now);
            }
            Err(_) => {}
        }
    }

    /// Finds out how a way does by making a connection, or, by a proxy that takes whole requests, by asking for a head.
    async fn look_at(self: Arc<Self>, target: &Target, route: &Route, guarded: bool) {
        let plan = self.plan(target, route, guarded);
        let patience = self.timeouts.patience;
        if plan.plain_proxy().is_none() {
            // The connector notes what comes of it.
            let _ = HURRY.scope(patience, plan.way.connector.try_out(target)).await;
            return;
        }
        let Ok(uri) = Uri::try_from(target.url()) else { return };
        let mut parts = Request::new(()).into_parts().0;
        parts.method = Method::HEAD;
        parts.uri = uri;
        let flow = FlowRecorder::begin(Identity::default(), &Method::HEAD, target.url(), &Flows::new(Arc::new(|_| {})));
        let upload = Upload::new(body::empty(), false, flow.clone());
        let attempt = HURRY.scope(patience, self.attempt(&plan, &parts, &upload, patience * 3, &flow));
        let (answer, took) = unlimited(attempt).await;
        self.judge(&plan, took, &answer);
    }
}

/// What a URI leads to.
pub(super) fn of(uri: &Uri) -> Result<Target, UpstreamError> {
    Target::of(uri).ok_or_else(|| UpstreamError {
        phase: Phase::Exchange,
        message: format!("{uri} is not an http or https URL with a host"),
        retryable: false,
    })
}

/// A way for people, with what was passed over and why.
fn named(route: &Route, passed: &[String]) -> String {
    if passed.is_empty() { route.to_string() } else { format!("{route} (not {})", passed.join("; ")) }
}

fn taken(mut answer: Response<Incoming>, route: &Route, passed: Vec<String>) -> Response<Incoming> {
    answer.extensions_mut().insert(Taken { way: route.to_string(), passed });
    answer
}

/// Whether it may be a proxy's own word that it found no origin. Through a tunnel it is the origin that answers.
fn is_of_gateway(plan: &Plan, answer: &Response<Incoming>) -> bool {
    let told = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
    plan.plain_proxy().is_some() && told.contains(&answer.status())
}

/// Whether what failed by one way may be tried by another.
fn may_go_on((error, said): &Failed, method: &Method, upload: &Upload) -> bool {
    if error.phase == Phase::Denied || !upload.is_whole() {
        return false;
    }
    let is_unsent = said.as_ref().is_some_and(super::failure::ClientError::is_connect);
    if is_unsent || error.phase == Phase::ProxyAnswered(407) {
        return true;
    }
    match error.phase {
        // Where there is no connection nothing has been sent: those of NTLM and Negotiate are not of hyper's pool, which
        // would have said so above.
        Phase::Resolve
        | Phase::Connect
        | Phase::Unroutable
        | Phase::ConnectTimeout
        | Phase::Proxy
        | Phase::ProxyAnswered(_)
        | Phase::Tls
        | Phase::TlsHandshake
        | Phase::TlsAlert(_) => true,
        Phase::Terminated | Phase::Incomplete => method.is_idempotent(),
        Phase::Timeout | Phase::Exchange => method.is_safe(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
