//! Limits on how long a peer may take, which stand still while something of our own is waited for: a command that gives a
//! password, or a ticket. Neither says anything of the way.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

tokio::task_local! {
    /// The clock of what is polled within.
    static CLOCK: Arc<Clock>;
}

/// Measures time without what is our own.
struct Clock {
    /// Of what this is a part of: what stands still here stands still there.
    outer: Option<Arc<Self>>,
    begun: Instant,
    state: Mutex<State>,
    goes_on: Notify,
}

#[derive(Default)]
struct State {
    /// How many wait for something of our own, and since when.
    waiting: usize,
    since: Option<Instant>,
    own: Duration,
}

impl Clock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        let mut state = self.state();
        state.waiting += 1;
        state.since.get_or_insert_with(Instant::now);
        drop(state);
        if let Some(outer) = &self.outer {
            outer.stop();
        }
    }

    fn go_on(&self) {
        let mut state = self.state();
        state.waiting -= 1;
        if state.waiting == 0 {
            let stood = state.since.take().map_or(Duration::ZERO, |since| since.elapsed());
            state.own += stood;
            self.goes_on.notify_one();
        }
        drop(state);
        if let Some(outer) = &self.outer {
            outer.go_on();
        }
    }

    /// What peers took so far, and whether the clock stands still.
    fn read(&self) -> (Duration, bool) {
        let state = self.state();
        let now = state.since.map_or(Duration::ZERO, |since| since.elapsed());
        (self.begun.elapsed().saturating_sub(state.own + now), state.since.is_some())
    }
}

/// Does some work, and says how long it took without what [`own`] did in it. `None`: it took longer than `limit`.
///
/// The work is boxed: it is most of what is done for a request, and would be held twice.
pub(super) fn measured<F: Future>(
    limit: Option<Duration>,
    work: F,
) -> impl Future<Output = (Option<F::Output>, Duration)> {
    let clock = Arc::new(Clock {
        outer: CLOCK.try_with(Arc::clone).ok(),
        begun: Instant::now(),
        state: Mutex::default(),
        goes_on: Notify::new(),
    });
    let work = Box::pin(CLOCK.scope(clock.clone(), work));
    wait(clock, limit, work)
}

async fn wait<F: Future + Unpin>(
    clock: Arc<Clock>,
    limit: Option<Duration>,
    mut work: F,
) -> (Option<F::Output>, Duration) {
    loop {
        let (took, stands) = clock.read();
        let left = limit.map(|limit| limit.saturating_sub(took));
        if left.is_some_and(|left| left.is_zero()) && !stands {
            return (None, took);
        }
        let wait = async {
            match left {
                Some(left) if !stands => tokio::time::sleep(left).await,
                Some(_) => clock.goes_on.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            output = &mut work => return (Some(output), clock.read().0),
            () = wait => {}
        }
    }
}

/// The same without a limit.
pub(super) async fn unlimited<F: Future>(work: F) -> (F::Output, Duration) {
    match measured(None, work).await {
        (Some(output), took) => (output, took),
        (None, _) => unreachable!("there is no limit that could be over"),
    }
}

/// The same where only the limit matters.
pub(super) async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    measured(Some(limit), work).await.0
}

/// Does something of our own, which is not counted.
pub(super) async fn own<F: Future>(work: F) -> F::Output {
    let _stopped = CLOCK.try_with(|clock| Stopped::new(clock.clone()));
    work.await
}

struct Stopped(Arc<Clock>);

impl Stopped {
    fn new(clock: Arc<Clock>) -> Self {
        clock.stop();
        Self(clock)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.go_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_millis(120);

    #[tokio::test]
    async fn what_is_our_own_is_not_counted() {
        let work = async {
            own(tokio::time::sleep(LONG)).await;
            7
        };
        let (output, took) = measured(Some(SHORT), work).await;
        assert_eq!(output, Some(7));
        assert!(took < LONG, "{took:?}");
    }

    #[tokio::test]
    async fn peers_are_waited_for_no_longer_than_the_limit() {
        let never = || std::future::pending::<()>();
        assert_eq!(within(SHORT, never()).await, None);
        // What was our own before that does not make it longer without end, nor does a limit within one.
        let mixed = async {
            own(tokio::time::sleep(LONG)).await;
            never().await;
        };
        assert_eq!(within(SHORT, mixed).await, None);
        let nested = within(SHORT, within(LONG * 100, async { own(tokio::time::sleep(LONG)).await }));
        assert_eq!(nested.await, Some(Some(())));
        let nested = within(SHORT, within(LONG * 100, never()));
        assert_eq!(nested.await, None);
    }
}
