//! A future that is looked at only when something has happened to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Waits for what hardly ever happens, beside what happens all the time.
///
/// Of futures that are waited for together, each is polled whenever one of them has woken the task. That the proxy
/// stops is told to all connections by one token, whose lock all of them would take for every packet.
pub(crate) struct Seldom<F> {
    inner: Pin<Box<F>>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

/// Woken instead of the task, which it wakes.
struct Alarm {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future> Seldom<F> {
    pub(crate) fn new(inner: F) -> Self {
        let alarm = Arc::new(Alarm { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { inner: Box::pin(inner), waker: alarm.clone().into(), alarm }
    }
}

impl<F: Future> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        // Before the look at what has rung: else it could ring in between, and wake nobody.
        this.alarm.task.register(cx.waker());
        if !this.alarm.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        this.inner.as_mut().poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_once_and_again_when_it_is_woken() {
        let polls = Arc::new(AtomicUsize::new(0));
        let (token, count) = (CancellationToken::new(), polls.clone());
        let cancelled = token.clone();
        let mut seldom = Seldom::new(async move {
            let mut cancelled = std::pin::pin!(cancelled.cancelled());
            std::future::poll_fn(|cx| {
                count.fetch_add(1, Ordering::Relaxed);
                cancelled.as_mut().poll(cx)
            })
            .await;
        });
        for _ in 0..3 {
            assert_eq!((&mut seldom).now_or_never(), None);
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        let waiting = tokio::spawn(seldom);
        tokio::task::yield_now().await;
        token.cancel();
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it wakes the task it is in").unwrap();
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }
}
