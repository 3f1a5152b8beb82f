//! What a download needs to know of a response's head.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// The URL as it may be shown: without user name and password, and without the values of its query.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have a host, and so no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        url.set_query(Some("..."));
    }
    url.to_string()
}

/// The validator for `If-Range` (RFC 9110 13.1.5): a strong entity tag, or else the date of last modification.
pub(super) fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    match headers.get(ETAG) {
        Some(tag) if !tag.as_bytes().starts_with(b"W/") => Some(tag.clone()),
        Some(_) => None,
        None => headers.get(LAST_MODIFIED).cloned(),
    }
}

/// `Content-Length`, where it is one number.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    number(headers, &CONTENT_LENGTH)
}

/// First byte and length of the whole from `Content-Range: bytes FIRST-LAST/LENGTH`.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes")?.trim_start();
    let (range, length) = value.split_once('/')?;
    let (first, _last) = range.split_once('-')?;
    let length = if length.trim() == "*" { None } else { Some(length.trim().parse().ok()?) };
    Some((first.trim().parse().ok()?, length))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The first line of an error's body, when it is plain text: the proxy says there why.
pub(super) fn reason(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    const MAX: usize = 200;
    let kind = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.starts_with("text/plain") {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn ranges() {
        assert_eq!(content_range(&headers(CONTENT_RANGE, "bytes 5-9/10")), Some((5, Some(10))));
        assert_eq!(content_range(&headers(CONTENT_RANGE, "bytes 5-9/*")), Some((5, None)));
        for wrong in ["bytes */10", "items 0-1/2", "bytes 5/10", ""] {
            assert_eq!(content_range(&headers(CONTENT_RANGE, wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn only_a_strong_validator_resumes() {
        assert_eq!(validator(&headers(ETAG, "\"x\"")).unwrap(), "\"x\"");
        assert_eq!(validator(&headers(ETAG, "W/\"x\"")), None);
        assert!(validator(&headers(LAST_MODIFIED, "Sat, 11 Jul 2026 10:16:37 GMT")).is_some());
        assert_eq!(validator(&HeaderMap::new()), None);
    }

    #[test]
    fn credentials_are_not_shown() {
        let url = Url::parse("https://user:secret@example.org/a?token=secret").unwrap();
        assert_eq!(shown(&url), "https://example.org/a?...");
    }
}
