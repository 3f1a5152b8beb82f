//! Cache-Control, Vary, Range, and the conditions of requests.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{CACHE_CONTROL, IF_NONE_MATCH};
use http::{HeaderMap, Method, StatusCode};

use super::fields::{halves, map, number};
use crate::policy::control::{CacheControl, FOREVER};
use crate::policy::freshness::{Judgement, Stored, current_age, judge, lifetime, may_serve_stale, time_left};
use crate::policy::range::{Wanted, content_range, is_partial, wanted};
use crate::policy::storable::storable;
use crate::policy::{condition, vary};
use crate::rules::Nature;

/// Numbers, then the fields of a request, an empty line, and those of an answer.
pub fn policy(mut data: &[u8]) {
    let numbers = [number(&mut data), number(&mut data), number(&mut data), number(&mut data)];
    let (request, response) = halves(data);
    let (request, response) = (map(request), map(response));
    ranges(&request, &response, numbers[0]);
    variants(&request, &response);
    conditions(&request, &response);
    lifetimes(&request, &response, &numbers);
}

fn ranges(request: &HeaderMap, response: &HeaderMap, size: u64) {
    for size in [size, size % 1000, 0, u64::MAX] {
        let parts = match wanted(request, size) {
            Wanted::Whole | Wanted::Unsatisfiable => Vec::new(),
            Wanted::Part(from, to) => vec![(from, to)],
            Wanted::Parts(parts) => {
                assert!(parts.len() > 1 && parts.len() <= 16, "{parts:?}");
                parts
            }
        };
        assert!(parts.iter().all(|(from, to)| from < to && *to <= size), "{parts:?} of {size}");
        assert!(parts.windows(2).all(|two| two[0].1 < two[1].0), "{parts:?} is not in order, or touches");
    }
    let _ = is_partial(request);
    if let Some((from, to, total)) = content_range(response) {
        assert!(from < to && to <= total);
    }
}

/// A request selects the variant that it brought about, also once that has been written to the index and read again.
fn variants(request: &HeaderMap, response: &HeaderMap) {
    let fields = vary::fields(request, response);
    if vary::names(response).is_some() {
        assert!(vary::selects(request, &fields, response), "a request does not select its own variant: {fields:?}");
    }
    let kept = crate::store::fuzz::kept_vary(&fields);
    assert!(vary::selects(request, &kept, &HeaderMap::new()), "{fields:?} was kept as {kept:?}");
    let _ = vary::accepts_coding(request, response);
}

fn conditions(request: &HeaderMap, response: &HeaderMap) {
    let _ = (condition::not_modified(request, response), condition::range_allowed(request, response));
    let mut asked = request.clone();
    if condition::make_conditional(&mut asked, response) && asked.contains_key(IF_NONE_MATCH) {
        // Of what is asked about it must be said that it is the same.
        let tag = response.get(http::header::ETAG).and_then(|tag| tag.to_str().ok());
        if tag.is_some_and(|tag| is_tag(tag.trim())) {
            assert!(condition::not_modified(&asked, response), "{tag:?} is not itself");
        }
    }
    let merged = condition::merge(response, request);
    assert_eq!(condition::merge(&merged, request), merged, "a 304 twice is another than once");
    if condition::same_validators(response, response) {
        assert!(condition::same_state(response, response));
    }
    let mut part = request.clone();
    if condition::ask_for_part(&mut part, response, 3, Some(9)) {
        assert!(condition::strong(response).is_some() && condition::range_allowed(&part, response));
        assert_eq!(wanted(&part, 100), Wanted::Part(3, 9));
    }
}

/// RFC 9110 section 8.8.3
fn is_tag(tag: &str) -> bool {
    let inside = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.is_some_and(|inside| !inside.contains('"'))
}

fn lifetimes(request: &HeaderMap, response: &HeaderMap, numbers: &[u64; 4]) {
    let control = CacheControl::parse(request);
    let said = CacheControl::parse(response);
    let numbered = [said.max_age, said.s_maxage, said.max_stale, said.min_fresh, said.stale_if_error];
    assert!(numbered.iter().flatten().all(|&seconds| seconds <= FOREVER), "{said:?}");
    // Up to the year 2500 or so, before and after.
    let at = |number: u64| UNIX_EPOCH + Duration::from_millis(number % (1 << 44));
    let [status, requested, responded, now] = *numbers;
    let status = StatusCode::from_u16(u16::try_from(200 + status % 400).unwrap_or(200)).expect("a status");
    for nature in [Nature::Plain, Nature::Mutable, Nature::Lasting, Nature::Immutable] {
        let stored = Stored {
            status: status.as_u16(),
            headers: response,
            requested: at(requested),
            responded: at(responded),
            nature,
        };
        let (age, lifetime) = (current_age(&stored, at(now)), lifetime(&stored));
        assert!(age <= FOREVER && lifetime <= FOREVER, "{age} {lifetime}");
        let _ = (time_left(&stored, age), may_serve_stale(&stored, &control, at(now), now % 2 == 0));
        let judged = judge(&stored, &control, at(now), Some(at(requested)));
        if nature == Nature::Plain {
            plain(&stored, &control, &said, judged, (age, lifetime));
        }
        kept(status, (request, response), &said, nature, at(now));
    }
}

/// What the rules say nothing of is used by nothing but its own lifetime.
fn plain(
    stored: &Stored<'_>,
    control: &CacheControl,
    said: &CacheControl,
    judged: Judgement,
    (age, lifetime): (u64, u64),
) {
    let told = (stored, judged, age, lifetime);
    let strict = said.must_revalidate || said.proxy_revalidate || said.s_maxage.is_some();
    match judged {
        Judgement::Use(_) | Judgement::UseAndAsk(_) => {
            assert!(!said.no_cache && !control.no_cache, "{told:?}");
            assert!(age < lifetime || !strict, "stale, though it may never be: {told:?}");
            assert!(control.max_age.is_none_or(|limit| age <= limit), "older than the client takes it: {told:?}");
        }
        Judgement::Ask(_) => {}
    }
}

fn kept(
    status: StatusCode,
    (request, response): (&HeaderMap, &HeaderMap),
    said: &CacheControl,
    nature: Nature,
    now: SystemTime,
) {
    if storable(&Method::GET, request, status, response, nature, now).is_err() {
        return;
    }
    let surrogate = response.contains_key("surrogate-control");
    assert!(!said.private, "private was stored: {response:?}");
    assert!(!said.no_store || said.must_understand || surrogate, "no-store was stored: {response:?}");
    assert!(vary::names(response).is_some(), "Vary: * was stored: {response:?}");
    if nature == Nature::Plain && request.contains_key(CACHE_CONTROL) {
        assert!(!CacheControl::parse(request).no_store, "the client wanted it not to be stored: {request:?}");
    }
    assert!(status != StatusCode::PARTIAL_CONTENT && status != StatusCode::NOT_MODIFIED);
}
