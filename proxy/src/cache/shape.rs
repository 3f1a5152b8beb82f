//! From what is stored (or arriving) to what this client asked for: whole, part, head only, or 304.

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, SET_COOKIE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::policy::{condition, range};
use crate::rules::Nature;

/// An answer but for its body.
pub(super) struct Shape {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Bytes of the stored body to send, to the end where that is not known; `None` for no body.
    pub part: Option<(u64, Option<u64>)>,
}

/// Shapes an answer out of a stored head and a body of `size` bytes (`None`: not known yet).
pub(super) fn shape(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    stored: &HeaderMap,
    size: Option<u64>,
) -> Shape {
    let mut headers = stored.clone();
    headers.remove(CONTENT_LENGTH);
    if status == StatusCode::OK && condition::not_modified(request, stored) {
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_RANGE] {
            headers.remove(name);
        }
        return Shape { status: StatusCode::NOT_MODIFIED, headers, part: None };
    }
    if let Some(size) = size {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
        return Shape { status, headers, part: None };
    }
    if *method == Method::HEAD {
        return Shape { status, headers, part: None };
    }
    let Some(size) = size.filter(|_| status == StatusCode::OK) else {
        return Shape { status, headers, part: Some((0, size)) };
    };
    headers.entry(ACCEPT_RANGES).or_insert(HeaderValue::from_static("bytes"));
    let wanted = range::wanted(request, size);
    if !condition::range_allowed(request, stored) {
        return Shape { status, headers, part: Some((0, Some(size))) };
    }
    match wanted {
        range::Wanted::Whole => Shape { status, headers, part: Some((0, Some(size))) },
        range::Wanted::Part(from, to) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(to - from));
            set(&mut headers, format!("bytes {from}-{}/{size}", to - 1));
            Shape { status: StatusCode::PARTIAL_CONTENT, headers, part: Some((from, Some(to))) }
        }
        range::Wanted::Unsatisfiable => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
            headers.remove(CONTENT_TYPE);
            set(&mut headers, format!("bytes */{size}"));
            Shape { status: StatusCode::RANGE_NOT_SATISFIABLE, headers, part: None }
        }
    }
}

fn set(headers: &mut HeaderMap, range: String) {
    headers.insert(CONTENT_RANGE, HeaderValue::try_from(range).expect("digits and ASCII signs"));
}

/// The fields worth storing: none of one connection, and no cookie beside content that anybody gets.
pub(super) fn to_store(mut headers: HeaderMap, nature: Nature) -> HeaderMap {
    headers.remove(TRANSFER_ENCODING);
    for name in ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "proxy-authenticate"] {
        headers.remove(name);
    }
    if nature != Nature::Plain {
        headers.remove(SET_COOKIE);
    }
    headers
}
