//! What can go wrong in the proxy, and the one place where failures become answers.

use std::io;
use std::path::PathBuf;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use crate::body::{self, Body};
use crate::origin::{Phase, UpstreamError};
use crate::store::StoreError;

/// Why the proxy could not start, or listen.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The interception CA could not be read or made.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The cache could not be opened.
    #[error("cannot open the cache at {}", dir.display())]
    Cache {
        /// Folder of the cache.
        dir: PathBuf,
        /// What the store said.
        source: StoreError,
    },
    /// A listening socket could not be used.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
    /// The proxy has been told to stop.
    #[error("the proxy is shutting down")]
    Stopping,
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A host pattern.
    #[error("`{pattern}` is not a host pattern: {reason}")]
    HostPattern {
        /// As it was written.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A mirror.
    #[error("mirror `{from}` -> `{to}`: {reason}")]
    Mirror {
        /// The name or prefix replaced.
        from: String,
        /// What replaces it.
        to: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Credentials for a mirror. They are not repeated.
    #[error("the credentials cannot be used: {reason}")]
    Credentials {
        /// What is wrong.
        reason: &'static str,
    },
    /// A rule about paths.
    #[error("rule `{pattern}`: {reason}")]
    Rule {
        /// The regular expression.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// The address of an upstream proxy. It may hold a password, so it is not repeated.
    #[error("the upstream proxy's address (of {variable}) cannot be used: {reason}")]
    UpstreamProxy {
        /// Setting or environment variable it came from.
        variable: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Why there is no interception CA.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The key, or its folder, can be read by others.
    #[error("{} has mode {mode:o}, so others may read the CA's key; run `chmod {wanted:o} {}` if nobody has, or delete it to get a new one", path.display(), path.display())]
    Exposed {
        /// File or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// Belongs to somebody else.
    #[error("{} belongs to user id {owner}; the CA's key must be your own: choose another folder", path.display())]
    ForeignOwner {
        /// File or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate or key could not be made or read.
    #[error("cannot {action}: {message}")]
    Certificate {
        /// What was tried.
        action: &'static str,
        /// What the library said.
        message: String,
    },
}

/// A request refused before it reached the cache.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Status of the answer.
    pub status: StatusCode,
    /// Error type for Proxy-Status (RFC 9209 section 2.3).
    pub kind: &'static str,
    /// What, where and what next, for people.
    pub message: String,
}

impl Refusal {
    /// The request is not proper HTTP.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "http_request_error", message: message.into() }
    }

    /// A rule forbids the request.
    pub fn denied(message: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, kind: "http_request_denied", message: message.into() }
    }

    /// The answer to send.
    pub fn response(&self) -> Response<Body> {
        answer(self.status, self.kind, &self.message)
    }
}

/// The answer for a failure on the way to the origin. Every such failure goes through here.
pub fn rescue(error: &UpstreamError) -> Response<Body> {
    let (status, kind) = kind_of(error.phase);
    answer(status, kind, &error.message)
}

/// Says in `Proxy-Status` that upstream failed, for an answer that was found in spite of it.
pub(crate) fn admit(headers: &mut HeaderMap, error: &UpstreamError) {
    set_status(headers, kind_of(error.phase).1, &error.message);
}

/// The status of the answer, and the error type of RFC 9209 section 2.3.
fn kind_of(phase: Phase) -> (StatusCode, &'static str) {
    match phase {
        Phase::Denied => (StatusCode::FORBIDDEN, "destination_ip_prohibited"),
        Phase::Resolve => (StatusCode::BAD_GATEWAY, "dns_error"),
        Phase::Connect => (StatusCode::BAD_GATEWAY, "destination_unavailable"),
        Phase::Proxy => (StatusCode::BAD_GATEWAY, "proxy_internal_response"),
        Phase::Tls => (StatusCode::BAD_GATEWAY, "tls_certificate_error"),
        Phase::Exchange => (StatusCode::BAD_GATEWAY, "http_protocol_error"),
        Phase::Timeout => (StatusCode::GATEWAY_TIMEOUT, "http_response_timeout"),
    }
}

/// An answer of the proxy's own: plain text, and the Proxy-Status field of RFC 9209.
pub fn answer(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let mut response = Response::new(body::full(format!("larder: {message}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set_status(headers, kind, message);
    response
}

fn set_status(headers: &mut HeaderMap, kind: &str, message: &str) {
    let details: String = message
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] })
        .collect();
    if let Ok(value) = HeaderValue::from_str(&format!("larder; error={kind}; details=\"{details}\"")) {
        headers.insert(HeaderName::from_static("proxy-status"), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_cannot_break_out_of_the_field() {
        let response = answer(StatusCode::BAD_GATEWAY, "dns_error", "no \"name\"\r\nX: y");
        let status = response.headers()["proxy-status"].to_str().unwrap();
        assert_eq!(status, r#"larder; error=dns_error; details="no \"name\"??X: y""#);
    }
}
