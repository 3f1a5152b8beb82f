//! How a mirror does, by what became of requests to it: no clock and no network of its own.
//!
//! ```text
//!            a hard failure, or the third soft one in a row
//!        up ---------------------------------------------> down, for a while
//!         ^                                                  |  ^
//!         | an answer                          the time is up |  | a failure: twice as long
//!         |                                                  v  |
//!         +---------------------------------------------- being probed
//! ```
//!
//! A mirror that is down is asked last, and only probed beside a request that another one answers, so that finding out
//! costs the build nothing.

use std::time::{Duration, Instant};

/// For how long a mirror is passed over after its first failure; each further one doubles it.
const FIRST_BACK_OFF: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(2);
/// The longest that a mirror's own Retry-After is heeded.
const LONGEST_WISH: Duration = Duration::from_mins(5);
/// Soft failures in a row that make a mirror go down.
const SOFT_LIMIT: u32 = 3;
/// A probe that has said nothing for so long is lost, and there may be another.
const PROBE_LOST: Duration = Duration::from_secs(30);

/// What speaks against a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, no TLS, no answer, none in time, or a body that broke off: asking again would cost time.
    Hard,
    /// An answer that tells of a failure: it may concern this one URL.
    Soft,
    /// It asks not to be asked for so long (RFC 9110 section 10.2.3).
    Busy(Duration),
}

/// What is known of a mirror.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Failures since the last answer.
    row: u32,
    /// How often it has gone down, or stayed so, since it was up.
    rounds: u32,
    down_until: Option<Instant>,
    probe_since: Option<Instant>,
    last_failure: Option<(Instant, String)>,
    answered: u64,
    failed: u64,
}

/// How a mirror stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Asked in its turn.
    Up,
    /// Asked last, and not probed for so long.
    Down(Duration),
    /// Asked last; it is time for a probe, or one is under way.
    Doubtful,
}

/// What an observation has changed, for whoever tells people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing worth telling.
    None,
    /// It has just gone down, for so long.
    WentDown(Duration),
    /// It is up again.
    CameBack,
}

impl Health {
    /// How it stands at `now`.
    pub fn standing(&self, now: Instant) -> Standing {
        match self.down_until {
            None => Standing::Up,
            Some(until) if until > now => Standing::Down(until - now),
            Some(_) => Standing::Doubtful,
        }
    }

    /// Notes an answer that speaks for it.
    pub fn answered(&mut self, now: Instant) -> Change {
        let was = self.standing(now);
        self.answered += 1;
        self.row = 0;
        self.rounds = 0;
        self.down_until = None;
        self.probe_since = None;
        if was == Standing::Up { Change::None } else { Change::CameBack }
    }

    /// Notes a failure, and why, for people.
    pub fn failed(&mut self, now: Instant, failure: &Failure, why: impl Into<String>) -> Change {
        let was = self.standing(now);
        self.failed += 1;
        self.row = self.row.saturating_add(1);
        self.last_failure = Some((now, why.into()));
        if let (Standing::Down(_), None) = (was, self.probe_since) {
            // It was asked for want of another, and its time is not up: that tells nothing new.
            return Change::None;
        }
        self.probe_since = None;
        let wish = match failure {
            Failure::Soft if was == Standing::Up && self.row < SOFT_LIMIT => return Change::None,
            Failure::Busy(wish) => (*wish).min(LONGEST_WISH),
            _ => Duration::ZERO,
        };
        let pause = FIRST_BACK_OFF.saturating_mul(1 << self.rounds.min(16)).min(LONGEST_BACK_OFF).max(wish);
        self.rounds = self.rounds.saturating_add(1);
        self.down_until = Some(now + pause);
        if was == Standing::Up { Change::WentDown(pause) } else { Change::None }
    }

    /// Whether a probe is to be sent now; if so, it counts as sent.
    pub fn begin_probe(&mut self, now: Instant) -> bool {
        let under_way = self.probe_since.is_some_and(|since| now.duration_since(since) < PROBE_LOST);
        let due = self.standing(now) == Standing::Doubtful && !under_way;
        if due {
            self.probe_since = Some(now);
        }
        due
    }

    /// When it last failed, and why.
    pub fn last_failure(&self) -> Option<(Instant, &str)> {
        self.last_failure.as_ref().map(|(at, why)| (*at, why.as_str()))
    }

    /// How many answers spoke for it and how many against it.
    pub fn counts(&self) -> (u64, u64) {
        (self.answered, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Seen {
        Answer,
        Hard,
        Soft,
        Busy(u64),
        Probe(bool),
    }
    use Seen::{Answer, Busy, Hard, Probe, Soft};

    /// Each row: seconds since the beginning, what is seen, and how it stands then (0 up, -1 doubtful, else seconds down).
    fn play(rows: &[(u64, Seen, i64)]) {
        let begin = Instant::now();
        let mut health = Health::default();
        for (index, (at, seen, expected)) in rows.iter().enumerate() {
            let now = begin + Duration::from_secs(*at);
            match seen {
                Answer => _ = health.answered(now),
                Hard => _ = health.failed(now, &Failure::Hard, "no connection"),
                Soft => _ = health.failed(now, &Failure::Soft, "502"),
                Busy(wish) => _ = health.failed(now, &Failure::Busy(Duration::from_secs(*wish)), "503"),
                Probe(due) => assert_eq!(health.begin_probe(now), *due, "row {index}"),
            }
            let standing = match health.standing(now) {
                Standing::Up => 0,
                Standing::Doubtful => -1,
                Standing::Down(left) => i64::try_from(left.as_secs()).unwrap(),
            };
            assert_eq!(standing, *expected, "row {index}");
        }
    }

    #[test]
    fn a_hard_failure_tells_at_once_and_a_soft_one_the_third_time() {
        play(&[(0, Answer, 0), (1, Hard, 2)]);
        play(&[(0, Soft, 0), (0, Soft, 0), (0, Soft, 2)]);
        play(&[(0, Soft, 0), (0, Soft, 0), (0, Answer, 0), (0, Soft, 0), (0, Soft, 0)]);
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_a_limit() {
        play(&[
            (0, Hard, 2),
            (1, Probe(false), 1),
            (2, Probe(true), -1),
            (2, Probe(false), -1),
            (3, Hard, 4),
            (7, Probe(true), -1),
            (7, Soft, 8),
            (15, Probe(true), -1),
            (15, Hard, 16),
            (31, Probe(true), -1),
            (31, Hard, 32),
            (63, Probe(true), -1),
            (63, Hard, 64),
            (127, Probe(true), -1),
            (127, Hard, 120),
            (247, Probe(true), -1),
            (247, Hard, 120),
            (367, Probe(true), -1),
            (367, Answer, 0),
            (368, Hard, 2),
        ]);
    }

    #[test]
    fn a_lost_probe_is_replaced() {
        play(&[(0, Hard, 2), (2, Probe(true), -1), (31, Probe(false), -1), (32, Probe(true), -1)]);
    }

    #[test]
    fn requests_made_for_want_of_another_do_not_lengthen_the_pause() {
        play(&[(0, Hard, 2), (1, Hard, 1), (1, Hard, 1), (2, Probe(true), -1), (2, Hard, 4)]);
        play(&[(0, Hard, 2), (1, Answer, 0)]);
    }

    #[test]
    fn a_wish_is_heeded_within_limits() {
        play(&[(0, Busy(30), 30), (30, Probe(true), -1)]);
        play(&[(0, Busy(86_400), 300)]);
        play(&[(0, Busy(0), 2)]);
    }

    #[test]
    fn what_changes_is_told_once() {
        let now = Instant::now();
        let mut health = Health::default();
        assert_eq!(health.failed(now, &Failure::Soft, "a"), Change::None);
        assert_eq!(health.failed(now, &Failure::Hard, "b"), Change::WentDown(FIRST_BACK_OFF));
        assert_eq!(health.failed(now, &Failure::Hard, "c"), Change::None);
        assert_eq!(health.last_failure(), Some((now, "c")));
        assert_eq!(health.answered(now), Change::CameBack);
        assert_eq!(health.answered(now), Change::None);
        assert_eq!(health.counts(), (2, 3));
    }
}
