//! How much went on in each of the last seconds.

use std::collections::VecDeque;

/// Seconds kept.
const KEPT: usize = 160;

/// Requests and bytes of the last seconds, the newest last.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// Requests that ended.
    pub requests: VecDeque<u64>,
    /// Bytes sent to clients.
    pub bytes: VecDeque<u64>,
    counted: (u64, u64),
}

impl Rates {
    /// A second has passed; so many requests have ended, and so many bytes have been sent, since the run began.
    pub fn second(&mut self, requests: u64, bytes: u64) {
        // What is under way and what has ended are looked at one after the other: together they may seem to shrink.
        let (requests, bytes) = (requests.max(self.counted.0), bytes.max(self.counted.1));
        push(&mut self.requests, requests - self.counted.0);
        push(&mut self.bytes, bytes - self.counted.1);
        self.counted = (requests, bytes);
    }
}

fn push(ring: &mut VecDeque<u64>, value: u64) {
    if ring.len() == KEPT {
        ring.pop_front();
    }
    ring.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_what_came_in_it_and_nothing_is_counted_twice() {
        let mut rates = Rates::default();
        for (requests, bytes) in [(3, 100), (3, 400), (5, 350), (6, 500)] {
            rates.second(requests, bytes);
        }
        assert_eq!(rates.requests, [3, 0, 2, 1]);
        assert_eq!(rates.bytes, [100, 300, 0, 100]);
        for _ in 0..500 {
            rates.second(6, 500);
        }
        assert_eq!(rates.bytes.len(), KEPT);
    }
}
