//! Puts the public name in place of a mirror's own in indexes.
//!
//! A repository manager writes its own URL into what it passes on: `dist.tarball` of npm's packuments, links of simple
//! pages, `dl` of cargo's `config.json`. The cache keeps what would be wrong at another place, and a lock file made in a
//! guest would name a host that nobody else knows; so these become public URLs on the way in. What a mirror passes on
//! unchanged does not hold its URL, and stays as it is to the byte.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, RANGE,
};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use regex::bytes::Regex;

use crate::body::Body;

/// Documents in which managers write URLs. Manifests of OCI are not among them: their digest is their name.
const TYPES: [&str; 7] = [
    "application/json",
    "application/vnd.npm.install-v1+json",
    "application/vnd.pypi.simple.v1+json",
    "application/vnd.pypi.simple.v1+html",
    "text/html",
    "application/xml",
    "text/xml",
];

/// Digests of the body as the mirror sends it.
const DIGESTS: [&str; 4] = ["content-md5", "digest", "content-digest", "repr-digest"];

/// Whether an answer to this could be an index with URLs in it. Asks for it without a coding then: in one, nothing can
/// be found.
pub(crate) fn prepare(request: &mut Request<Body>) -> bool {
    let wanted = *request.method() == Method::GET
        && !request.headers().contains_key(RANGE)
        && may_hold_urls(request.uri().path());
    if wanted && request.headers().contains_key(ACCEPT_ENCODING) {
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    wanted
}

fn may_hold_urls(path: &str) -> bool {
    if path.contains("/by-hash/") || path.contains("/blobs/") || path.contains("/manifests/") || path.contains("/@v/") {
        return false;
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    match name.rsplit_once('.') {
        None => true,
        // A package of npm may have a dot in its name, and so may a project of PyPI.
        Some((_, ending)) => !PACKAGES.contains(&ending.to_ascii_lowercase().as_str()),
    }
}

/// Endings of what is no index.
const PACKAGES: [&str; 30] = [
    "deb", "udeb", "ddeb", "dsc", "rpm", "apk", "whl", "tgz", "tar", "gz", "xz", "bz2", "zst", "lz4", "zip", "crate",
    "jar", "pom", "aar", "war", "gem", "nupkg", "iso", "img", "qcow2", "exe", "asc", "sig", "gpg", "metadata",
];

/// Rewrites an answer to a request that [`prepare`] found to be of that kind.
pub(crate) fn body(spellings: &[(String, String)], status: StatusCode, headers: &mut HeaderMap, body: Body) -> Body {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let coded = headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
    if status != StatusCode::OK || coded || !TYPES.contains(&media.as_str()) {
        return body;
    }
    let Some(replacer) = Replacer::new(spellings) else { return body };
    for name in [CONTENT_LENGTH, ACCEPT_RANGES] {
        headers.remove(name);
    }
    for name in DIGESTS {
        headers.remove(HeaderName::from_static(name));
    }
    Rewritten { inner: body, replacer, waiting: VecDeque::new(), ended: false }.boxed()
}

/// Replaces in a stream, whose pieces may end anywhere.
struct Replacer {
    pattern: Regex,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    longest: usize,
    kept: BytesMut,
}

impl Replacer {
    fn new(spellings: &[(String, String)]) -> Option<Self> {
        // JSON may write a slash as `\/`.
        let escaped = |text: &str| text.replace('/', "\\/");
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = spellings
            .iter()
            .flat_map(|(own, public)| [(own.clone(), public.clone()), (escaped(own), escaped(public))])
            .map(|(own, public)| (own.into_bytes(), public.into_bytes()))
            .collect();
        // Of two that begin alike the longer is meant.
        pairs.sort_by_key(|(own, _)| std::cmp::Reverse(own.len()));
        let alternatives: Vec<String> =
            pairs.iter().map(|(own, _)| regex::escape(&String::from_utf8_lossy(own))).collect();
        let pattern = Regex::new(&alternatives.join("|")).ok()?;
        let longest = pairs.first()?.0.len();
        Some(Self { pattern, pairs, longest, kept: BytesMut::new() })
    }

    /// Takes a piece, and gives what is certain by then.
    fn push(&mut self, piece: &[u8], last: bool) -> Bytes {
        self.kept.extend_from_slice(piece);
        let data = std::mem::take(&mut self.kept);
        let mut out = BytesMut::with_capacity(data.len());
        let mut done = 0;
        let mut from = 0;
        while let Some(found) = self.pattern.find_at(&data, from) {
            match data.get(found.end()) {
                // What follows is not there yet.
                None if !last => break,
                Some(next) if !ends_a_prefix(*next) => from = found.start() + 1,
                _ => {
                    out.extend_from_slice(&data[done..found.start()]);
                    let own = found.as_bytes();
                    let public = self.pairs.iter().find(|(known, _)| known == own).map_or(own, |(_, public)| public);
                    out.extend_from_slice(public);
                    done = found.end();
                    from = done;
                }
            }
        }
        // The end may be the beginning of a mention.
        let certain = if last { data.len() } else { data.len().saturating_sub(self.longest).max(done) };
        out.extend_from_slice(&data[done..certain]);
        self.kept.extend_from_slice(&data[certain..]);
        out.freeze()
    }
}

/// Whether a URL's prefix ends before this byte: `http://m/npm` is not mentioned in `http://m/npm-local`.
fn ends_a_prefix(next: u8) -> bool {
    matches!(next, b'/' | b'"' | b'\'' | b'<' | b'>' | b'#' | b'?' | b'&' | b'\\' | b')' | b',')
        || next.is_ascii_whitespace()
}

struct Rewritten {
    inner: Body,
    replacer: Replacer,
    /// What comes after the last of the data: trailers.
    waiting: VecDeque<Frame<Bytes>>,
    ended: bool,
}

impl http_body::Body for Rewritten {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(this.waiting.pop_front().map(Ok));
            }
            let data = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                None => {
                    this.ended = true;
                    this.replacer.push(&[], true)
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.replacer.push(&data, false),
                    Err(other) => {
                        this.waiting.push_back(other);
                        continue;
                    }
                },
            };
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.waiting.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.ended || (self.inner.is_end_stream() && self.replacer.kept.is_empty()) {
            SizeHint::with_exact(0)
        } else {
            SizeHint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(pieces: &[&str]) -> String {
        let mut replacer = Replacer::new(&[
            ("https://repo.example.net/artifactory/api/npm/npm".to_owned(), "https://npm.example.org".to_owned()),
            ("http://10.0.0.5:8081/npm".to_owned(), "https://npm.example.org".to_owned()),
        ])
        .unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&replacer.push(piece.as_bytes(), false));
        }
        out.extend_from_slice(&replacer.push(&[], true));
        String::from_utf8(out).unwrap()
    }

    const DOCUMENT: &str = r#"{"a":"https://repo.example.net/artifactory/api/npm/npm/x/-/x-1.tgz",
"b":"https:\/\/repo.example.net\/artifactory\/api\/npm\/npm\/y","c":"https://repo.example.net/artifactory/api/npm/npm-local/z",
"d":"http://10.0.0.5:8081/npm","e":"http://10.0.0.5:8081/npmx http://10.0.0.5:8081/npm"}"#;
    const EXPECTED: &str = r#"{"a":"https://npm.example.org/x/-/x-1.tgz",
"b":"https:\/\/npm.example.org\/y","c":"https://repo.example.net/artifactory/api/npm/npm-local/z",
"d":"https://npm.example.org","e":"http://10.0.0.5:8081/npmx https://npm.example.org"}"#;

    #[test]
    fn every_mention_is_replaced_wherever_the_pieces_end() {
        assert_eq!(rewritten(&[DOCUMENT]), EXPECTED);
        for size in 1..DOCUMENT.len() {
            let pieces: Vec<&str> =
                DOCUMENT.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            assert_eq!(rewritten(&pieces), EXPECTED, "pieces of {size}");
        }
        assert_eq!(rewritten(&["http://10.0.0.5:8081/npm"]), "https://npm.example.org");
        assert_eq!(rewritten(&["nothing of it"]), "nothing of it");
        assert_eq!(rewritten(&[]), "");
    }

    #[test]
    fn only_indexes_are_looked_into() {
        for (path, expected) in [
            ("/artifactory/api/npm/npm/left-pad", true),
            ("/artifactory/api/npm/npm/@types%2fnode", true),
            ("/npm/socket.io", true),
            ("/simple/requests/", true),
            ("/index/config.json", true),
            ("/x/-/x-1.0.tgz", false),
            ("/v2/debian/manifests/stable", false),
            ("/v2/debian/blobs/sha256:00", false),
            ("/pool/main/h/hello.deb", false),
            ("/dists/stable/main/by-hash/SHA256/00", false),
            ("/m/@v/list", false),
            ("/packages/x-1.0-py3-none-any.whl", false),
        ] {
            assert_eq!(may_hold_urls(path), expected, "{path}");
        }
    }
}
