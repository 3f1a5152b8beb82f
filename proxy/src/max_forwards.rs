//! Requests about the way instead of the resource: `Max-Forwards` (RFC 9110 section 7.6.2), `TRACE` (9.3.8) and
//! `OPTIONS` (9.3.7) where this proxy is the one that answers.

use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, MAX_FORWARDS, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri};

use crate::body::{self, Body};
use crate::error::Refusal;

/// Counts a proxy down; `true` when the request may go no further. Only `TRACE` and `OPTIONS` are counted.
pub(crate) fn count_down(method: &Method, headers: &mut HeaderMap) -> Result<bool, Refusal> {
    if *method != Method::TRACE && *method != Method::OPTIONS {
        return Ok(false);
    }
    let Some(value) = headers.get(MAX_FORWARDS) else { return Ok(false) };
    let digits = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(digits) = digits else {
        return Err(Refusal::malformed("Max-Forwards is a number"));
    };
    // More than fit is more than there are proxies.
    match digits.parse().unwrap_or(u64::MAX) {
        0 => Ok(true),
        left => {
            headers.insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(false)
        }
    }
}

/// The answer of the last recipient.
pub(crate) fn answer(parts: &Parts, uri: &Uri) -> Response<Body> {
    let mut response = Response::new(body::empty());
    if parts.method == Method::TRACE {
        *response.body_mut() = body::full(echo(parts, uri));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("message/http"));
    } else {
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH"));
    }
    response
}

/// The request as it arrived here, without what is secret.
fn echo(parts: &Parts, uri: &Uri) -> Vec<u8> {
    let mut text = format!("TRACE {uri} {:?}\r\n", parts.version).into_bytes();
    for (name, value) in &parts.headers {
        if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name) {
            continue;
        }
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trace_and_options_are_counted() {
        for (method, value, expected, left) in [
            (Method::TRACE, "0", Some(true), "0"),
            (Method::OPTIONS, "1", Some(false), "0"),
            (Method::OPTIONS, "99999999999999999999", Some(false), "18446744073709551614"),
            (Method::GET, "0", Some(false), "0"),
            (Method::TRACE, "-1", None, "-1"),
            (Method::TRACE, "", None, ""),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(MAX_FORWARDS, HeaderValue::from_static(value));
            assert_eq!(count_down(&method, &mut headers).ok(), expected, "{method} {value}");
            assert_eq!(headers[MAX_FORWARDS], left);
        }
    }
}
