//! Metrics and health over HTTP, on sockets of their own.
//!
//! A browser on this machine can be made to ask here by any page, under that page's own name for the address (DNS
//! rebinding): so it is the name in `Host` that decides, and nothing here changes anything.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Service;
use super::address::Socket;
use super::exposition::MEDIA_TYPE;
use super::health::Status;
use crate::error::{Context as _, Result};

/// Connections at a time; who watches has one.
const CONNECTIONS: usize = 32;
/// How long a connection may last: long enough for one that is kept between two looks.
const LIFETIME: Duration = Duration::from_mins(10);
/// How long a request's head may take.
const PATIENCE: Duration = Duration::from_secs(10);

const TEXT: &str = "text/plain; charset=utf-8";
const PEM: &str = "application/x-pem-file";
const JSON: &str = "application/json";

/// Serves on a socket for as long as the runtime lasts.
pub(super) fn serve(socket: Socket, service: &Arc<Service>) -> Result<()> {
    let what = || "cannot serve metrics and health".to_owned();
    let (service, places) = (service.clone(), Arc::new(Semaphore::new(CONNECTIONS)));
    match socket {
        Socket::Tcp(listener) => {
            listener.set_nonblocking(true).context(what)?;
            let listener = TcpListener::from_std(listener).context(what)?;
            tokio::spawn(async move {
                loop {
                    let Ok(place) = places.clone().acquire_owned().await else { return };
                    match listener.accept().await {
                        Ok((stream, peer)) if service.may_ask(peer.ip().to_canonical()) => {
                            let service = service.clone();
                            tokio::spawn(async move {
                                converse(stream, service).await;
                                drop(place);
                            });
                        }
                        Ok(_) => {}
                        Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
            });
        }
        Socket::Unix(listener, bound) => {
            listener.set_nonblocking(true).context(what)?;
            let listener = UnixListener::from_std(listener).context(what)?;
            tokio::spawn(async move {
                let _bound = bound;
                loop {
                    let Ok(place) = places.clone().acquire_owned().await else { return };
                    let Ok((stream, _)) = listener.accept().await else {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    let service = service.clone();
                    tokio::spawn(async move {
                        converse(stream, service).await;
                        drop(place);
                    });
                }
            });
        }
    }
    Ok(())
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: Arc<Service>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move {
            // The index and the disk may keep it waiting.
            let answer = tokio::task::spawn_blocking(move || answer(&request, &service)).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "it failed")))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(16 * 1024);
    let _ = timeout(LIFETIME, builder.serve_connection(TokioIo::new(stream), answer)).await;
}

fn answer<B>(request: &Request<B>, service: &Service) -> Response<Full<Bytes>> {
    if !is_own_name(request, &service.admin_rules().hosts) {
        let message = "this name is not one of this service's; ask by its address, or name it in `[proxy] admin_hosts`";
        return plain(StatusCode::MISDIRECTED_REQUEST, message);
    }
    if *request.method() != Method::GET && *request.method() != Method::HEAD {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "there is nothing here but to look");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match request.uri().path() {
        "/metrics" => with(StatusCode::OK, MEDIA_TYPE, service.metrics()),
        "/healthz" | "/readyz" => {
            let health = service.health();
            let ready = health.status != Status::Stopping;
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            with(status, JSON, serde_json::to_string(&health).unwrap_or_default() + "\n")
        }
        "/livez" => plain(StatusCode::OK, "ok"),
        "/ca.pem" => with(StatusCode::OK, PEM, service.proxy.ca_certificate_pem().to_owned()),
        "/" => plain(StatusCode::OK, "/metrics, /healthz, /readyz, /livez, /ca.pem"),
        _ => plain(StatusCode::NOT_FOUND, "there are /metrics, /healthz, /readyz, /livez and /ca.pem"),
    }
}

/// Whether the request names this service: by an address, which no page has for its name, or by a name it is known to
/// have.
fn is_own_name<B>(request: &Request<B>, hosts: &[String]) -> bool {
    let mut named = request.headers().get_all(HOST).iter();
    let (Some(value), None) = (named.next(), named.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    if text.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if bracketed.unwrap_or(text).parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = match text.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => text,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || hosts.contains(&name)
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    with(status, TEXT, format!("{text}\n"))
}

fn with(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_name_gets_nothing() {
        let own = |hosts: &[&str]| {
            let request = hosts.iter().fold(Request::builder(), |builder, host| builder.header(HOST, *host));
            is_own_name(&request.body(()).unwrap(), &["larder.example.org".to_owned()])
        };
        for host in [
            "127.0.0.1:9142",
            "127.0.0.1",
            "[::1]:9142",
            "[::1]",
            "localhost",
            "localhost:9142",
            "LOCALHOST.:1",
            "larder.example.org:9142",
            "10.2.3.4:80",
        ] {
            assert!(own(&[host]), "{host}");
        }
        for host in [
            "evil.example.net",
            "evil.example.net:9142",
            "localhost.evil.example.net",
            "",
            "127.0.0.1.evil.example.net",
        ] {
            assert!(!own(&[host]), "{host}");
        }
        assert!(!own(&[]) && !own(&["localhost", "evil.example.net"]));
    }
}
