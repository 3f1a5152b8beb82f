//! CONNECT: look inside, or pass the bytes on by rule.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::body::{self, Body};
use crate::error::{Refusal, rescue};
use crate::flow::{FlowRecorder, Outcome};
use crate::forward;
use crate::intercept::session::{self, Target};
use crate::redact;
use crate::server::Session;
use crate::tunnel;

/// Answers a CONNECT request; what follows on the connection is served by a task of its own.
pub(crate) async fn accept(session: &Session, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let shown = redact::url(&parts.uri.to_string());
    let (host, port) = match forward::connect_target(&parts).and_then(|target| permit(session, target)) {
        Ok(target) => target,
        Err(refusal) => return refuse(session, shown, &refusal),
    };
    let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = Request::from_parts(parts, body);
    let shared = session.shared.clone();
    let session = session.clone();
    if shared.is_tunnel(&host, port) {
        let (flow, held) = (tunnel::begin(&session, &host, port), session.held.clone());
        let upstream = match tunnel::open(&session, &host, port, &flow).await {
            Ok(upstream) => upstream,
            Err(error) => {
                let response = rescue(&error);
                flow.update(|flow| flow.status = response.status().as_u16());
                return response;
            }
        };
        shared.tasks.spawn(async move {
            let _held = held;
            match hyper::upgrade::on(request).await {
                Ok(client) => tunnel::copy(&session.shared, TokioIo::new(client), upstream, &flow).await,
                Err(error) => flow.outcome(Outcome::Error, format!("the client went away: {error}")),
            }
        });
    } else {
        shared.tasks.spawn(async move {
            if let Ok(client) = hyper::upgrade::on(request).await {
                let target = Target { host: Some(host), fallback: String::new(), port, agent };
                session::serve(session, TokioIo::new(client), target).await;
            }
        });
    }
    Response::new(body::empty())
}

fn permit(session: &Session, target: (String, u16)) -> Result<(String, u16), Refusal> {
    let (host, port) = &target;
    let config = &session.shared.config;
    let named = config.tunnel.iter().any(|pattern| pattern.port() == Some(*port) && pattern.matches(host, *port));
    if !named && !config.connect_ports.contains(port) {
        return Err(Refusal::denied(format!(
            "CONNECT to port {port} of {host} is refused; a rule tunnel = [\"{host}:{port}\"] would allow it"
        )));
    }
    session.shared.check_access(host, *port)?;
    Ok(target)
}

fn refuse(session: &Session, shown: String, refusal: &Refusal) -> Response<Body> {
    let flow: Arc<FlowRecorder> =
        FlowRecorder::begin(session.client.identity(), &Method::CONNECT, shown, &session.shared.flows);
    flow.outcome(Outcome::Denied, refusal.message.clone());
    flow.update(|flow| flow.status = refusal.status.as_u16());
    let mut response = refusal.response();
    if refusal.status == StatusCode::BAD_REQUEST {
        // A body may follow that nobody has read.
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response
}
