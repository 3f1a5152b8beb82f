//! What the cache says about itself in answers: `Cache-Status` (RFC 9211).

use std::fmt::{self, Display, Formatter};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::body::{Body, full};
use crate::field;

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went on to the origin (RFC 9211 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    /// The cache has no part in it.
    Bypass,
    /// Its method.
    Method,
    /// Nothing is stored of the URL.
    UriMiss,
    /// Nothing that can answer it, for one reason or another; said where it did not go on either.
    Miss,
    /// Nothing that its fields select.
    VaryMiss,
    /// It asked for that itself.
    Request,
    /// What is stored is not fresh.
    Stale,
    /// Only other parts are stored.
    Partial,
}

impl Forward {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::Miss => "miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// The parameters of one answer. Either it was a hit, or it went on to the origin, or neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheStatus {
    pub hit: bool,
    pub forward: Option<Forward>,
    /// Status of the origin's answer, where it differs from what is served or is of interest.
    pub forward_status: Option<u16>,
    /// Seconds that it stays fresh; negative where it is stale.
    pub ttl: Option<i64>,
    /// Whether the origin's answer is being stored.
    pub stored: Option<bool>,
    /// Whether another request's answer was used.
    pub collapsed: bool,
    pub detail: Option<&'static str>,
}

impl CacheStatus {
    pub(super) const HIT: Self = Self {
        hit: true,
        forward: None,
        forward_status: None,
        ttl: None,
        stored: None,
        collapsed: false,
        detail: None,
    };

    pub(super) fn forwarded(why: Forward) -> Self {
        Self { forward: Some(why), ..Self::default() }
    }

    pub(super) fn answered(self, status: StatusCode) -> Self {
        Self { forward_status: Some(status.as_u16()), ..self }
    }

    pub(super) fn detail(self, detail: &'static str) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// Appends it to the field: this cache is the one nearest to the client, so it comes last.
    pub(super) fn append_to(&self, headers: &mut HeaderMap) {
        if let Some(value) = field::value(format_args!("{self}")) {
            headers.append(CACHE_STATUS, value);
        }
    }
}

impl Display for CacheStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("larder")?;
        if self.hit {
            f.write_str("; hit")?;
        }
        if let Some(forward) = self.forward {
            write!(f, "; fwd={}", forward.as_str())?;
        }
        if let Some(status) = self.forward_status {
            write!(f, "; fwd-status={status}")?;
        }
        if let Some(ttl) = self.ttl {
            write!(f, "; ttl={ttl}")?;
        }
        match self.stored {
            Some(true) => f.write_str("; stored")?,
            Some(false) => f.write_str("; stored=?0")?,
            None => {}
        }
        if self.collapsed {
            f.write_str("; collapsed")?;
        }
        self.detail.map_or(Ok(()), |detail| write!(f, "; detail={detail}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_in_the_order_of_the_standard() {
        let status = CacheStatus { ttl: Some(-3), stored: Some(true), collapsed: true, ..CacheStatus::default() };
        let status = CacheStatus { forward: Some(Forward::VaryMiss), ..status };
        let status = status.answered(StatusCode::OK).detail("x");
        assert_eq!(status.to_string(), "larder; fwd=vary-miss; fwd-status=200; ttl=-3; stored; collapsed; detail=x");
        assert_eq!(CacheStatus::HIT.to_string(), "larder; hit");
    }
}
