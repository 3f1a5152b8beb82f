//! Whether a response may be stored (RFC 9111 section 3).

use std::time::SystemTime;

use http::header::{COOKIE, LAST_MODIFIED, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};

use super::control::CacheControl;
use super::freshness::{HEURISTIC_STATUSES, date, explicit_lifetime};
use super::surrogate::Surrogate;
use super::vary;
use crate::cache::binds;
use crate::cache::key::carries_signature;
use crate::rules::Nature;

/// Most bytes of header fields that are stored.
const MAX_HEADERS: usize = 64 * 1024;

/// Statuses whose requirements on caches are met here (section 5.2.2.3).
const UNDERSTOOD: [u16; 21] =
    [200, 203, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 403, 404, 405, 410, 414, 451, 500, 501, 503];

/// Statuses that are stored of packages and indexes.
const PACKAGE_STATUSES: [u16; 13] = [200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 404, 405, 410];

/// `Ok` when the response may be stored and shared, else why not.
pub fn storable(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    nature: Nature,
    now: SystemTime,
) -> Result<(), &'static str> {
    let control = CacheControl::parse(response);
    let explicit = explicit_lifetime(response, now).is_some();
    if *method != Method::GET {
        return Err("only answers to GET are stored");
    }
    status_allows(status, response, nature, explicit, control.public)?;
    if control.must_understand && !UNDERSTOOD.contains(&status.as_u16()) {
        return Err("the answer says must-understand, and its status is not understood");
    }
    let surrogate = Surrogate::parse(response);
    // Sections 5.2.2.3 and 5.2.2.5; what is said to this cache by name stands above.
    let addressed = surrogate.addressed && surrogate.max_age.is_some();
    if surrogate.no_store || (control.no_store && !control.must_understand && !addressed) {
        return Err("the answer says no-store");
    }
    if CacheControl::parse(request).no_store {
        return Err("the request says no-store");
    }
    if control.private {
        return Err("the answer says private");
    }
    // Section 3.5.
    let shareable = control.public || control.s_maxage.is_some();
    if request.keys().any(binds) && !(shareable || control.must_revalidate) {
        return Err("the request carries credentials, and the answer does not allow to share it");
    }
    if nature == Nature::Plain && !shareable {
        if request.contains_key(COOKIE) {
            return Err("the request carries a cookie");
        }
        // Section 7.3: an origin that gives a lifetime has thought of it.
        if response.contains_key(SET_COOKIE) && !explicit {
            return Err("the answer sets a cookie, and has no explicit lifetime");
        }
    }
    if vary::names(response).is_none() {
        return Err("the answer varies on everything");
    }
    if is_too_large(response) { Err(TOO_LARGE) } else { Ok(()) }
}

/// Why an answer is not stored of which [`is_too_large`].
pub const TOO_LARGE: &str = "the answer's header is too large";

/// Whether an answer has more fields than are stored.
pub fn is_too_large(response: &HeaderMap) -> bool {
    let size: usize = response.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    size > MAX_HEADERS
}

/// Section 3: a final status that has a lifetime, explicit or guessed. Of packages and indexes, no failure is stored.
fn status_allows(
    status: StatusCode,
    response: &HeaderMap,
    nature: Nature,
    explicit: bool,
    public: bool,
) -> Result<(), &'static str> {
    if status.is_redirection() {
        let location = response.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
        if location.is_some_and(|location| carries_signature(&location)) {
            return Err("it redirects to a signed URL, which expires");
        }
    }
    let code = status.as_u16();
    let guessable = date(response, &LAST_MODIFIED).is_some() && (HEURISTIC_STATUSES.contains(&code) || public);
    match code {
        206 => Err("a part is not stored"),
        304 => Err("a 304 is not stored"),
        // Without a lifetime they can still be confirmed, or be lasting by their path.
        200 | 203 => Ok(()),
        _ if nature != Nature::Plain && !PACKAGE_STATUSES.contains(&code) => Err("its status is not stored"),
        _ if explicit || guessable => Ok(()),
        _ if status.is_redirection() => Err("a redirect without an explicit lifetime"),
        _ => Err("its status is not stored without an explicit lifetime"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderName, HeaderValue};

    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn check(status: u16, request: &[(&'static str, &'static str)], response: &[(&'static str, &'static str)]) -> bool {
        with(status, request, response, Nature::Plain)
    }

    fn with(
        status: u16,
        request: &[(&'static str, &'static str)],
        response: &[(&'static str, &'static str)],
        nature: Nature,
    ) -> bool {
        let status = StatusCode::from_u16(status).unwrap();
        storable(&Method::GET, &map(request), status, &map(response), nature, UNIX_EPOCH).is_ok()
    }

    #[test]
    fn statuses() {
        for (status, bare, explicit) in [
            (200, true, true),
            (203, true, true),
            (204, false, true),
            (206, false, false),
            (304, false, false),
            (404, false, true),
            (410, false, true),
            (500, false, true),
            (503, false, true),
            (403, false, true),
            (599, false, true),
        ] {
            assert_eq!(check(status, &[], &[]), bare, "{status}");
            assert_eq!(check(status, &[], &[("cache-control", "max-age=60")]), explicit, "{status} with max-age");
        }
        for (status, expected) in [(200, true), (404, true), (403, false), (500, false), (503, false)] {
            let minute = [("cache-control", "max-age=60")];
            assert_eq!(with(status, &[], &minute, Nature::Mutable), expected, "{status} of an index");
        }
        let modified = ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT");
        for (status, expected) in [(404, true), (204, true), (501, true), (403, false), (503, false)] {
            assert_eq!(check(status, &[], &[modified]), expected, "{status} with Last-Modified");
        }
        assert!(check(599, &[], &[modified, ("cache-control", "public")]));
    }

    #[test]
    fn must_understand_and_no_store() {
        for (status, control, expected) in [
            (200, "no-store", false),
            (200, "no-store, must-understand", true),
            (599, "max-age=60, must-understand", false),
            (599, "max-age=60", true),
        ] {
            assert_eq!(check(status, &[], &[("cache-control", control)]), expected, "{status} {control}");
        }
        for (control, surrogate, expected) in [
            ("max-age=60", "no-store", false),
            ("max-age=60", "no-store;other", true),
            ("no-store", "max-age=60", false),
            ("no-store", "max-age=60;larder", true),
            ("private", "max-age=60;larder", false),
        ] {
            let fields = [("cache-control", control), ("surrogate-control", surrogate)];
            assert_eq!(check(200, &[], &fields), expected, "{control} {surrogate}");
        }
    }

    #[test]
    fn redirects() {
        let plain = ("location", "https://example.org/x");
        let signed = ("location", "https://example.org/x?expires=1&signature=2");
        assert!(!check(302, &[], &[plain]));
        assert!(check(302, &[], &[plain, ("cache-control", "max-age=60")]));
        assert!(!check(302, &[], &[signed, ("cache-control", "max-age=60")]));
    }

    #[test]
    fn privacy() {
        for control in ["private", "PRIVATE, max-age=60", "no-store", "No-Store", "private=\"x\", max-age=60"] {
            assert!(!check(200, &[], &[("cache-control", control)]), "{control}");
            assert!(!with(200, &[], &[("cache-control", control)], Nature::Immutable), "{control}");
        }
        let credentials = [("authorization", "Basic eDp5")];
        for (control, expected) in
            [("max-age=60", false), ("public", true), ("s-maxage=60", true), ("must-revalidate", true)]
        {
            assert_eq!(check(200, &credentials, &[("cache-control", control)]), expected, "{control}");
        }
        assert!(!check(200, &[("cookie", "a=b")], &[]));
        assert!(!check(200, &[], &[("set-cookie", "a=b")]));
        assert!(check(200, &[], &[("set-cookie", "a=b"), ("cache-control", "max-age=60")]));
        assert!(with(200, &[], &[("set-cookie", "a=b")], Nature::Immutable));
        assert!(!check(200, &[("cache-control", "no-store")], &[]));
        assert!(!check(200, &[], &[("vary", "accept"), ("vary", "a, *")]));
    }
}
