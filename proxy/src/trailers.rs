//! Fields after a body (RFC 9110 section 6.5): which of them may pass.
//!
//! They pass both ways where both peers can carry them. What the cache stores keeps none, and neither does the first
//! answer with it: section 6.5.1 leaves that to the recipient, and no index or package format needs them.

use http::{HeaderMap, HeaderName};

/// What a sender must not put there (section 6.5.1): a recipient that merged it into the header would be told
/// afterwards how to read, route, authorize or store what it has dealt with already.
const REFUSED: [&str; 49] = [
    // Framing and this connection.
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Routing.
    "forwarded",
    "host",
    "max-forwards",
    "via",
    // What the request asks for.
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    // Credentials and state.
    "authentication-info",
    "authorization",
    "cookie",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "set-cookie",
    "www-authenticate",
    // How to read the body.
    "accept-ranges",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-type",
    // Caches, and control of the answer.
    "age",
    "alt-svc",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "clear-site-data",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "pragma",
    "retry-after",
    "strict-transport-security",
    "vary",
];

/// Most bytes of a message's trailers; gRPC's are some hundred.
const MOST: usize = 16 * 1024;

/// The fields that may pass; none where they are too many. Statuses of gRPC, digests and the like, and what has no
/// registered meaning.
pub(crate) fn passing(trailers: HeaderMap) -> Option<HeaderMap> {
    let size: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > MOST {
        return None;
    }
    let mut left = trailers;
    let refused: Vec<HeaderName> = left.keys().filter(|name| !may_pass(name)).cloned().collect();
    for name in refused {
        left.remove(name);
    }
    Some(left).filter(|left| !left.is_empty())
}

fn may_pass(name: &HeaderName) -> bool {
    let name = name.as_str();
    !REFUSED.contains(&name) && !name.starts_with("x-forwarded-") && !name.starts_with("access-control-")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_would_change_the_message_is_dropped() {
        let mut map = HeaderMap::new();
        for name in ["grpc-status", "grpc-message", "content-digest", "server-timing", "x-checksum"] {
            map.insert(name, HeaderValue::from_static("0"));
        }
        let wanted = map.clone();
        for name in REFUSED.into_iter().chain(["x-forwarded-host"]) {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        assert_eq!(passing(map), Some(wanted));
    }

    #[test]
    fn nothing_is_left_of_what_is_too_large_or_all_refused() {
        let mut map = HeaderMap::new();
        map.insert("authorization", HeaderValue::from_static("Basic eDp5"));
        assert_eq!(passing(map), None);
        let mut map = HeaderMap::new();
        map.insert("x-long", HeaderValue::try_from("a".repeat(MOST)).unwrap());
        assert_eq!(passing(map), None);
    }
}
