//! Fields that concern one connection only (RFC 9110 section 7.6.1), and those a client could use to pretend.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, Entry, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, Version};

// A constant would be made, and dropped, wherever it is looked into.
static HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a client may claim about where a request comes from or goes to, beside all `X-Forwarded-*` and `X-Original-*`. An
/// origin (or a cache key) that believed it could be made to answer for somebody else. `Proxy` becomes `HTTP_PROXY` where
/// the origin is a CGI program.
const CLAIMS: [&str; 20] = [
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "proxy",
    "true-client-ip",
    "x-backend-host",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-override-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-url-scheme",
];

fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded-") || name.starts_with("x-original-") || CLAIMS.contains(&name)
}

/// Removes what must not go on to the origin. `Via` stays, for loops to be seen.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    strip(headers);
    headers.remove(PROXY_AUTHORIZATION);
    headers.remove(EXPECT);
    headers.remove("http2-settings");
    remove_all(headers, is_claim);
}

/// Removes the fields with some names. Most messages have none of them, so that looking through what there is costs
/// less than looking for each.
fn remove_all(headers: &mut HeaderMap, is_meant: impl Fn(&HeaderName) -> bool) {
    let meant: Vec<HeaderName> = headers.keys().filter(|name| is_meant(name)).cloned().collect();
    for name in meant {
        headers.remove(name);
    }
}

/// Notes and removes what a request says about this connection that is taken up again on the next: that its sender
/// takes trailers (RFC 9110 section 10.1.4), and that it waits for leave to send its body (section 10.1.1). The rest
/// goes.
pub(crate) fn strip_request_but_wishes(headers: &mut HeaderMap, has_body: bool) {
    let trailers = options(headers, &TE).any(|coding| {
        let name = coding.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("trailers")
    });
    let expects = has_body && options(headers, &EXPECT).any(|option| option.eq_ignore_ascii_case("100-continue"));
    // A sender that announces trailers must be able to send them, which hyper does only for those announced.
    let announced = headers.get(TRAILER).cloned().filter(|_| has_body);
    strip_request(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if expects {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    if let Some(announced) = announced {
        headers.insert(TRAILER, announced);
    }
}

/// Whether the request expects something else than leave to send its body.
pub(crate) fn expects_more(headers: &HeaderMap) -> bool {
    headers.get_all(EXPECT).iter().any(|value| value.to_str().is_err())
        || options(headers, &EXPECT).any(|option| !option.eq_ignore_ascii_case("100-continue"))
}

/// The members of a field that is a list.
pub(crate) fn options<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|option| !option.is_empty())
}

/// Removes what must not go back to the client. The announcement of trailers stays: without it hyper sends none on
/// HTTP/1, and it does no harm where there are none.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name) || name == "proxy-authentication-info") {
        return;
    }
    // The coding frames the message (RFC 9112 section 6.3): a length beside it says nothing, and could make a body that
    // breaks off look whole.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let announced = headers.get(TRAILER).cloned();
    strip(headers);
    headers.remove("proxy-authentication-info");
    if let Some(announced) = announced {
        headers.insert(TRAILER, announced);
    }
}

fn strip(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    // By bytes: what else is in such a field, text or not, must not keep those it names.
    let members = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let named: Vec<HeaderName> = members
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // A sender that names these would make us change the message's framing or target.
        .filter(|name| ![CONTENT_LENGTH, HOST, CONNECTION].contains(name))
        .collect();
    remove_all(headers, |name| HOP_BY_HOP.contains(name) || named.contains(name));
}

/// A proxy's name in `Via` (RFC 9110 section 7.6.3), and what it appends there for each version of HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Via {
    name: String,
    values: [HeaderValue; 3],
}

impl Via {
    /// `None` where the name does not fit into a field.
    pub(crate) fn new(name: String) -> Option<Self> {
        // Never freed: there are as many as proxies were started, and threads do not count who uses them.
        let value = |version| {
            let text: &'static str = String::leak(format!("{version} {name}"));
            HeaderValue::try_from(text).ok().map(|_| HeaderValue::from_static(text))
        };
        let values = [value("1.0")?, value("1.1")?, value("2.0")?];
        Some(Self { name, values })
    }

    /// The name.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Appends it to a message that came by this version.
    pub(crate) fn append_to(&self, headers: &mut HeaderMap, version: Version) {
        let [old, usual, new] = &self.values;
        let value = match version {
            Version::HTTP_10 => old,
            Version::HTTP_2 => new,
            _ => usual,
        };
        match headers.entry(VIA) {
            Entry::Occupied(mut room) if room.get().is_empty() => drop(room.insert(value.clone())),
            Entry::Occupied(mut others) => others.append(value.clone()),
            Entry::Vacant(none) => {
                none.insert(value.clone());
            }
        }
    }

    /// Leaves room for it in a map that is going to be cloned: a clone has none to spare, and would be made larger.
    pub(crate) fn make_room(headers: &mut HeaderMap) {
        headers.entry(VIA).or_insert(HeaderValue::from_static(""));
    }

    /// Whether a request has already passed a proxy by this name.
    pub(crate) fn has_passed(&self, headers: &HeaderMap) -> bool {
        let values = headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|entry| entry.split_whitespace().nth(1) == Some(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn what_is_named_beside_bytes_that_are_no_text_goes_no_further() {
        let mut map = headers(&[("x-secret", "1"), ("x-other", "2"), ("accept", "*/*")]);
        map.insert(CONNECTION, HeaderValue::from_bytes(b"x-secret,\xb5\xff , X-Other").unwrap());
        strip_request(&mut map);
        assert_eq!(map.keys().collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn what_concerns_one_hop_goes_no_further() {
        let mut map = headers(&[
            ("connection", "close, X-Secret"),
            ("connection", "content-length , host"),
            ("x-secret", "1"),
            ("content-length", "5"),
            ("host", "example.org"),
            ("keep-alive", "1"),
            ("proxy-connection", "1"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("x-forwarded-host", "evil"),
            ("forwarded", "host=evil"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
            ("authorization", "kept"),
        ]);
        strip_request(&mut map);
        let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "authorization", "content-length", "host"]);
    }

    #[test]
    fn a_loop_is_seen() {
        let mut map = headers(&[("via", "1.1 other, 1.0 larder-abc (x)")]);
        let via = |name: &str| Via::new(name.to_owned()).unwrap();
        assert!(via("larder-abc").has_passed(&map));
        assert!(!via("larder-abd").has_passed(&map));
        via("larder-abd").append_to(&mut map, Version::HTTP_2);
        assert!(via("larder-abd").has_passed(&map));
        assert_eq!(map.get_all(VIA).iter().next_back().unwrap(), "2.0 larder-abd");
        // Room is filled where there is some, and says nothing of others.
        let mut map = HeaderMap::new();
        Via::make_room(&mut map);
        via("larder-abc").append_to(&mut map, Version::HTTP_11);
        Via::make_room(&mut map);
        via("larder-abd").append_to(&mut map, Version::HTTP_10);
        assert_eq!(map.get_all(VIA).iter().collect::<Vec<_>>(), ["1.1 larder-abc", "1.0 larder-abd"]);
    }
}
