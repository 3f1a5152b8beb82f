//! From what is stored (or arriving) to what this client asked for: whole, parts, head only, or 304.

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, SET_COOKIE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::link;
use crate::body::{Body, full};
use crate::field;
use crate::policy::{condition, range};
use crate::rules::Nature;

/// An answer but for its body.
pub(super) struct Shape {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub payload: Payload,
}

/// Which bytes of the object make the body.
pub(super) enum Payload {
    None,
    /// From the first to just before the second, or to the end where that is not known.
    Bytes(u64, Option<u64>),
    Multipart(Multipart),
}

/// Several parts, each with a head of its own (RFC 9110 section 14.6).
pub(super) struct Multipart {
    boundary: String,
    parts: Vec<(String, u64, u64)>,
    end: String,
}

impl Multipart {
    fn new(ranges: &[(u64, u64)], size: u64, kind: Option<&HeaderValue>) -> Self {
        // Random, so that no body can hold it.
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).expect("the library's generator is always seeded");
        let boundary = hex::encode(random);
        let kind = kind.and_then(|kind| kind.to_str().ok()).map(|kind| format!("Content-Type: {kind}\r\n"));
        let kind = kind.unwrap_or_default();
        let head =
            |from, to: u64| format!("\r\n--{boundary}\r\n{kind}Content-Range: bytes {from}-{}/{size}\r\n\r\n", to - 1);
        let parts = ranges.iter().map(|&(from, to)| (head(from, to), from, to)).collect();
        Self { parts, end: format!("\r\n--{boundary}--\r\n"), boundary }
    }

    fn len(&self) -> u64 {
        let parts: u64 = self.parts.iter().map(|(head, from, to)| head.len() as u64 + to - from).sum();
        parts + self.end.len() as u64
    }

    /// The bytes of the object that it has.
    pub(super) fn spans(&self) -> impl Iterator<Item = (u64, u64)> {
        self.parts.iter().map(|&(_, from, to)| (from, to))
    }

    /// The bodies that make it up, `bytes` giving those of the object.
    pub(super) fn into_bodies(self, mut bytes: impl FnMut(u64, u64) -> Body) -> Vec<Body> {
        let mut bodies = Vec::new();
        for (head, from, to) in self.parts {
            bodies.push(full(head));
            bodies.push(bytes(from, to));
        }
        bodies.push(full(self.end));
        bodies
    }
}

/// Shapes an answer out of a stored head and an object of `size` bytes (`None`: not known yet).
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
        return Shape { status: StatusCode::NOT_MODIFIED, headers, payload: Payload::None };
    }
    if let Some(size) = size {
        headers.insert(CONTENT_LENGTH, field::number(size));
    }
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
        return Shape { status, headers, payload: Payload::None };
    }
    if *method == Method::HEAD {
        return Shape { status, headers, payload: Payload::None };
    }
    let Some(size) = size.filter(|_| status == StatusCode::OK) else {
        return Shape { status, headers, payload: Payload::Bytes(0, size) };
    };
    headers.entry(ACCEPT_RANGES).or_insert(HeaderValue::from_static("bytes"));
    if condition::range_allowed(request, stored) {
        in_part(range::wanted(request, size), headers, size)
    } else {
        Shape { status, headers, payload: Payload::Bytes(0, Some(size)) }
    }
}

/// What a range makes of an answer (RFC 9110 sections 14.2, 15.3.7 and 15.5.17).
fn in_part(wanted: range::Wanted, mut headers: HeaderMap, size: u64) -> Shape {
    let (status, payload) = match wanted {
        range::Wanted::Whole => (StatusCode::OK, Payload::Bytes(0, Some(size))),
        range::Wanted::Part(from, to) => {
            headers.insert(CONTENT_LENGTH, field::number(to - from));
            set(&mut headers, format!("bytes {from}-{}/{size}", to - 1));
            (StatusCode::PARTIAL_CONTENT, Payload::Bytes(from, Some(to)))
        }
        range::Wanted::Parts(ranges) => {
            let parts = Multipart::new(&ranges, size, headers.get(CONTENT_TYPE));
            headers.insert(CONTENT_LENGTH, field::number(parts.len()));
            let kind = format!("multipart/byteranges; boundary={}", parts.boundary);
            headers.insert(CONTENT_TYPE, HeaderValue::try_from(kind).expect("ASCII"));
            (StatusCode::PARTIAL_CONTENT, Payload::Multipart(parts))
        }
        range::Wanted::Unsatisfiable => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
            headers.remove(CONTENT_TYPE);
            set(&mut headers, format!("bytes */{size}"));
            (StatusCode::RANGE_NOT_SATISFIABLE, Payload::None)
        }
    };
    Shape { status, headers, payload }
}

fn set(headers: &mut HeaderMap, range: String) {
    headers.insert(CONTENT_RANGE, HeaderValue::try_from(range).expect("digits and ASCII signs"));
}

/// The fields worth storing: none of one connection, and no cookie beside content that anybody gets.
pub(crate) fn to_store(mut headers: HeaderMap, nature: Nature) -> HeaderMap {
    headers.remove(TRANSFER_ENCODING);
    for name in ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "proxy-authenticate"] {
        headers.remove(name);
    }
    if nature != Nature::Plain {
        headers.remove(SET_COOKIE);
    }
    link::make_lasting(&mut headers);
    headers
}
