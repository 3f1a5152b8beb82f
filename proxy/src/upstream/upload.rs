//! A request's body on its way to the origin: when it begins, how it gets on, and whether it can be sent again.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::body::Body;
use crate::flow::FlowRecorder;
use crate::origin::{Phase, UpstreamError};

/// How long a client that asked for leave to send its body waits for an origin that does not answer: many origins
/// know nothing of `Expect` (RFC 9110 section 10.1.1). curl waits as long.
const LEAVE: Duration = Duration::from_secs(1);
/// Interim answers that an origin may send before the real one. A server sends one or two.
const MOST_INTERIM: usize = 32;

/// One request's body, whichever connection it is sent on.
#[derive(Clone)]
pub(crate) struct Upload {
    inner: Arc<Inner>,
}

struct Inner {
    body: Mutex<Body>,
    /// Whether any of the body has been asked for; until then the whole request can be sent again.
    begun: AtomicBool,
    /// When something last happened.
    moved: Mutex<Instant>,
    /// What ended the body early.
    broken: Mutex<Option<io::Error>>,
    /// Whether nothing is read from the client until the origin asks for it.
    expects: AtomicBool,
    /// The last time it is sent.
    attempt: Mutex<Arc<Attempt>>,
    flow: Arc<FlowRecorder>,
    interim: AtomicUsize,
    too_many: Notify,
}

/// One time that the request is sent.
#[derive(Default)]
struct Attempt {
    /// The origin has asked for the body.
    leave: Notify,
    /// The answer's head has come.
    answered: AtomicBool,
    /// The answer has been read to its end, or given up.
    over: Notify,
}

impl Upload {
    /// With `expects`, nothing is read from the client until the origin asks for it: what reading makes hyper send
    /// the client is `100 Continue`.
    pub(crate) fn new(body: Body, expects: bool, flow: Arc<FlowRecorder>) -> Self {
        let inner = Inner {
            expects: AtomicBool::new(expects && !body.is_end_stream()),
            body: Mutex::new(body),
            begun: AtomicBool::new(false),
            moved: Mutex::new(Instant::now()),
            broken: Mutex::default(),
            attempt: Mutex::default(),
            flow,
            interim: AtomicUsize::new(0),
            too_many: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The body to give to hyper, each time the request is sent.
    pub(crate) fn body(&self) -> Sending {
        let attempt = Arc::<Attempt>::default();
        *lock(&self.inner.attempt) = attempt.clone();
        let expects = self.inner.expects.load(Ordering::Relaxed);
        let leave = expects.then(|| Box::pin(attempt.leave()) as Leave);
        Sending { inner: self.inner.clone(), leave }
    }

    /// Has the body wait until the next hop asks for it, so that the request can be sent again if that asks for
    /// something else. Whether there is a body that can wait; then the request is to say so (`Expect`).
    pub(crate) fn wait_for_leave(&self) -> bool {
        let waits = self.is_whole() && !self.is_empty();
        self.inner.expects.fetch_or(waits, Ordering::Relaxed);
        waits
    }

    /// Whether there is no body.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.inner.body).is_end_stream()
    }

    /// Watches the interim answers to `request` (on HTTP/1; hyper does not show those of HTTP/2).
    pub(crate) fn watch<T>(&self, request: &mut Request<T>) {
        let inner = self.inner.clone();
        let attempt = lock(&inner.attempt).clone();
        hyper::ext::on_informational(request, move |answer| {
            inner.moved();
            if answer.status() == StatusCode::CONTINUE {
                attempt.leave.notify_one();
            }
            if inner.interim.fetch_add(1, Ordering::Relaxed) == MOST_INTERIM {
                inner.too_many.notify_one();
            }
        });
    }

    /// Whether the request can be sent again as far as its body goes.
    pub(crate) fn is_whole(&self) -> bool {
        !self.inner.begun.load(Ordering::Relaxed)
    }

    /// Waits for the answer's head: `limit` counts from the last byte of the body that was sent, so that a large
    /// upload may take its time. `peer` is named in the error.
    pub(crate) async fn answer<T>(
        &self,
        answer: impl Future<Output = T>,
        limit: Duration,
        peer: &str,
    ) -> Result<T, UpstreamError> {
        let mut answer = std::pin::pin!(answer);
        let attempt = lock(&self.inner.attempt).clone();
        self.inner.moved();
        loop {
            let deadline = *lock(&self.inner.moved) + limit;
            tokio::select! {
                answer = &mut answer => {
                    attempt.answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                () = self.inner.too_many.notified() => return Err(UpstreamError {
                    phase: Phase::Exchange,
                    message: format!("{peer} sent more than {MOST_INTERIM} interim answers, and no other"),
                    retryable: false,
                }),
                () = sleep_until(deadline) => {
                    if *lock(&self.inner.moved) + limit <= Instant::now() {
                        return Err(UpstreamError {
                            phase: Phase::Timeout,
                            message: format!("{peer} gave no answer within {} s", limit.as_secs()),
                            retryable: self.is_whole(),
                        });
                    }
                }
            }
        }
    }

    /// To be held while the answer is read.
    pub(crate) fn reading(&self) -> Reading {
        Reading(lock(&self.inner.attempt).clone())
    }

    /// What the client did wrong, where it was the client.
    pub(crate) fn failure(&self) -> Option<UpstreamError> {
        let error = lock(&self.inner.broken).take()?;
        let late = error.kind() == io::ErrorKind::TimedOut;
        Some(UpstreamError {
            phase: if late { Phase::ClientTimeout } else { Phase::Client },
            message: format!("the request's body did not arrive: {error}"),
            retryable: false,
        })
    }
}

/// Held by whoever reads the answer.
pub(crate) struct Reading(Arc<Attempt>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.over.notify_one();
    }
}

type Leave = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

impl Attempt {
    /// Waits until the body may be sent. Where the origin has answered without asking for it, it is not, and breaks
    /// off once the answer has been read: the connection cannot be used again.
    async fn leave(self: Arc<Self>) -> io::Result<()> {
        let asked = tokio::select! {
            () = self.leave.notified() => true,
            () = sleep(LEAVE) => !self.answered.load(Ordering::Relaxed),
        };
        if !asked {
            self.over.notified().await;
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the origin did not ask for the body"));
        }
        Ok(())
    }
}

impl Inner {
    fn moved(&self) {
        *lock(&self.moved) = Instant::now();
    }
}

/// The body as hyper sees it.
pub(crate) struct Sending {
    inner: Arc<Inner>,
    /// Waits for the origin to ask for the body.
    leave: Option<Leave>,
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(leave) = &mut self.leave {
            let asked = std::task::ready!(leave.as_mut().poll(cx));
            self.leave = None;
            asked?;
        }
        self.inner.begun.store(true, Ordering::Relaxed);
        let frame = std::task::ready!(Pin::new(&mut *lock(&self.inner.body)).poll_frame(cx));
        self.inner.moved();
        if let Some(Ok(frame)) = &frame {
            self.inner.flow.received(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|error| {
                let copy = io::Error::new(error.kind(), error.to_string());
                *lock(&self.inner.broken) = Some(error);
                copy
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.inner.body).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.inner.body).size_hint()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
