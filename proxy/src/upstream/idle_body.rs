//! What a peer sends as a body: it ends in an error when no byte arrives for too long, and of its trailers only those
//! pass that may.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::upload::Reading;
use crate::trailers;

/// How long a peer is waited for before its rate is judged.
const WINDOW: Duration = Duration::from_mins(5);

/// Wraps what hyper reads from a peer.
pub(crate) struct IdleBody<B = Incoming> {
    inner: B,
    limit: Duration,
    /// Made at the first wait, and set anew for each.
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when the peer is being waited for.
    waiting: Option<Instant>,
    /// Bytes a second that are enough; 0 for any.
    least: u64,
    /// How long the peer has been waited for since its rate was last judged, and what came. Time that the reader takes
    /// is not held against it.
    window: (Duration, u64),
    /// Where the bytes come from, for the error.
    peer: String,
    _reading: Option<Arc<Reading>>,
}

impl<B> IdleBody<B> {
    pub(crate) fn new(inner: B, limit: Duration, peer: String) -> Self {
        let window = (Duration::ZERO, 0);
        Self { inner, limit, timer: None, waiting: None, least: 0, window, peer, _reading: None }
    }

    /// Tells the request's body when this one, the answer's, has been read.
    pub(super) fn telling(self, reading: Option<Arc<Reading>>) -> Self {
        Self { _reading: reading, ..self }
    }

    /// Notes what came; an error where that is too little for the time it took.
    fn judge_rate(&mut self, came: usize) -> io::Result<()> {
        let waited = self.waiting.take().map(|since| since.elapsed()).unwrap_or_default();
        self.window = (self.window.0 + waited, self.window.1 + came as u64);
        if self.window.0 < WINDOW {
            return Ok(());
        }
        let (waited, came) = std::mem::take(&mut self.window);
        if came >= self.least.saturating_mul(waited.as_secs()) {
            return Ok(());
        }
        let message = format!(
            "{} sent {came} bytes in {} s, which is given up; `upstream_min_rate` says how slow it may be",
            self.peer,
            waited.as_secs()
        );
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    }
}

impl<B: Body> IdleBody<B> {
    /// Gives up a body of a known length that brings fewer bytes a second.
    pub(crate) fn at_least(self, rate: u64) -> Self {
        let least = if self.inner.size_hint().exact().is_some() { rate } else { 0 };
        Self { least, ..self }
    }
}

impl<B> Body for IdleBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(frame) => {
                    let came = match &frame {
                        Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                        _ => 0,
                    };
                    if let (Err(error), Some(_)) = (this.judge_rate(came), &frame) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    return Poll::Ready(match frame {
                        Some(Ok(frame)) => match frame.into_trailers() {
                            Err(data) => Some(Ok(data)),
                            Ok(trailers) => match trailers::passing(trailers) {
                                Some(trailers) => Some(Ok(Frame::trailers(trailers))),
                                None => continue,
                            },
                        },
                        Some(Err(error)) => Some(Err(io::Error::new(
                            io::ErrorKind::ConnectionAborted,
                            format!("{} broke off: {}", this.peer, chain(&error)),
                        ))),
                        None => None,
                    });
                }
                Poll::Pending => {
                    let deadline = || Instant::now() + this.limit;
                    let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline())));
                    if this.waiting.is_none() {
                        timer.as_mut().reset(deadline());
                        this.waiting = Some(Instant::now());
                    }
                    ready!(timer.as_mut().poll(cx));
                    let message = format!("{} sent nothing for {} s", this.peer, this.limit.as_secs());
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, message))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An error with its causes, for one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    /// A body that says how long it is, and brings `bytes` each time after waiting for so long.
    struct Trickle {
        bytes: usize,
        every: Duration,
        left: usize,
        known: bool,
        timer: Pin<Box<Sleep>>,
    }

    impl Body for Trickle {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            ready!(self.timer.as_mut().poll(cx));
            let next = Instant::now() + self.every;
            self.timer.as_mut().reset(next);
            let bytes = self.bytes.min(self.left);
            self.left -= bytes;
            Poll::Ready((bytes > 0).then(|| Ok(Frame::data(Bytes::from(vec![0; bytes])))))
        }

        fn size_hint(&self) -> SizeHint {
            if self.known { SizeHint::with_exact(self.left as u64) } else { SizeHint::default() }
        }
    }

    async fn read(bytes: usize, every: u64, left: usize, known: bool, rate: u64) -> Result<usize, String> {
        let every = Duration::from_secs(every);
        let timer = Box::pin(tokio::time::sleep(every));
        let body = IdleBody::new(Trickle { bytes, every, left, known, timer }, Duration::from_mins(1), "x".to_owned());
        let read = body.at_least(rate).collect().await;
        read.map(|body| body.to_bytes().len()).map_err(|error| error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        let begun = Instant::now();
        let error = read(1, 1, 1_000_000, true, 100).await.unwrap_err();
        assert_eq!(error, "x sent 300 bytes in 300 s, which is given up; `upstream_min_rate` says how slow it may be");
        assert_eq!(begun.elapsed().as_secs(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_that_keeps_the_rate_or_may_take_its_time_comes_whole() {
        // Just fast enough; no length, as events have; no lower bound set; short, and over before it is judged.
        for (bytes, every, left, known, rate) in
            [(1000, 10, 200_000, true, 100), (1, 50, 100, false, 100), (1, 1, 1000, true, 0), (1, 1, 200, true, 100)]
        {
            assert_eq!(read(bytes, every, left, known, rate).await, Ok(left), "{bytes} every {every} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_the_reader_takes_is_not_the_peers() {
        let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        let trickle = Trickle { bytes: 10, every: Duration::ZERO, left: 1000, known: true, timer };
        let mut body = IdleBody::new(trickle, Duration::from_mins(1), "x".to_owned()).at_least(100);
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_body() {
        let never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let mut body = IdleBody::new(never, Duration::from_mins(1), "x".to_owned());
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "x sent nothing for 60 s");
    }
}
