//! The answer's body on its way to the client: counts what is sent, and notes an early end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::body::Body;
use crate::flow::{FlowRecorder, Outcome};

/// Holds the flow until the last byte has left. Trailers are dropped.
pub(crate) struct SentBody {
    inner: Body,
    flow: Arc<FlowRecorder>,
    /// Bytes still to come, where the length is known.
    left: Option<u64>,
    ended: bool,
}

impl SentBody {
    pub(crate) fn new(inner: Body, flow: Arc<FlowRecorder>) -> Self {
        let left = inner.size_hint().exact();
        let ended = inner.is_end_stream();
        Self { inner, flow, left, ended }
    }
}

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else { return Poll::Pending };
            return Poll::Ready(match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    let length = data.len() as u64;
                    this.flow.sent(length);
                    this.left = this.left.map(|left| left.saturating_sub(length));
                    Some(Ok(Frame::data(data)))
                }
                Some(Ok(Err(_trailers))) => continue,
                Some(Err(error)) => {
                    this.flow.update(|flow| {
                        flow.outcome = Outcome::Error;
                        flow.why = format!("{}; the answer broke off: {error}", flow.why);
                    });
                    Some(Err(error))
                }
                None => {
                    this.ended = true;
                    None
                }
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for SentBody {
    fn drop(&mut self) {
        // hyper does not ask again once the announced length is reached.
        let complete = self.ended || self.left == Some(0) || self.inner.is_end_stream();
        if !complete {
            self.flow.update(|flow| flow.aborted = true);
        }
    }
}
