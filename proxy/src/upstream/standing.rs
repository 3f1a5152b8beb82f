//! How the ways do: which proxies answer, and how quickly.
//!
//! A proxy is known with those before it: that it answers by one chain says nothing of another.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use super::figures::{Figures, Step};
use super::route::{ProxyUrl, Route};
use crate::mirror::health::{Change, Failure, Health, Standing};

/// Ways, and parts of ways, of which something is known.
const MOST: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
/// A way is slow if it takes longer than the quickest so many times...
const SLOW_FACTOR: u32 = 4;
/// ...and this.
const SLOW_MARGIN: Duration = Duration::from_millis(250);
/// What was measured of a slow way so long ago is measured again.
const MEASURED: Duration = Duration::from_secs(20);

/// What the standing is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The last of these proxies, reached by those before it.
    Hops(Vec<ProxyUrl>),
    /// The direct way to one host: that another cannot be reached directly says nothing of this one.
    Direct(String),
}

impl Part {
    /// The whole of a route.
    pub(super) fn whole(route: &Route, host: &str) -> Self {
        Self::first(route, route.hops.len(), host)
    }

    /// The first `number` proxies.
    pub(super) fn first(route: &Route, number: usize, host: &str) -> Self {
        if route.is_direct() {
            return Self::Direct(host.to_owned());
        }
        Self::Hops(route.hops.iter().take(number.max(1)).cloned().collect())
    }

    /// A proxy's name, without user and password.
    pub(super) fn name(&self) -> Option<String> {
        let Self::Hops(hops) = self else { return None };
        Some(hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(" > "))
    }

    /// The proxies of a route, each with those before it; or the host, where there are none.
    pub(super) fn all(route: &Route, host: &str) -> impl Iterator<Item = Self> {
        (1..=route.hops.len().max(1)).map(move |number| Self::first(route, number, host))
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hops(hops) => Route { hops: hops.clone() }.fmt(f),
            Self::Direct(host) => write!(f, "direct way to {host}"),
        }
    }
}

#[derive(Debug, Default)]
struct Known {
    health: Health,
    /// How long it takes to be ready, smoothed, and when that was last measured.
    took: Option<(Duration, Instant)>,
    measuring: Option<Instant>,
    /// The last failure left no doubt that it is not to be had.
    is_dead: bool,
    /// Failures, by what it failed at.
    failures: [u64; Step::ALL.len()],
}

/// What is known of all ways.
#[derive(Debug)]
pub(super) struct Standings {
    known: Mutex<LruCache<Part, Known>>,
}

/// Ways in the order they are tried, and those that are to be looked at beside that.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arranged {
    pub(super) routes: Vec<Route>,
    pub(super) probe: Vec<Route>,
}

impl Default for Standings {
    fn default() -> Self {
        Self { known: Mutex::new(LruCache::new(MOST)) }
    }
}

impl Standings {
    /// Notes that every proxy of a route has done its part, and how long that took, where it was measured.
    pub(super) fn answered(&self, route: &Route, host: &str, took: Option<Duration>, now: Instant) {
        for part in Part::all(route, host) {
            let mut known = self.lock();
            let one = known.get_or_insert_mut(part.clone(), Known::default);
            one.is_dead = false;
            if one.health.answered(now) == Change::CameBack {
                tracing::warn!("{part}: works again");
            }
        }
        if let Some(took) = took {
            let mut known = self.lock();
            let one = known.get_or_insert_mut(Part::whole(route, host), Known::default);
            let smoothed = one.took.map_or(took, |(before, _)| (before * 2 + took) / 3);
            one.took = Some((smoothed, now));
            one.measuring = None;
        }
    }

    /// Notes a failure.
    pub(super) fn failed(&self, part: &Part, failure: &Failure, why: &str, now: Instant) {
        let change = {
            let mut known = self.lock();
            let one = known.get_or_insert_mut(part.clone(), Known::default);
            one.is_dead = *failure == Failure::Hard;
            one.health.failed(now, failure, why)
        };
        if let (Change::WentDown(pause), Part::Hops(_)) = (change, part) {
            tracing::warn!("{part}: asked last for {} s: {why}", pause.as_secs());
        }
    }

    /// Counts a failure.
    pub(super) fn count(&self, part: &Part, step: Step) {
        self.lock().get_or_insert_mut(part.clone(), Known::default).failures[step as usize] += 1;
    }

    /// What is known of proxies, by their names.
    pub(super) fn figures(&self, now: Instant) -> Vec<(String, Figures)> {
        let known = self.lock();
        let figures = |one: &Known| Figures {
            is_up: one.health.standing(now) == Standing::Up,
            took: one.took.map(|(took, _)| took),
            failures: one.failures,
        };
        known.iter().filter_map(|(part, one)| Some((part.name()?, figures(one)))).collect()
    }

    /// Puts first what is known to be well, then what is slow beside it, then the rest; each in the order given. A direct
    /// way does not come before a proxy in front of it that may only have been asked for what is broken elsewhere.
    pub(super) fn arrange(&self, routes: Vec<Route>, host: &str, now: Instant) -> Arranged {
        if routes.len() < 2 {
            return Arranged { routes, probe: Vec::new() };
        }
        let mut known = self.lock();
        let mut probe = Vec::new();
        let (mut well, mut doubted, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        for route in routes {
            let (mut is_up, mut is_dead) = (true, false);
            for part in Part::all(&route, host) {
                let Some(one) = known.get_mut(&part) else { continue };
                let up = one.health.standing(now) == Standing::Up;
                is_up &= up;
                is_dead |= !up && one.is_dead;
                if one.health.begin_probe(now) && !probe.contains(&route) {
                    probe.push(route.clone());
                }
            }
            if is_dead {
                dead.push(route);
            } else if is_up && (doubted.is_empty() || !route.is_direct()) {
                well.push(route);
            } else {
                doubted.push(route);
            }
        }
        let took = |route: &Route| known.peek(&Part::whole(route, host)).and_then(|one| one.took);
        // That the direct way would be quicker is no reason to go around a proxy.
        let by_proxies = well.iter().filter(|route| !route.is_direct());
        let quickest = by_proxies.filter_map(|route| Some(took(route)?.0)).min();
        let limit = quickest.map(|quickest| quickest * SLOW_FACTOR + SLOW_MARGIN);
        let is_slow = |route: &Route| limit.zip(took(route)).is_some_and(|(limit, (took, _))| took > limit);
        let (slow, mut routes): (Vec<Route>, Vec<Route>) = well.into_iter().partition(is_slow);
        let recent = |since: Instant| now.duration_since(since) < MEASURED;
        // Where the first takes long, the others are measured, so that there is something to compare it with.
        let first_is_long = routes.first().and_then(took).is_some_and(|(took, _)| took > SLOW_MARGIN);
        let unmeasured = routes.iter().skip(1).filter(|route| first_is_long && !route.is_direct());
        for (route, is_slow) in slow.iter().map(|route| (route, true)).chain(unmeasured.map(|route| (route, false))) {
            let one = known.get_or_insert_mut(Part::whole(route, host), Known::default);
            let is_old = one.took.map_or(!is_slow, |(_, at)| is_slow && !recent(at));
            if is_old && !one.measuring.is_some_and(recent) {
                one.measuring = Some(now);
                probe.push(route.clone());
            }
        }
        routes.extend(slow);
        routes.extend(doubted);
        routes.extend(dead);
        Arranged { routes, probe }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Part, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(urls: &[&str]) -> Route {
        Route { hops: urls.iter().map(|url| ProxyUrl::parse(url, "test").unwrap()).collect() }
    }

    fn names(routes: &[Route]) -> Vec<String> {
        routes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_down_is_asked_last_and_looked_at_when_its_time_is_up() {
        let standings = Standings::default();
        let now = Instant::now();
        let all = [route(&["http://a:1"]), route(&["http://a:1", "http://b:1"]), route(&["http://c:1"]), Route::DIRECT];
        let arrange = |at| standings.arrange(all.to_vec(), "h", now + Duration::from_secs(at));
        assert_eq!(arrange(0).routes, all);
        standings.failed(&Part::first(&all[0], 1, "h"), &Failure::Hard, "no", now);
        let found = arrange(1);
        let expected = ["proxy http://c:1", "direct", "proxy http://a:1", "proxy http://a:1 > http://b:1"];
        assert_eq!(names(&found.routes), expected);
        assert!(found.probe.is_empty());
        assert_eq!(names(&arrange(3).probe), ["proxy http://a:1"]);
        assert!(arrange(3).probe.is_empty(), "one is under way");
        standings.answered(&all[0], "h", None, now);
        assert_eq!(arrange(4).routes, all);
        // Soft failures may be those of origins: they are no reason to go around a proxy, only to take another first.
        let (soft, other) = (all[0].clone(), all[2].clone());
        for _ in 0..3 {
            standings.failed(&Part::first(&soft, 1, "h"), &Failure::Soft, "503", now);
        }
        let found = standings.arrange(vec![soft.clone(), Route::DIRECT], "h", now);
        assert_eq!(names(&found.routes), ["proxy http://a:1", "direct"]);
        let found = standings.arrange(vec![soft.clone(), other, Route::DIRECT], "h", now);
        assert_eq!(names(&found.routes), ["proxy http://c:1", "proxy http://a:1", "direct"]);
        standings.answered(&soft, "h", None, now);
        // The direct way to one host says nothing of that to another.
        standings.failed(&Part::whole(&Route::DIRECT, "h"), &Failure::Hard, "no", now);
        standings.failed(&Part::whole(&Route::DIRECT, "other"), &Failure::Hard, "no", now);
        let two = vec![Route::DIRECT, all[2].clone()];
        assert_eq!(names(&standings.arrange(two.clone(), "h", now).routes), ["proxy http://c:1", "direct"]);
        assert_eq!(names(&standings.arrange(two, "third", now).routes), ["direct", "proxy http://c:1"]);
    }

    #[test]
    fn what_is_slow_beside_another_is_asked_after_it_and_measured_again() {
        let standings = Standings::default();
        let now = Instant::now();
        let (a, b) = (route(&["http://a:1"]), route(&["http://b:1"]));
        let arrange = |at| standings.arrange(vec![a.clone(), b.clone()], "h", now + Duration::from_secs(at));
        standings.answered(&a, "h", Some(Duration::from_secs(2)), now);
        let found = arrange(0);
        assert_eq!(names(&found.routes), ["proxy http://a:1", "proxy http://b:1"], "nothing to compare with");
        assert_eq!(names(&found.probe), ["proxy http://b:1"], "so that there is");
        assert!(arrange(1).probe.is_empty(), "one is under way");
        standings.answered(&b, "h", Some(Duration::from_millis(50)), now);
        assert_eq!(names(&arrange(0).routes), ["proxy http://b:1", "proxy http://a:1"]);
        assert!(arrange(19).probe.is_empty());
        assert_eq!(names(&arrange(20).probe), ["proxy http://a:1"]);
        assert!(arrange(21).probe.is_empty(), "one is under way");
        let direct = standings.arrange(vec![a.clone(), Route::DIRECT], "h", now);
        assert_eq!(names(&direct.routes), ["proxy http://a:1", "direct"], "nobody asked for a way around the proxy");
        assert!(direct.probe.is_empty());
        for _ in 0..6 {
            standings.answered(&a, "h", Some(Duration::from_millis(50)), now);
        }
        assert_eq!(names(&arrange(22).routes), ["proxy http://a:1", "proxy http://b:1"]);
    }
}
