//! The limit on how long a request's head may take, for one connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use tokio::time;

/// Keeps one timer for all requests of a connection.
///
/// hyper asks for a new one before each head and drops it after: on a busy connection, two changes of the runtime's
/// list of timers a request, under its lock. What is asked for here stays where it is, and is only set anew when it
/// goes off too early.
#[derive(Clone, Debug)]
pub(crate) struct HeadTimer {
    timer: Arc<Mutex<Pin<Box<time::Sleep>>>>,
}

impl HeadTimer {
    /// To be called on the runtime that serves the connection.
    pub(crate) fn new() -> Self {
        Self { timer: Arc::new(Mutex::new(Box::pin(time::sleep(Duration::ZERO)))) }
    }

    fn until(&self, deadline: Instant) -> HeadSleep {
        HeadSleep { deadline: deadline.into(), timer: self.timer.clone() }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.until(Instant::now() + duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.until(deadline))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        *sleep = self.sleep_until(deadline);
    }

    fn now(&self) -> Instant {
        time::Instant::now().into_std()
    }
}

/// Until a moment, by the connection's timer.
struct HeadSleep {
    deadline: time::Instant,
    timer: Arc<Mutex<Pin<Box<time::Sleep>>>>,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        if timer.deadline() > self.deadline {
            timer.as_mut().reset(self.deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            // It was set for a head that has long been read.
            timer.as_mut().reset(self.deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_head_has_its_whole_time_and_no_more() {
        let timer = HeadTimer::new();
        let begun = time::Instant::now();
        let second = Duration::from_secs(1);
        // Read long before its time, as heads are.
        let mut first = timer.sleep_until(timer.now() + 30 * second);
        assert_eq!(first.as_mut().now_or_never(), None);
        drop(first);
        time::advance(10 * second).await;
        timer.sleep_until(timer.now() + 30 * second).await;
        assert_eq!(begun.elapsed(), 40 * second);
        // A shorter limit than the timer was set for.
        let long = timer.sleep_until(timer.now() + 30 * second);
        assert_eq!(long.now_or_never(), None);
        timer.sleep_until(timer.now() + second).await;
        assert_eq!(begun.elapsed(), 41 * second);
        // And one set anew.
        let mut again = timer.sleep_until(timer.now() + second);
        let later = timer.now() + 2 * second;
        timer.reset(&mut again, later);
        again.await;
        assert_eq!(begun.elapsed(), 43 * second);
    }
}
