//! A body that ends in an error when no byte arrives for too long. Trailers are dropped: nothing that is downloaded
//! needs them, and some fields in them are dangerous (RFC 9110 section 6.5.1).

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

/// Wraps what hyper reads from a peer.
pub(crate) struct IdleBody {
    inner: Incoming,
    limit: Duration,
    /// Set while the peer is being waited for.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Where the bytes come from, for the error.
    peer: String,
}

impl IdleBody {
    pub(crate) fn new(inner: Incoming, limit: Duration, peer: String) -> Self {
        Self { inner, limit, waiting: None, peer }
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
                    this.waiting = None;
                    return Poll::Ready(match frame {
                        Some(Ok(frame)) if frame.is_data() => Some(Ok(frame)),
                        Some(Ok(_)) => continue,
                        Some(Err(error)) => Some(Err(io::Error::new(
                            io::ErrorKind::ConnectionAborted,
                            format!("{} broke off: {}", this.peer, chain(&error)),
                        ))),
                        None => None,
                    });
                }
                Poll::Pending => {
                    let limit = this.limit;
                    let sleep =
                        this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
                    ready!(sleep.as_mut().poll(cx));
                    let message = format!("{} sent nothing for {} s", this.peer, limit.as_secs());
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
