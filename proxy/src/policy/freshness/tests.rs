use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const T0: Duration = Duration::from_secs(1_700_000_000);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + T0 + Duration::from_secs(seconds)
}

fn map(fields: &[(&str, String)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect()
}

fn stored(headers: &HeaderMap, nature: Nature) -> Stored<'_> {
    Stored { status: 200, headers, requested: at(0), responded: at(0), nature }
}

fn http(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

fn uses(headers: &HeaderMap, nature: Nature, request: &str, seconds: u64, run: Option<u64>) -> bool {
    let request = CacheControl::parse(&map(&[("cache-control", request.to_owned())]));
    matches!(judge(&stored(headers, nature), &request, at(seconds), run.map(at)), Judgement::Use(_))
}

#[test]
fn lifetimes() {
    let cases: &[(&[(&str, String)], u64)] = &[
        (&[("cache-control", "s-maxage=10, max-age=20".into())], 10),
        (&[("cache-control", "max-age=20".into()), ("expires", http(at(99)))], 20),
        (&[("expires", http(at(99)))], 99),
        (&[("expires", http(at(99))), ("date", http(at(9)))], 90),
        (&[("expires", "0".into())], 0),
        (&[("expires", "Thursday, 16-Nov-23 22:13:20 GMT".into())], 172_800),
        (&[("last-modified", http(UNIX_EPOCH + T0 - Duration::from_secs(1000)))], 100),
        (&[("last-modified", http(at(50)))], 0),
        (&[], 0),
    ];
    for (fields, expected) in cases {
        assert_eq!(lifetime(&stored(&map(fields), Nature::Plain)), *expected, "{fields:?}");
    }
}

#[test]
fn ages() {
    let headers = map(&[("age", "30".into()), ("date", http(UNIX_EPOCH + T0 - Duration::from_secs(100)))]);
    assert_eq!(current_age(&stored(&headers, Nature::Plain), at(5)), 105);
    let headers = map(&[("age", "30".into())]);
    let slow = Stored { requested: at(0), responded: at(7), ..stored(&headers, Nature::Plain) };
    assert_eq!(current_age(&slow, at(10)), 40);
    // Clocks that jump make no panic.
    assert_eq!(current_age(&slow, UNIX_EPOCH), 37);
}

#[test]
fn plain_judgements() {
    let minute = map(&[("cache-control", "max-age=60".into())]);
    for (request, seconds, expected) in [
        ("", 59, true),
        ("", 60, false),
        ("no-cache", 1, false),
        ("max-age=5", 6, false),
        ("max-age=0", 0, false),
        ("min-fresh=30", 31, false),
        ("min-fresh=30", 29, true),
        ("max-stale=10", 70, true),
        ("max-stale=10", 71, false),
        ("max-stale", 100_000, true),
    ] {
        assert_eq!(uses(&minute, Nature::Plain, request, seconds, None), expected, "{request} at {seconds}");
    }
    let strict = map(&[("cache-control", "max-age=60, must-revalidate".into())]);
    assert!(!uses(&strict, Nature::Plain, "max-stale", 61, None));
    assert!(!uses(&map(&[("cache-control", "no-cache, max-age=60".into())]), Nature::Plain, "", 1, None));
}

fn old_of(seconds: u64) -> HeaderMap {
    map(&[("last-modified", http(UNIX_EPOCH + T0 - Duration::from_secs(seconds)))])
}

#[test]
fn ages_as_they_are_written() {
    for (fields, expected) in [
        (&["abc"][..], 0),
        (&["-7200"], 0),
        (&["7200.0"], 0),
        (&["0, 7200"], 0),
        (&["7200, 0"], 7200),
        (&["7200", "0"], 7200),
        (&["0", "7200"], 0),
        (&["99999999999999999999"], FOREVER),
    ] {
        let headers = map(&fields.iter().map(|value| ("age", (*value).to_owned())).collect::<Vec<_>>());
        assert_eq!(current_age(&stored(&headers, Nature::Plain), at(0)), expected, "{fields:?}");
    }
}

#[test]
fn guesses_by_status() {
    let fields = |control: &str| map(&[("last-modified", http(UNIX_EPOCH)), ("cache-control", control.to_owned())]);
    for (status, control, expected) in [
        (200, "", LONGEST_GUESS),
        (404, "", LONGEST_GUESS),
        (501, "", LONGEST_GUESS),
        (201, "", 0),
        (302, "", 0),
        (403, "", 0),
        (503, "", 0),
        (599, "", 0),
        (599, "public", LONGEST_GUESS),
    ] {
        let headers = fields(control);
        let stored = Stored { status, ..stored(&headers, Nature::Plain) };
        assert_eq!(lifetime(&stored), expected, "{status} {control}");
    }
}

#[test]
fn stale_while_it_is_asked_for() {
    for (response, request, seconds, expected) in [
        ("max-age=1, stale-while-revalidate=10", "", 11, "behind"),
        ("max-age=1, stale-while-revalidate=10", "", 12, "ask"),
        ("max-age=1, stale-while-revalidate=10", "max-age=5", 6, "ask"),
        ("max-age=1, stale-while-revalidate=10", "max-stale=10", 11, "use"),
        ("max-age=1, stale-while-revalidate=10, must-revalidate", "", 2, "ask"),
        ("s-maxage=1, stale-while-revalidate=10", "", 2, "ask"),
        ("no-cache, stale-while-revalidate=10", "", 2, "ask"),
    ] {
        let headers = map(&[("cache-control", response.to_owned())]);
        let request = CacheControl::parse(&map(&[("cache-control", request.to_owned())]));
        let found = match judge(&stored(&headers, Nature::Plain), &request, at(seconds), None) {
            Judgement::Use(_) => "use",
            Judgement::UseAndAsk(_) => "behind",
            Judgement::Ask(_) => "ask",
        };
        assert_eq!(found, expected, "{response} at {seconds}");
    }
}

#[test]
fn rules_go_before_headers() {
    let gone = map(&[("cache-control", "max-age=0, no-cache".into())]);
    assert!(uses(&gone, Nature::Immutable, "no-cache, max-age=0", 1_000_000, None));
    assert!(!uses(&gone, Nature::Lasting, "", 1, None));
    assert!(!uses(&old_of(1_000_000), Nature::Lasting, "", 1, None), "no guess for a package");
    assert!(uses(&gone, Nature::Lasting, "no-cache, max-age=0", 1, Some(0)), "asked for once a run");
    assert!(!uses(&gone, Nature::Lasting, "", 1, Some(1)));
    assert!(!uses(&map(&[("etag", "\"1\"".into())]), Nature::Lasting, "", 1, Some(1)));
    assert!(uses(&map(&[]), Nature::Lasting, "", 1, Some(1)), "nothing to ask by");
    assert!(uses(&map(&[("cache-control", "max-age=60".into())]), Nature::Lasting, "", 1, Some(1)));
    // Asked for once a run, also when the client says max-age=0 as apt and pip do; a reload is a reload.
    assert!(uses(&gone, Nature::Mutable, "max-age=0", 1_000_000, Some(0)));
    assert!(!uses(&gone, Nature::Mutable, "no-cache", 1, Some(0)));
    assert!(!uses(&gone, Nature::Mutable, "", 1, Some(1)));
    assert!(!uses(&old_of(1_000_000), Nature::Mutable, "", 1, None), "no guess for an index");
}

#[test]
fn stale_when_upstream_fails() {
    let none = CacheControl::default();
    let serve = |fields: &[(&str, String)], nature, reached| {
        may_serve_stale(&stored(&map(fields), nature), &none, at(100), reached)
    };
    let strict = [("cache-control", "max-age=1, must-revalidate".to_owned())];
    assert!(!serve(&strict, Nature::Plain, false));
    assert!(serve(&strict, Nature::Mutable, false));
    assert!(serve(&[], Nature::Plain, false));
    assert!(!serve(&[], Nature::Plain, true));
    assert!(serve(&[("cache-control", "max-age=1, stale-if-error=200".to_owned())], Nature::Plain, true));
    assert!(serve(&[], Nature::Mutable, true));
}

/// What was stored by a clock that was ahead would stay fresh until the clock has come so far again.
#[test]
fn what_comes_from_the_future_is_asked_for() {
    let headers = map(&[("cache-control", "max-age=60".into()), ("etag", "\"1\"".into())]);
    let judge_at = |seconds: i64, nature| {
        let now =
            if seconds < 0 { at(0) - Duration::from_secs(seconds.unsigned_abs()) } else { at(seconds.unsigned_abs()) };
        let run = Some(now - Duration::from_secs(1));
        judge(&stored(&headers, nature), &CacheControl::default(), now, run)
    };
    for nature in [Nature::Plain, Nature::Lasting, Nature::Mutable] {
        assert!(matches!(judge_at(-400, nature), Judgement::Ask(_)), "{nature:?}");
        // Clocks are set right by a little now and then.
        assert!(matches!(judge_at(-200, nature), Judgement::Use(_)), "{nature:?}");
    }
    assert!(matches!(judge_at(-400, Nature::Immutable), Judgement::Use(_)), "a digest knows no time");
}
