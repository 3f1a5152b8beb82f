//! What the cache says about itself in answers: `Cache-Status` (RFC 9211).

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::body::{Body, full};

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

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
