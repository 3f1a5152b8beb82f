//! Whether a client takes what it has asked for.
//!
//! hyper waits without a limit for a client that reads nothing, or on HTTP/2 opens no window; all the while the answer
//! holds a connection upstream, or an open file.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::coarse;

/// However short the limit, between two looks there is a pause.
const SHORTEST: Duration = Duration::from_millis(1);

/// How the answers on one connection are taken.
pub(crate) struct Taking {
    state: Mutex<State>,
}

struct State {
    /// Answers of which something waits for the client.
    offers: usize,
    /// When it last took something.
    last: Duration,
}

impl Default for Taking {
    fn default() -> Self {
        Self { state: Mutex::new(State { offers: 0, last: coarse::now() }) }
    }
}

impl Taking {
    /// An answer has something for the client, and had nothing before.
    pub(crate) fn offers(&self) {
        let mut state = self.lock();
        state.offers += 1;
        state.last = coarse::now();
    }

    /// The client has taken something; there is more.
    pub(crate) fn took(&self) {
        self.lock().last = coarse::now();
    }

    /// Nothing of an answer waits for the client any more.
    pub(crate) fn waits(&self) {
        let mut state = self.lock();
        state.offers = state.offers.saturating_sub(1);
        state.last = coarse::now();
    }

    /// Returns when something has waited for the client that long, and nothing was taken on the whole connection.
    ///
    /// It looks by itself from time to time, and is told of nothing: a small answer must not wake its own connection.
    /// What is offered between two looks is not over time before the second, so that none is missed.
    pub(crate) async fn stalled(&self, limit: Duration) {
        let wait = limit.max(SHORTEST);
        loop {
            let (offers, last) = {
                let state = self.lock();
                (state.offers, state.last)
            };
            let idle = coarse::now().saturating_sub(last);
            if offers > 0 && idle >= limit {
                return;
            }
            sleep(if offers > 0 { wait.saturating_sub(idle).max(SHORTEST) } else { wait }).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_what_waits_for_the_client_counts() {
        let taking = Taking::default();
        let at_once = || taking.stalled(Duration::ZERO).now_or_never();
        // Nothing is offered.
        assert_eq!(at_once(), None);
        taking.offers();
        taking.took();
        assert_eq!(taking.stalled(Duration::from_hours(1)).now_or_never(), None);
        assert_eq!(at_once(), Some(()));
        // What upstream does not send is not the client's fault.
        taking.waits();
        assert_eq!(at_once(), None);
    }
}
