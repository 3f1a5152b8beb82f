//! How the proxies on the ways upstream do, in figures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::client::NetworkOrigin;
use super::standing::Part;

/// Proxies that are told of; a PAC script may find many.
const MOST: usize = 64;

/// What a proxy failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To be reached.
    Connect,
    /// TLS with it.
    Tls,
    /// To know who asks: it refused the login, or wants one that is not there.
    Login,
    /// To do what it was asked for: it answered with a failure, with nonsense, too late or not at all.
    Answer,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Tls, Self::Login, Self::Answer];

    /// Its word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Answer => "answer",
        }
    }
}

/// How a proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Whether it is asked in its turn.
    pub is_up: bool,
    /// How long it takes until a way by it is ready, smoothed; for `http` URLs until the answer. `None` before the first.
    pub took: Option<Duration>,
    /// How often it failed, in the order of [`Step::ALL`].
    pub failures: [u64; Step::ALL.len()],
}

impl Default for Figures {
    fn default() -> Self {
        Self { is_up: true, took: None, failures: [0; Step::ALL.len()] }
    }
}

impl NetworkOrigin {
    /// The proxies that the settings name, and those that a PAC script has found: each as the settings write it, but
    /// without user and password, and behind those it is reached through (`http://a:3128 > http://b:3128`).
    pub(crate) fn figures(&self, now: Instant) -> BTreeMap<String, Figures> {
        let named = self.net.upstream.ways().flat_map(|route| Part::all(route, ""));
        let mut all: BTreeMap<String, Figures> =
            named.filter_map(|part| Some((part.name()?, Figures::default()))).collect();
        for (name, found) in self.net.ways.standings().figures(now) {
            if all.len() >= MOST && !all.contains_key(&name) {
                continue;
            }
            // The same proxy for two users is one to who reads this.
            let one = all.entry(name).or_default();
            one.is_up &= found.is_up;
            one.took = one.took.max(found.took);
            for (sum, more) in one.failures.iter_mut().zip(found.failures) {
                *sum += more;
            }
        }
        all
    }
}
