//! Conditional requests, both directions (RFC 9110 section 13, RFC 9111 section 4.3).

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, RANGE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::freshness::date;

/// Fields that say something of the bytes stored.
const OF_THE_BODY: [HeaderName; 9] = [
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    TRANSFER_ENCODING,
    ETAG,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// Whether the client's condition is met by what it has, so that 304 is the answer (RFC 9110 section 13.2.2).
pub fn not_modified(request: &HeaderMap, stored: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let Some(etag) = stored.get(ETAG).and_then(|value| value.to_str().ok()) else { return false };
        return request
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|line| line.trim() == "*" || tags(line).iter().any(|tag| weak(tag) == weak(etag.trim())));
    }
    let Some(since) = date(request, &IF_MODIFIED_SINCE) else { return false };
    date(stored, &LAST_MODIFIED).or_else(|| date(stored, &DATE)).is_some_and(|modified| modified <= since)
}

/// Makes a request conditional on what is stored (RFC 9111 section 4.3.1); whether there was a validator.
pub fn make_conditional(request: &mut HeaderMap, stored: &HeaderMap) -> bool {
    let mut found = false;
    for (from, to) in [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)] {
        if let Some(value) = stored.get(from) {
            request.insert(to, value.clone());
            found = true;
        }
    }
    found
}

/// Whether there is anything to revalidate a stored response by.
pub fn has_validator(stored: &HeaderMap) -> bool {
    stored.contains_key(ETAG) || stored.contains_key(LAST_MODIFIED)
}

/// Whether a range may be served from what is stored, as `If-Range` demands (RFC 9110 section 13.1.5).
pub fn range_allowed(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let Some(wanted) = request.get(IF_RANGE) else { return true };
    let same = |value: Option<&HeaderValue>| value.is_some_and(|value| value == wanted);
    if wanted.as_bytes().contains(&b'"') {
        return !wanted.as_bytes().starts_with(b"W/") && same(stored.get(ETAG));
    }
    same(stored.get(LAST_MODIFIED))
}

/// Makes a request one for the bytes from `from` to just before `to` (`None`: to the end) of what has this head; whether
/// the head has a validator strong enough (RFC 9110 sections 8.8.1 and 13.1.5). Conditions that the request had are
/// removed.
pub fn ask_for_part(request: &mut HeaderMap, head: &HeaderMap, from: u64, to: Option<u64>) -> bool {
    let last = to.map(|to| to.saturating_sub(1).to_string()).unwrap_or_default();
    let (Some(validator), Ok(range)) = (strong(head), HeaderValue::try_from(format!("bytes={from}-{last}"))) else {
        return false;
    };
    request.remove(IF_NONE_MATCH);
    request.remove(IF_MODIFIED_SINCE);
    request.insert(IF_RANGE, validator.clone());
    request.insert(RANGE, range);
    true
}

/// The validator that tells one state of an object from every other.
pub fn strong(head: &HeaderMap) -> Option<&HeaderValue> {
    let tag = head.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    // A date is strong when the object had not changed for a while (section 8.8.2.2).
    let settled = || {
        let (modified, now) = (date(head, &LAST_MODIFIED)?, date(head, &DATE)?);
        now.duration_since(modified).ok().filter(|age| age.as_secs() >= 60)
    };
    let dated = head.get(LAST_MODIFIED).filter(|_| !head.contains_key(ETAG) && settled().is_some());
    tag.or(dated)
}

/// The stored fields after a 304 (RFC 9111 section 3.2): its fields replace those of the same name, but for those
/// that describe the stored body, its tag among them: what was confirmed is what has the tag that was asked about.
pub fn merge(stored: &HeaderMap, fresh: &HeaderMap) -> HeaderMap {
    let mut merged = stored.clone();
    for name in fresh.keys().filter(|name| !OF_THE_BODY.contains(name)) {
        merged.remove(name);
        for value in fresh.get_all(name) {
            merged.append(name.clone(), value.clone());
        }
    }
    // An Age that the 304 does not repeat was about the earlier answer.
    if !fresh.contains_key(http::header::AGE) {
        merged.remove(http::header::AGE);
    }
    merged
}

/// Whether a part of an object has the validators of another, a strong one among them (RFC 9111 section 3.4).
pub fn same_validators(stored: &HeaderMap, part: &HeaderMap) -> bool {
    let same = |name: HeaderName| part.get(&name).is_none_or(|value| stored.get(&name) == Some(value));
    same(ETAG) && same(LAST_MODIFIED) && strong(stored).is_some()
}

/// Whether two stored heads are of one state of one object: they have the same strong validator (RFC 9111 section 3.4).
pub fn same_state(one: &HeaderMap, other: &HeaderMap) -> bool {
    let same = |name: HeaderName| one.get(&name) == other.get(&name);
    strong(one).is_some() && strong(one) == strong(other) && same(ETAG) && same(LAST_MODIFIED) && same(CONTENT_ENCODING)
}

/// Whether the answer to a HEAD is about the object stored, of `size` bytes (RFC 9111 section 4.3.5): what it says of
/// validators and length is the same.
pub fn same_object(stored: &HeaderMap, size: u64, head: &HeaderMap) -> bool {
    let same = |name: HeaderName| head.get(&name).is_none_or(|value| stored.get(&name) == Some(value));
    let length = head.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    same(ETAG) && same(LAST_MODIFIED) && same(CONTENT_ENCODING) && length.is_none_or(|length| length == size)
}

fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The entity tags of a list; commas may be inside the quotes.
fn tags(line: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return tags;
        }
        let open = if rest.starts_with("W/\"") { 3 } else { 1 };
        let end = if rest[..].starts_with("W/\"") || rest.starts_with('"') {
            rest.get(open..).and_then(|inside| inside.find('"')).map_or(rest.len(), |close| open + close + 1)
        } else {
            rest.find(',').unwrap_or(rest.len())
        };
        let (tag, after) = rest.split_at(end);
        tags.push(tag.trim());
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn not_modified_answers() {
        let stored = map(&[("etag", "W/\"a,b\""), ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT")]);
        for (fields, expected) in [
            (&[("if-none-match", "\"x\", \"a,b\"")][..], true),
            (&[("if-none-match", "W/\"a,b\"")], true),
            (&[("if-none-match", "*")], true),
            (&[("if-none-match", "\"x\"")], false),
            (&[("if-none-match", "\"x\""), ("if-modified-since", "Tue, 14 Nov 2023 22:13:20 GMT")], false),
            (&[("if-modified-since", "Tue, 14 Nov 2023 22:13:20 GMT")], true),
            (&[("if-modified-since", "Tue, 14 Nov 2023 22:13:19 GMT")], false),
            (&[("if-modified-since", "junk")], false),
            (&[], false),
        ] {
            assert_eq!(not_modified(&map(fields), &stored), expected, "{fields:?}");
        }
    }

    #[test]
    fn if_range_is_strong() {
        let stored = map(&[("etag", "\"a\""), ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT")]);
        for (wanted, expected) in
            [("\"a\"", true), ("W/\"a\"", false), ("\"b\"", false), ("Tue, 14 Nov 2023 22:13:20 GMT", true)]
        {
            assert_eq!(range_allowed(&map(&[("if-range", wanted)]), &stored), expected, "{wanted}");
        }
    }

    #[test]
    fn head_is_about_the_same() {
        let stored = map(&[("etag", "\"a\""), ("last-modified", "x")]);
        for (head, expected) in [
            (&[][..], true),
            (&[("etag", "\"a\""), ("content-length", "5")], true),
            (&[("etag", "\"b\"")], false),
            (&[("last-modified", "y")], false),
            (&[("content-length", "6")], false),
            (&[("content-encoding", "gzip"), ("etag", "\"a\"")], false),
        ] {
            assert_eq!(same_object(&stored, 5, &map(head)), expected, "{head:?}");
        }
    }

    #[test]
    fn a_304_does_not_change_the_body() {
        let merged = merge(
            &map(&[("content-length", "5"), ("etag", "\"a\""), ("content-type", "a/b"), ("x-a", "1"), ("age", "9")]),
            &map(&[("content-length", "0"), ("etag", "\"b\""), ("content-type", "c/d"), ("x-a", "2"), ("x-b", "3")]),
        );
        let kept = [("content-length", "5"), ("etag", "\"a\""), ("content-type", "c/d"), ("x-a", "2"), ("x-b", "3")];
        assert_eq!(merged, map(&kept));
    }
}
