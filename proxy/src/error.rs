//! What can go wrong in the proxy, and the one place where failures become answers.

use std::io;
use std::path::PathBuf;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Response, StatusCode};

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
    /// A `User-Agent` of the user's choice.
    #[error("`{0}` cannot be sent as User-Agent: it may hold printable ASCII only")]
    UserAgent(String),
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
    /// A pinned key.
    #[error("{text} is not a pinned key: write `sha256//` and the base64 of its SHA-256, as curl's --pinnedpubkey")]
    Pin {
        /// What was written.
        text: String,
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
    let (status, kind) = classify(error.phase);
    let mut response = answer(status, kind, &error.message);
    let more = match error.phase {
        Phase::ProxyAnswered(status) => format!("; received-status={status}"),
        Phase::TlsAlert(alert) => format!("; alert-id={alert}"),
        _ => return response,
    };
    extend(response.headers_mut(), &more);
    response
}

/// Says in `Proxy-Status` that upstream failed, for an answer that was found in spite of it.
pub(crate) fn admit(headers: &mut HeaderMap, error: &UpstreamError) {
    let (_, kind) = classify(error.phase);
    if let Ok(value) = HeaderValue::from_str(&format!("larder; error={kind}; details={}", quoted(&error.message))) {
        headers.insert(PROXY_STATUS, value);
    }
}

/// Status of the answer and error type for a failure (RFC 9209 section 2.3). Its statuses are followed but where
/// the section recommends 503: to clients that means "come back later", and nobody knows whether that helps.
fn classify(phase: Phase) -> (StatusCode, &'static str) {
    let kind = match phase {
        Phase::Denied => return (StatusCode::FORBIDDEN, "destination_ip_prohibited"),
        Phase::Client => return (StatusCode::BAD_REQUEST, "http_request_error"),
        Phase::ClientTimeout => return (StatusCode::REQUEST_TIMEOUT, "http_request_error"),
        Phase::ConnectTimeout => return (StatusCode::GATEWAY_TIMEOUT, "connection_timeout"),
        Phase::Timeout => return (StatusCode::GATEWAY_TIMEOUT, "http_response_timeout"),
        Phase::Resolve => "dns_error",
        Phase::Connect | Phase::ProxyAnswered(_) => "connection_refused",
        Phase::Unroutable => "destination_ip_unroutable",
        Phase::Proxy => "destination_unavailable",
        Phase::Tls => "tls_certificate_error",
        Phase::TlsHandshake => "tls_protocol_error",
        Phase::TlsAlert(_) => "tls_alert_received",
        Phase::Exchange => "http_protocol_error",
        Phase::Terminated => "connection_terminated",
        Phase::Incomplete => "http_response_incomplete",
        Phase::HeadTooLarge => "http_response_header_section_size",
        Phase::Upgrade => "http_upgrade_failed",
    };
    (StatusCode::BAD_GATEWAY, kind)
}

/// An answer of the proxy's own: plain text, and the Proxy-Status field of RFC 9209.
pub fn answer(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let mut response = Response::new(body::full(format!("larder: {message}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&format!("larder; error={kind}; details={}", quoted(message))) {
        headers.insert(PROXY_STATUS, value);
    }
    response.extensions_mut().insert(Own);
    response
}

/// Adds to an answer of the proxy's own whom it had chosen to ask, where it had come so far.
pub(crate) fn name_next_hop(extensions: &Extensions, headers: &mut HeaderMap, next_hop: &str) {
    if extensions.get::<Own>().is_some() && !next_hop.is_empty() {
        extend(headers, &format!("; next-hop={}", quoted(next_hop)));
    }
}

fn extend(headers: &mut HeaderMap, parameters: &str) {
    let Some(value) = headers.get(PROXY_STATUS) else { return };
    let extended = [value.as_bytes(), parameters.as_bytes()].concat();
    if let Ok(value) = HeaderValue::from_bytes(&extended) {
        headers.insert(PROXY_STATUS, value);
    }
}

/// A string of a structured field (RFC 9651 section 3.3.3).
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] })
        .collect();
    format!("\"{escaped}\"")
}

/// Marks an answer that the proxy made itself.
#[derive(Clone, Copy)]
struct Own;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_cannot_break_out_of_the_field() {
        let response = answer(StatusCode::BAD_GATEWAY, "dns_error", "no \"name\"\r\nX: y");
        let status = response.headers()["proxy-status"].to_str().unwrap();
        assert_eq!(status, r#"larder; error=dns_error; details="no \"name\"??X: y""#);
    }

    #[test]
    fn a_failure_says_what_was_received_and_from_whom() {
        let error = UpstreamError { phase: Phase::ProxyAnswered(407), message: "no".to_owned(), retryable: false };
        let (mut parts, _) = rescue(&error).into_parts();
        name_next_hop(&parts.extensions, &mut parts.headers, "proxy.example.org:3128");
        let status = parts.headers["proxy-status"].to_str().unwrap();
        assert_eq!(
            status,
            r#"larder; error=connection_refused; details="no"; received-status=407; next-hop="proxy.example.org:3128""#
        );
    }
}
