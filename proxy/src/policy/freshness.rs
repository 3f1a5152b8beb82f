//! How long a stored response may be used, and whether it may be used now (RFC 9111 section 4.2).

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName};

use super::condition::has_validator;
use super::control::{CacheControl, FOREVER, seconds};
use super::surrogate::Surrogate;
use crate::rules::Nature;

/// Statuses whose freshness may be guessed (RFC 9110 section 15.1).
pub const HEURISTIC_STATUSES: [u16; 12] = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];

/// How far ahead of now a stored answer may have come: clocks are set right by so much, and no more.
const AHEAD: Duration = Duration::from_mins(5);

/// Longest guess: a day.
const LONGEST_GUESS: u64 = 24 * 3600;

/// A stored response, as far as freshness goes.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Status.
    pub status: u16,
    /// Fields.
    pub headers: &'a HeaderMap,
    /// When it was asked for, or last confirmed.
    pub requested: SystemTime,
    /// When that answer's head arrived.
    pub responded: SystemTime,
    /// What the rules say of the URL.
    pub nature: Nature,
}

/// What a stored response's own fields say of its freshness: read once, it holds for as long as the response is stored.
#[derive(Clone, Debug)]
pub struct Terms {
    control: CacheControl,
    /// The explicit lifetime in seconds.
    explicit: Option<u64>,
    /// The lifetime in seconds where it may be guessed and the rules do not forbid it.
    guess: u64,
    /// Its age in seconds when it arrived.
    age: u64,
    responded: SystemTime,
}

impl Terms {
    /// Those of a response.
    pub fn of(stored: &Stored<'_>) -> Self {
        let control = CacheControl::parse(stored.headers);
        Self {
            explicit: explicit(stored.headers, &control, stored.responded),
            guess: guess(stored, &control),
            age: age_on_arrival(stored),
            responded: stored.responded,
            control,
        }
    }

    /// The current age in seconds (section 4.2.3).
    pub fn age(&self, now: SystemTime) -> u64 {
        self.age.saturating_add(since(now, self.responded)).min(FOREVER)
    }

    /// The lifetime in seconds, explicit or guessed.
    pub fn lifetime(&self, nature: Nature) -> u64 {
        let guessable = !matches!(nature, Nature::Mutable | Nature::Lasting);
        self.explicit.unwrap_or(if guessable { self.guess } else { 0 })
    }
}

/// Whether a stored response may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Yes, for the reason given.
    Use(&'static str),
    /// Yes, stale as it is, while upstream is asked behind the client's back (RFC 5861 section 3).
    UseAndAsk(&'static str),
    /// Upstream must be asked first, for the reason given.
    Ask(&'static str),
}

/// An HTTP date in any of its three forms (RFC 9110 section 5.6.7).
pub fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// The explicit lifetime in seconds (section 4.2.1): `s-maxage`, `max-age`, `Expires`, and what is said to surrogates.
pub fn explicit_lifetime(headers: &HeaderMap, responded: SystemTime) -> Option<u64> {
    explicit(headers, &CacheControl::parse(headers), responded)
}

fn explicit(headers: &HeaderMap, control: &CacheControl, responded: SystemTime) -> Option<u64> {
    let own = control.s_maxage.or(control.max_age).or_else(|| {
        // An unreadable Expires means "already expired" (section 5.3).
        headers.get(EXPIRES)?;
        let from = date(headers, &DATE).unwrap_or(responded);
        let left = date(headers, &EXPIRES).and_then(|expires| expires.duration_since(from).ok());
        Some(left.map_or(0, |left| left.as_secs().min(FOREVER)))
    });
    Surrogate::parse(headers).lifetime(own)
}

/// The lifetime in seconds, explicit or guessed.
pub fn lifetime(stored: &Stored<'_>) -> u64 {
    Terms::of(stored).lifetime(stored.nature)
}

/// Seconds that it stays fresh, with the lifetime and at the age given; negative where it is stale, and `None` where it
/// never becomes so.
pub fn time_left(stored: &Stored<'_>, lifetime: u64, age: u64) -> Option<i64> {
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    (stored.nature != Nature::Immutable).then(|| seconds(lifetime) - seconds(age))
}

/// A tenth of the age that the object had (section 4.2.2), where its status, or `public`, allows to guess.
fn guess(stored: &Stored<'_>, control: &CacheControl) -> u64 {
    if !HEURISTIC_STATUSES.contains(&stored.status) && !control.public {
        return 0;
    }
    let from = date(stored.headers, &DATE).unwrap_or(stored.responded);
    date(stored.headers, &LAST_MODIFIED)
        .and_then(|modified| from.duration_since(modified).ok())
        .map_or(0, |age| (age.as_secs() / 10).min(LONGEST_GUESS))
}

/// The current age in seconds (section 4.2.3).
pub fn current_age(stored: &Stored<'_>, now: SystemTime) -> u64 {
    Terms::of(stored).age(now)
}

fn since(later: SystemTime, earlier: SystemTime) -> u64 {
    later.duration_since(earlier).unwrap_or(Duration::ZERO).as_secs()
}

/// Of several values of `Age` the first counts, and one that is not a number counts for nothing (section 5.1).
fn age_on_arrival(stored: &Stored<'_>) -> u64 {
    let apparent = date(stored.headers, &DATE).map_or(0, |date| since(stored.responded, date));
    let value = stored.headers.get(AGE).and_then(|value| value.to_str().ok());
    let value = value.and_then(|text| seconds(text.split(',').next().unwrap_or_default().trim())).unwrap_or(0);
    let corrected = value.saturating_add(since(stored.responded, stored.requested));
    apparent.max(corrected)
}

/// Whether a stored response may answer this request now (sections 4.2 and 5.2.1, and the rules).
pub fn judge(stored: &Stored<'_>, request: &CacheControl, now: SystemTime, run: Option<SystemTime>) -> Judgement {
    judge_by(&Terms::of(stored), stored, request, now, run)
}

/// The same, where the response's terms are known.
pub fn judge_by(
    terms: &Terms,
    stored: &Stored<'_>,
    request: &CacheControl,
    now: SystemTime,
    run: Option<SystemTime>,
) -> Judgement {
    let response = &terms.control;
    let has_explicit = || terms.explicit.is_some() || response.no_cache;
    let to_come = stored.responded.duration_since(now).is_ok_and(|ahead| ahead > AHEAD);
    match stored.nature {
        Nature::Immutable => return Judgement::Use("its digest is known"),
        // It would stay fresh until the clock has come so far again.
        _ if to_come => return Judgement::Ask("stored at a time that is yet to come"),
        // Within one run a build sees one state of each package and index, and upstream is asked once.
        Nature::Lasting if run.is_some_and(|run| stored.responded >= run) => {
            return Judgement::Use("confirmed in this run");
        }
        // To ask would mean to fetch it again, every run.
        Nature::Lasting if !has_validator(stored.headers) && !has_explicit() => {
            return Judgement::Use("nothing to revalidate it by");
        }
        Nature::Mutable if !request.no_cache && run.is_some_and(|run| stored.responded >= run) => {
            return Judgement::Use("confirmed in this run");
        }
        _ => {}
    }
    if request.no_cache {
        return Judgement::Ask("the client asked for revalidation");
    }
    if response.no_cache {
        return Judgement::Ask("stored with no-cache");
    }
    let (age, lifetime) = (terms.age(now), terms.lifetime(stored.nature));
    if request.max_age.is_some_and(|limit| age > limit || (limit == 0)) {
        return Judgement::Ask("older than the client's max-age");
    }
    if request.min_fresh.is_some_and(|wanted| age.saturating_add(wanted) > lifetime) {
        return Judgement::Ask("less fresh than the client's min-fresh");
    }
    if age < lifetime {
        return Judgement::Use("fresh");
    }
    stale(response, request, age - lifetime).unwrap_or(Judgement::Ask(if lifetime == 0 {
        "no lifetime given"
    } else {
        "its lifetime is over"
    }))
}

/// Whether what has been stale for `over` seconds may be used all the same (sections 4.2.4 and 5.2.1.2).
fn stale(response: &CacheControl, request: &CacheControl, over: u64) -> Option<Judgement> {
    if forbids_stale(response) {
        return None;
    }
    if request.max_stale.is_some_and(|limit| over <= limit) {
        return Some(Judgement::Use("stale within the client's max-stale"));
    }
    let asked_behind = response.stale_while_revalidate.is_some_and(|limit| over <= limit);
    asked_behind.then_some(Judgement::UseAndAsk("stale within its stale-while-revalidate"))
}

/// Whether a stored response may answer though upstream cannot be asked (section 4.2.4). `reached` tells an upstream
/// that answered with a server error from one that did not answer.
pub fn may_serve_stale(stored: &Stored<'_>, request: &CacheControl, now: SystemTime, reached: bool) -> bool {
    if stored.nature != Nature::Plain {
        return true;
    }
    let terms = Terms::of(stored);
    let response = &terms.control;
    // An old error is no better than a new one.
    if forbids_stale(response) || stored.status >= 500 {
        return false;
    }
    if !reached {
        return true;
    }
    let over = terms.age(now).saturating_sub(terms.lifetime(stored.nature));
    response.stale_if_error.or(request.stale_if_error).is_some_and(|limit| over <= limit)
}

fn forbids_stale(response: &CacheControl) -> bool {
    response.must_revalidate || response.proxy_revalidate || response.s_maxage.is_some() || response.no_cache
}

#[cfg(test)]
mod tests;
