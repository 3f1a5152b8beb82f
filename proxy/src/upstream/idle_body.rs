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

/// Wraps what hyper reads from a peer.
pub(crate) struct IdleBody {
    inner: Incoming,
    limit: Duration,
    /// Made at the first wait, and set anew for each.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the peer is being waited for.
    waiting: bool,
    /// Where the bytes come from, for the error.
    peer: String,
    _reading: Option<Arc<Reading>>,
}

impl IdleBody {
    pub(crate) fn new(inner: Incoming, limit: Duration, peer: String) -> Self {
        Self { inner, limit, timer: None, waiting: false, peer, _reading: None }
    }

    /// Tells the request's body when this one, the answer's, has been read.
    pub(super) fn telling(self, reading: Option<Arc<Reading>>) -> Self {
        Self { _reading: reading, ..self }
    }
}

impl Body for IdleBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(frame) => {
                    this.waiting = false;
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
                    if !this.waiting {
                        timer.as_mut().reset(deadline());
                        this.waiting = true;
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
