//! What Larder must reach beside its peers.

use crate::sample::Sample;
use crate::table::{Bound, Goal, median};

/// Scenario, peer, how many times as fast at least.
const RATIOS: [(&str, &str, f64); 9] = [
    ("1k", "squid", 2.0),
    ("1k", "trafficserver", 1.2),
    ("64k", "trafficserver", 1.2),
    ("1k-tls", "squid", 3.0),
    ("new", "nginx", 0.8),
    ("new", "squid", 5.0),
    ("1g-hit", "nginx", 0.8),
    ("1g-miss", "trafficserver", 1.0),
    ("1g-miss", "squid", 1.0),
];
/// The same, where it would be good to be.
const AIMS: [(&str, &str, f64); 2] = [("1k", "nginx", 1.0), ("new", "nginx", 1.2)];
/// Most megabytes of memory with 64 clients.
const MEMORY: f64 = 80.0;

pub(crate) fn of<'a>(samples: &'a [Sample], scenario: &'a str, peer: &'a str) -> impl Iterator<Item = &'a Sample> {
    samples.iter().filter(move |sample| sample.scenario == scenario && sample.peer == peer)
}

/// How many times as fast as a peer Larder is: the median of what it is in each round.
pub(crate) fn ratio(samples: &[Sample], scenario: &str, peer: &str) -> f64 {
    let rounds = of(samples, scenario, "larder").zip(of(samples, scenario, peer));
    median(rounds.map(|(larder, other)| larder.rate / other.rate))
}

/// Those that were measured.
pub(crate) fn goals(samples: &[Sample]) -> Vec<Goal> {
    let goal = |(scenario, peer): (&str, &str), bound| Goal {
        what: format!("{scenario}: larder / {peer}"),
        measured: ratio(samples, scenario, peer),
        bound: Some(bound),
    };
    let ratios = RATIOS.map(|(scenario, peer, bound)| goal((scenario, peer), Bound::AtLeast(bound)));
    let aims = AIMS.map(|(scenario, peer, aim)| goal((scenario, peer), Bound::Aim(aim)));
    let clients = samples.iter().filter(|sample| sample.peer == "larder" && !sample.scenario.starts_with("1g"));
    let most = clients.map(|sample| sample.resident).max();
    let memory = Goal {
        what: "larder's memory with 64 clients, MB".to_owned(),
        measured: most.map_or(f64::NAN, |bytes| bytes as f64 / 1e6),
        bound: Some(Bound::AtMost(MEMORY)),
    };
    ratios.into_iter().chain(aims).chain([memory]).filter(|goal| !goal.measured.is_nan()).collect()
}
