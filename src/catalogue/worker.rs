//! Evaluates forms beside the thread that draws: only the newest request matters.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Around;
use super::evaluate::{Evaluated, Request, evaluate};
use crate::error::{Context as _, Result};

/// How long typing must rest before it is evaluated.
pub const REST: Duration = Duration::from_millis(120);

/// Hands requests to a thread of its own. Dropped, it ends the thread, whose answer under way is not given.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The newest request, its number, and when it may be taken.
    waiting: Option<(u64, Request, Instant)>,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// Starts the thread. `answer` is called in it with the number of the request.
    pub fn start(around: Around, answer: impl Fn(u64, Evaluated) + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        thread::Builder::new()
            .name("form".to_owned())
            .spawn(move || {
                while let Some((number, request)) = next(&own) {
                    let evaluated = evaluate(&around, &request);
                    let state = own.lock();
                    // What has been typed since makes the answer stale.
                    if !state.ended && state.waiting.is_none() {
                        drop(state);
                        answer(number, evaluated);
                    }
                }
            })
            .context(|| "cannot start a thread".to_owned())?;
        Ok(Self { shared })
    }

    /// Asks for an evaluation after `rest`, instead of any that has not begun.
    pub fn ask(&self, number: u64, request: Request, rest: Duration) {
        self.shared.lock().waiting = Some((number, request, Instant::now() + rest));
        self.shared.changed.notify_one();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
    }
}

/// Waits for a request that has rested; `None` when there will be no more.
fn next(shared: &Shared) -> Option<(u64, Request)> {
    let mut state = shared.lock();
    loop {
        if state.ended {
            return None;
        }
        let left = state.waiting.as_ref().map(|(_, _, due)| due.saturating_duration_since(Instant::now()));
        state = match left {
            Some(Duration::ZERO) => {
                let (number, request, _) = state.waiting.take()?;
                return Some((number, request));
            }
            Some(left) => shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}
