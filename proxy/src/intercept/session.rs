//! A connection whose TLS is ended here: through CONNECT, or one that took us for the origin.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use tokio_rustls::server::StartHandshake;

use super::hello::{self, Hello};
use super::leaf;
use super::refusal::{self, Handshake};
use crate::flow::{FlowRecorder, Outcome};
use crate::forward::Scope;
use crate::origin::BoxFuture;
use crate::prefixed::Prefixed;
use crate::server::{self, Protocol, Session};
use crate::shared::Shared;
use crate::tunnel;
use crate::upstream::connector::Io;

/// Where the client wants to go.
pub(crate) struct Target {
    /// As CONNECT named it; `None` on port 443 of the gateway, where the hello tells.
    pub(crate) host: Option<String>,
    /// Stands in where the hello names nothing: the resolver's name for the address, else the address.
    pub(crate) fallback: String,
    /// Port asked for.
    pub(crate) port: u16,
    /// The client's `User-Agent`, where CONNECT had one.
    pub(crate) agent: Option<String>,
}

impl Target {
    /// The host that the leaf is for. What CONNECT names counts; only where that is a bare address may the hello
    /// say which name is meant.
    fn decide(&self, sni: Option<String>) -> String {
        let connect = self.host.clone();
        match (connect, sni) {
            (Some(host), Some(sni)) if host.parse::<IpAddr>().is_ok() => sni,
            (Some(host), _) => host,
            (None, Some(sni)) => sni,
            (None, None) => self.fallback.clone(),
        }
    }
}

/// Serves the connection to its end. Boxed, because what is inside may lead here again as far as types go.
pub(crate) fn serve(session: Session, io: impl Io + 'static, target: Target) -> BoxFuture<'static, ()> {
    Box::pin(converse(session, io, target))
}

async fn converse(session: Session, io: impl Io + 'static, target: Target) {
    let limit = session.shared.config.timeouts.client;
    let stop = session.stop.clone();
    let read = tokio::select! {
        read = hello::read(io, limit) => read,
        () = stop.cancelled() => return,
    };
    match read {
        Ok((Hello::Tls { accepted, taken, sni, wants_chacha }, stream)) => {
            let host = target.decide(sni);
            // Where CONNECT named a covered host it never came here; an address or the gateway tells only now.
            if session.shared.is_tunnel(&host, target.port) {
                pass_on(&session, stream, &host, target.port).await;
            } else {
                let handshake = StartHandshake::from_parts(*accepted, stream.skip(taken));
                intercept(session, handshake, host, &target, wants_chacha).await;
            }
        }
        Ok((Hello::Http, stream)) if target.port != 443 && target.host.is_some() => {
            let host = target.decide(None);
            let scope = Scope::Inside { tls: false, host, port: target.port };
            server::serve(stream, Protocol::Http1, Session { scope, ..session }).await;
        }
        Ok((Hello::Http, mut stream)) => {
            let host = target.decide(None);
            let why = format!("the client speaks HTTP without TLS to {host} port {}; use an http:// URL", target.port);
            report(&session, &host, target.port, &why);
            let text = format!("larder: {why}\n");
            let head = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ";
            let _ = stream.write_all(format!("{head}{}\r\n\r\n{text}", text.len()).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Ok((Hello::Other(what), _)) => {
            let host = target.decide(None);
            let rule = rule(&host, target.port);
            let why = format!("the client sent {what} to {host}; if that is meant, {rule} passes its bytes on unseen");
            report(&session, &host, target.port, &why);
        }
        // Connections opened ahead and never used are no failure.
        Ok((Hello::Nothing, _)) => {}
        Err(error) => {
            let host = target.decide(None);
            let rule = rule(&host, target.port);
            let why = format!("the client of {host} {error}; where the server speaks first, {rule} lets it by");
            report(&session, &host, target.port, &why);
        }
    }
}

/// Ends TLS under a leaf for `host`, its hello read already, and serves what is inside.
async fn intercept<T: Io + 'static>(
    session: Session,
    handshake: StartHandshake<Prefixed<T>>,
    host: String,
    target: &Target,
    wants_chacha: bool,
) {
    let shared = &session.shared;
    let port = target.port;
    if let Err(refusal) = shared.check_access(&host, port) {
        let flow = report(&session, &host, port, &refusal.message);
        flow.outcome(Outcome::Denied, refusal.message);
        return;
    }
    let config = match shared.leaves.config(&host, Shared::now()) {
        Ok(config) if wants_chacha => leaf::in_client_order(&config),
        Ok(config) => config,
        Err(error) => {
            report(&session, &host, port, &error.to_string());
            return;
        }
    };
    let limit = shared.config.timeouts.client;
    match timeout(limit, handshake.into_stream(config)).await {
        Ok(Ok(stream)) => {
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let protocol = if h2 { Protocol::Http2 } else { Protocol::Http1 };
            let scope = Scope::Inside { tls: true, host, port };
            server::serve(stream, protocol, Session { scope, ..session }).await;
        }
        Ok(Err(error)) => {
            let why = match refusal::classify(&error) {
                Handshake::CaRefused(cause) => refusal::advice(&host, port, target.agent.as_deref(), &cause),
                Handshake::Failed(cause) => {
                    let rule = rule(&host, port);
                    format!("the client's TLS handshake for {host} failed: {cause}; {rule} passes its bytes on unseen")
                }
            };
            report(&session, &host, port, &why);
        }
        Err(_) => {
            let why = format!("the client of {host} did not finish its TLS handshake within {} s", limit.as_secs());
            report(&session, &host, port, &why);
        }
    }
}

async fn pass_on<T: Io + 'static>(session: &Session, stream: Prefixed<T>, host: &str, port: u16) {
    let flow = tunnel::begin(session, host, port);
    if let Err(refusal) = session.shared.check_access(host, port) {
        flow.outcome(Outcome::Denied, refusal.message);
        return;
    }
    if let Ok(upstream) = tunnel::open(session, host, port, &flow).await {
        tunnel::copy(&session.shared, stream, upstream, &flow).await;
    }
}

/// The rule to write for a host that must not be looked into.
fn rule(host: &str, port: u16) -> String {
    let pattern = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
    format!("the rule tunnel = [\"{pattern}\"] in larder.toml, or --tunnel={pattern},")
}

/// A flow for a connection that never came to a request.
fn report(session: &Session, host: &str, port: u16, why: &str) -> Arc<FlowRecorder> {
    let flow = tunnel::begin(session, host, port);
    flow.outcome(Outcome::Error, why.to_owned());
    flow.update(|flow| flow.aborted = true);
    flow
}
