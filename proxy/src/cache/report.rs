//! What the cache says about itself in answers: `Cache-Status` (RFC 9211) and `Proxy-Status` (RFC 9209).

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::body::{Body, full};
use crate::origin::{Phase, UpstreamError};

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Appends to `Cache-Status`: ours is the cache nearest to the client, so it comes last.
pub(super) fn cache_status(headers: &mut HeaderMap, parameters: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("larder; {parameters}")) {
        headers.append(CACHE_STATUS, value);
    }
}

/// An answer of our own, in plain text.
pub(super) fn message(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(text + "\n"));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer when upstream gave none.
pub(super) fn upstream_failed(error: &UpstreamError) -> Response<Body> {
    let (status, name) = match error.phase {
        Phase::Denied => (StatusCode::FORBIDDEN, "http_request_denied"),
        Phase::Resolve => (StatusCode::BAD_GATEWAY, "dns_error"),
        Phase::Connect | Phase::Proxy => (StatusCode::BAD_GATEWAY, "destination_unavailable"),
        Phase::Tls => (StatusCode::BAD_GATEWAY, "tls_protocol_error"),
        Phase::Exchange => (StatusCode::BAD_GATEWAY, "connection_terminated"),
        Phase::Timeout => (StatusCode::GATEWAY_TIMEOUT, "http_response_timeout"),
    };
    let mut response = message(status, error.message.clone());
    // A quoted string holds printable ASCII only (RFC 8941 section 3.3.3).
    let details: String = error
        .message
        .chars()
        .filter(|character| character.is_ascii_graphic() || *character == ' ')
        .flat_map(|character| match character {
            '"' | '\\' => vec!['\\', character],
            _ => vec![character],
        })
        .collect();
    if let Ok(value) = HeaderValue::from_str(&format!("larder; error={name}; details=\"{details}\"")) {
        response.headers_mut().insert(PROXY_STATUS, value);
    }
    response
}
