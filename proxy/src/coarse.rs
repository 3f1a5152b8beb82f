//! A clock for what is asked several times a request, and need not be known to better than a few milliseconds.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time since some moment. It never goes back.
pub(crate) fn now() -> Duration {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}
