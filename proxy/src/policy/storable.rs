//! Whether a response may be stored (RFC 9111 section 3).

use std::time::SystemTime;

use http::header::{AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};

use super::control::CacheControl;
use super::freshness::{HEURISTIC_STATUSES, explicit_lifetime};
use super::vary;
use crate::cache::key::carries_signature;
use crate::rules::Nature;

/// Most bytes of header fields that are stored.
const MAX_HEADERS: usize = 64 * 1024;

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
    status_allows(status, response, explicit)?;
    if control.no_store {
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
    if request.contains_key(AUTHORIZATION) && !(shareable || control.must_revalidate) {
        return Err("the request carries credentials, and the answer does not allow to share it");
    }
    if nature == Nature::Plain && !shareable {
        if request.contains_key(COOKIE) {
            return Err("the request carries a cookie");
        }
        if response.contains_key(SET_COOKIE) {
            return Err("the answer sets a cookie");
        }
    }
    if vary::names(response).is_none() {
        return Err("the answer varies on everything");
    }
    let size: usize = response.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > MAX_HEADERS {
        return Err("the answer's header is too large");
    }
    Ok(())
}

fn status_allows(status: StatusCode, response: &HeaderMap, explicit: bool) -> Result<(), &'static str> {
    match status.as_u16() {
        206 => Err("a part is not stored"),
        304 => Err("a 304 is not stored"),
        code if HEURISTIC_STATUSES.contains(&code) => Ok(()),
        301 | 302 | 307 | 308 => {
            let location = response.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            match location {
                Some(location) if carries_signature(&location) => Err("it redirects to a signed URL, which expires"),
                Some(_) if explicit => Ok(()),
                _ => Err("a redirect without an explicit lifetime"),
            }
        }
        204 | 300 | 404 | 405 | 410 | 414 if explicit => Ok(()),
        code if (200..300).contains(&code) && explicit => Ok(()),
        _ => Err("its status is not stored"),
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
            (500, false, false),
            (503, false, false),
            (403, false, false),
        ] {
            assert_eq!(check(status, &[], &[]), bare, "{status}");
            assert_eq!(check(status, &[], &[("cache-control", "max-age=60")]), explicit, "{status} with max-age");
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
        assert!(with(200, &[], &[("set-cookie", "a=b")], Nature::Immutable));
        assert!(!check(200, &[("cache-control", "no-store")], &[]));
        assert!(!check(200, &[], &[("vary", "accept"), ("vary", "a, *")]));
    }
}
