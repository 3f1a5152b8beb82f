//! URLs in the fields of an answer that is kept, for others or in a record: a signature in one is over in minutes, and
//! until then lets whoever has it in.

use http::header::{CONTENT_LOCATION, LINK};
use http::{HeaderMap, HeaderValue};

use super::key;

/// Takes signatures off the URLs of `Link` and `Content-Location`. What still carries a secret then is left out.
pub(super) fn make_lasting(headers: &mut HeaderMap) {
    if headers.contains_key(LINK) {
        let links: Vec<HeaderValue> = headers.get_all(LINK).iter().filter_map(|value| lasting(value, links)).collect();
        headers.remove(LINK);
        for link in links {
            headers.append(LINK, link);
        }
    }
    if let Some(value) = headers.remove(CONTENT_LOCATION)
        && let Some(value) = lasting(&value, key::lasting)
    {
        headers.insert(CONTENT_LOCATION, value);
    }
}

/// The value as it was, where nothing has to go.
fn lasting(value: &HeaderValue, make: impl Fn(&str) -> Option<String>) -> Option<HeaderValue> {
    let text = value.to_str().ok()?;
    if !text.contains(['?', '@']) {
        return Some(value.clone());
    }
    HeaderValue::try_from(make(text)?).ok()
}

/// The links of a field (RFC 8288 section 3), as far as they may be kept.
pub(crate) fn links(value: &str) -> Option<String> {
    let kept: Vec<String> = members(value).into_iter().filter_map(link).collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

fn link(member: &str) -> Option<String> {
    let (url, parameters) = member.trim().strip_prefix('<')?.split_once('>')?;
    let kept = key::lasting(url)?;
    // A fragment is no secret, and what is kept is as it was where nothing had to go.
    let kept = if url.split('#').next() == Some(kept.as_str()) { url } else { kept.as_str() };
    Some(format!("<{kept}>{parameters}"))
}

/// The members of the list; commas may be inside URLs and quotes.
fn members(value: &str) -> Vec<&str> {
    let (mut members, mut begin, mut quoted, mut escaped, mut inside) = (Vec::new(), 0, false, false, false);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !inside => quoted = !quoted,
            b'<' if !quoted => inside = true,
            b'>' if !quoted => inside = false,
            b',' if !quoted && !inside => {
                members.push(&value[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    members.push(&value[begin..]);
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lose_their_signatures() {
        for (given, expected) in [
            ("</a>; rel=next", Some("</a>; rel=next")),
            ("</a?n=1&last=b,c#x>; rel=\"next\"", Some("</a?n=1&last=b,c#x>; rel=\"next\"")),
            ("<https://example.org/o?expires=1&signature=s>; rel=x", Some("<https://example.org/o>; rel=x")),
            (
                "<https://example.org/o?v=1&X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Signature=s#f>; title=\"a, \\\"b\", </c>; rel=d",
                Some("<https://example.org/o?v=1>; title=\"a, \\\"b\", </c>; rel=d"),
            ),
            ("</a?token=t>; rel=x, </b?n=2>; rel=y", Some("</b?n=2>; rel=y")),
            ("<https://u:p@example.org/>; rel=x", None),
            ("no link?sig=1", None),
        ] {
            assert_eq!(links(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn nothing_that_is_kept_carries_a_signature() {
        let mut headers = HeaderMap::new();
        for value in ["</a?expires=1&signature=s>; rel=x", "</b>; rel=y", "</c?access_token=s>; rel=z"] {
            headers.append(LINK, HeaderValue::from_static(value));
        }
        headers.insert(CONTENT_LOCATION, HeaderValue::from_static("/d?signature=s&v=2&expires=1"));
        make_lasting(&mut headers);
        let links: Vec<_> = headers.get_all(LINK).iter().collect();
        assert_eq!(links, ["</a>; rel=x", "</b>; rel=y"]);
        assert_eq!(headers[CONTENT_LOCATION], "/d?v=2");
    }
}
