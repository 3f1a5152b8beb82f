//! Ranges of a whole stored object (RFC 9110 section 14).

use http::HeaderMap;
use http::header::RANGE;

/// Which bytes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them: no range, one not understood, or several (section 14.2 allows to ignore them).
    Whole,
    /// From the first to just before the second.
    Part(u64, u64),
    /// None that exist: 416.
    Unsatisfiable,
}

/// Reads `Range` against a body of `size` bytes.
pub fn wanted(request: &HeaderMap, size: u64) -> Wanted {
    let Some(spec) = request.get(RANGE).and_then(|value| value.to_str().ok()) else { return Wanted::Whole };
    let Some((unit, ranges)) = spec.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = ranges.trim().split_once('-') else { return Wanted::Whole };
    let (first, last) = (first.trim(), last.trim());
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Wanted::Whole;
    }
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Wanted::Whole,
        (true, false) => match number(last) {
            0 => Wanted::Unsatisfiable,
            _ if size == 0 => Wanted::Unsatisfiable,
            count => Wanted::Part(size.saturating_sub(count), size),
        },
        (false, _) => {
            let first = number(first);
            let last = if last.is_empty() { u64::MAX } else { number(last) };
            if last < first {
                Wanted::Whole
            } else if first >= size {
                Wanted::Unsatisfiable
            } else {
                Wanted::Part(first, last.saturating_add(1).min(size))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

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
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
        ] {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(spec).unwrap())]);
            assert_eq!(wanted(&headers, 10), expected, "{spec}");
        }
        assert_eq!(wanted(&HeaderMap::new(), 10), Wanted::Whole);
    }
}
