//! Ranges of a whole object (RFC 9110 section 14).

use http::HeaderMap;
use http::header::{CONTENT_RANGE, RANGE};

/// Most ranges in one request; with more the whole is served, as section 14.2 allows.
const MAX_RANGES: usize = 16;

/// Ranges closer than this are served as one: the boundary between them would be longer (section 15.3.7.2).
const GAP: u64 = 80;

/// Which bytes are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them: no range, one not understood, or too many.
    Whole,
    /// From the first to just before the second.
    Part(u64, u64),
    /// Several such, none of which touches another.
    Parts(Vec<(u64, u64)>),
    /// None that exist: 416.
    Unsatisfiable,
}

/// Reads `Range` against a body of `size` bytes.
pub fn wanted(request: &HeaderMap, size: u64) -> Wanted {
    let Some(spec) = request.get(RANGE).and_then(|value| value.to_str().ok()) else { return Wanted::Whole };
    let Some((unit, ranges)) = spec.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let ranges: Option<Vec<_>> = ranges.split(',').map(|range| one(range, size)).collect();
    let Some(mut ranges) = ranges.filter(|ranges| ranges.len() <= MAX_RANGES) else { return Wanted::Whole };
    ranges.retain(|(from, to)| from < to);
    match joined(ranges).as_slice() {
        [] => Wanted::Unsatisfiable,
        [(from, to)] => Wanted::Part(*from, *to),
        several => Wanted::Parts(several.to_vec()),
    }
}

/// Whether a request is for less than the whole, as far as can be said without knowing how much that is.
pub fn is_partial(request: &HeaderMap) -> bool {
    !matches!(wanted(request, u64::MAX), Wanted::Whole | Wanted::Part(0, u64::MAX))
}

/// What `Content-Range` says: the first byte, the one after the last, and bytes of the whole.
pub fn content_range(response: &HeaderMap) -> Option<(u64, u64, u64)> {
    let (unit, rest) = response.get(CONTENT_RANGE)?.to_str().ok()?.split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let (from, to, total) = (number(first)?, number(last)?.checked_add(1)?, number(total)?);
    (unit.eq_ignore_ascii_case("bytes") && from < to && to <= total).then_some((from, to, total))
}

/// One range, where it is well formed; an empty one when the body has nothing of it.
fn one(range: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => None,
        (true, false) => Some((size.saturating_sub(number(last)), size)),
        (false, _) => {
            let first = number(first);
            let last = if last.is_empty() { u64::MAX } else { number(last) };
            (first <= last).then(|| (first, last.saturating_add(1).min(size)))
        }
    }
}

/// Joins ranges that overlap or almost touch, so that no byte is served twice.
fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (from, to) in ranges {
        match joined.last_mut() {
            Some((_, end)) if from <= end.saturating_add(GAP) => *end = (*end).max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(spec: &str, size: u64) -> Wanted {
        wanted(&HeaderMap::from_iter([(RANGE, HeaderValue::from_str(spec).unwrap())]), size)
    }

    #[test]
    fn ranges() {
        for (spec, expected) in [
            ("bytes=0-", Wanted::Part(0, 10)),
            ("Bytes=2-3", Wanted::Part(2, 4)),
            ("bytes=2-99", Wanted::Part(2, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-99", Wanted::Part(0, 10)),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=9223372036854775807-", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=3-2", Wanted::Whole),
            ("bytes=0-1,3-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
        ] {
            assert_eq!(of(spec, 10), expected, "{spec}");
        }
        assert_eq!(wanted(&HeaderMap::new(), 10), Wanted::Whole);
    }

    #[test]
    fn partial_without_a_size() {
        for (spec, expected) in [
            ("bytes=0-", false),
            ("bytes=x", false),
            ("items=1-2", false),
            ("bytes=1-", true),
            ("bytes=-5", true),
            ("bytes=0-0", true),
            ("bytes=0-0,500-", true),
        ] {
            let request = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(spec).unwrap())]);
            assert_eq!(is_partial(&request), expected, "{spec}");
        }
        assert!(!is_partial(&HeaderMap::new()));
    }

    #[test]
    fn content_ranges() {
        for (value, expected) in [
            ("bytes 0-0/1", Some((0, 1, 1))),
            ("Bytes 5-9/10", Some((5, 10, 10))),
            ("bytes 5-9/*", None),
            ("bytes */10", None),
            ("bytes 9-5/10", None),
            ("bytes 5-10/10", None),
            ("bytes +5-6/10", None),
            ("bytes 5-18446744073709551615/18446744073709551615", None),
            ("items 0-0/1", None),
        ] {
            let response = HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(content_range(&response), expected, "{value}");
        }
    }

    #[test]
    fn several_ranges() {
        let many = format!("bytes={}", vec!["0-"; 17].join(","));
        for (spec, expected) in [
            ("bytes=0-0,500-509", Wanted::Parts(vec![(0, 1), (500, 510)])),
            ("bytes=-10, 0-9", Wanted::Parts(vec![(0, 10), (990, 1000)])),
            ("bytes=0-9,5-20", Wanted::Part(0, 21)),
            ("bytes=0-9,50-59", Wanted::Part(0, 60)),
            ("bytes=0-9,2000-", Wanted::Part(0, 10)),
            ("bytes=2000-,3000-", Wanted::Unsatisfiable),
            (&many, Wanted::Whole),
        ] {
            assert_eq!(of(spec, 1000), expected, "{spec}");
        }
    }

    proptest! {
        /// Whatever is asked for, no byte is served twice, and none that does not exist.
        #[test]
        fn never_more_than_there_is(spec in "bytes=([0-9]{0,4}-[0-9]{0,4},){0,6}[0-9]{0,4}-[0-9]{0,4}", size in 0_u64..5000) {
            let parts = match of(&spec, size) {
                Wanted::Part(from, to) => vec![(from, to)],
                Wanted::Parts(parts) => parts,
                Wanted::Whole | Wanted::Unsatisfiable => Vec::new(),
            };
            let mut end = 0;
            for (from, to) in parts {
                prop_assert!(end <= from && from < to && to <= size);
                end = to;
            }
        }
    }
}
