//! Times, counted in classes that are at most 3 % wide.

use std::time::Duration;

/// Twice the classes that a power of two is split into.
const SPLIT: u64 = 64;
/// Powers of two, from the first that is split: up to more than an hour.
const POWERS: usize = 38;

#[derive(Clone)]
pub(crate) struct Histogram {
    classes: Vec<u32>,
    count: u64,
    longest: Duration,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { classes: vec![0; POWERS * 64], count: 0, longest: Duration::ZERO }
    }

    pub(crate) fn note(&mut self, time: Duration) {
        let class = class(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).min(self.classes.len() - 1);
        self.classes[class] += 1;
        self.count += 1;
        self.longest = self.longest.max(time);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.classes.iter_mut().zip(&other.classes) {
            *mine += theirs;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// The time within which `share` of all were.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut left = share * self.count as f64;
        for (class, number) in self.classes.iter().enumerate() {
            left -= f64::from(*number);
            if *number > 0 && left <= 0.0 {
                return Duration::from_nanos(upper_end(class as u64)).min(self.longest);
            }
        }
        self.longest
    }
}

/// The class of a time: its power of two, and within that its first bits.
fn class(nanos: u64) -> usize {
    let shift = (nanos / SPLIT).checked_ilog2().map_or(0, |power| power + 1);
    usize::try_from(u64::from(shift) * SPLIT + (nanos >> shift)).unwrap_or(usize::MAX)
}

fn upper_end(class: u64) -> u64 {
    ((class % SPLIT + 1) << (class / SPLIT)) - 1
}
