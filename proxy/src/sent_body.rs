//! The answer's body on its way to the client: counts what is sent, and notes an early end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::body::Body;
use crate::flow::{FlowRecorder, Outcome};
use crate::kept_body::KeptBody;
use crate::taking::Taking;

/// Holds the flow until the last byte has left.
pub(crate) struct SentBody {
    inner: Body,
    flow: Arc<FlowRecorder>,
    /// Bytes still to come, where the length is known.
    left: Option<u64>,
    ended: bool,
    taking: Arc<Taking>,
    /// Whether something was handed out last.
    offered: bool,
    request: Option<KeptBody>,
}

impl SentBody {
    pub(crate) fn new(inner: Body, flow: Arc<FlowRecorder>, taking: Arc<Taking>) -> Self {
        let left = inner.size_hint().exact();
        let ended = inner.is_end_stream();
        Self { inner, flow, left, ended, taking, offered: false, request: None }
    }

    /// Holds the request's body as long.
    pub(crate) fn keeping(mut self, request: Option<KeptBody>) -> Self {
        self.request = request;
        self
    }

    /// Notes for the connection whether the client has something to take.
    fn note(&mut self, offered: bool) {
        match (self.offered, offered) {
            (false, true) => self.taking.offers(),
            (true, true) => self.taking.took(),
            (true, false) => self.taking.waits(),
            (false, false) => {}
        }
        self.offered = offered;
    }
}

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            this.note(false);
            return Poll::Pending;
        };
        this.note(matches!(frame, Some(Ok(_))));
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => {
                    let length = data.len() as u64;
                    this.flow.sent(length);
                    this.left = this.left.map(|left| left.saturating_sub(length));
                }
                // Trailers are a body's end.
                None => this.ended = true,
            },
            Some(Err(error)) => this.flow.update(|flow| {
                flow.outcome = Outcome::Error;
                flow.why = format!("{}; the answer broke off: {error}", flow.why).into();
            }),
            None => this.ended = true,
        }
        Poll::Ready(frame)
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
        self.note(false);
        // hyper does not ask again once the announced length is reached.
        let complete = self.ended || self.left == Some(0) || self.inner.is_end_stream();
        if !complete {
            self.flow.update(|flow| flow.aborted = true);
        } else if let Some(request) = self.request.take() {
            request.linger();
        }
    }
}
