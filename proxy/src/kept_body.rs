//! A request's body that outlives whoever reads it.
//!
//! On HTTP/2, to drop a body that has not arrived whole resets the stream; if the answer has not been sent by then, the
//! client never sees it. So the answer holds the body until it has been.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::body::Body;

const LINGER: Duration = Duration::from_secs(1);

/// A handle on a body; all are the same body.
#[derive(Clone)]
pub(crate) struct KeptBody(Arc<Mutex<Body>>);

impl KeptBody {
    pub(crate) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Lets go of the body a moment later, where some of it is still to come: clients that are told to stop before they
    /// have read the whole answer take that for a failure (curl 7.88 does).
    pub(crate) fn linger(self) {
        if let Ok(runtime) = Handle::try_current()
            && !self.lock().is_end_stream()
        {
            runtime.spawn(async move {
                sleep(LINGER).await;
                drop(self);
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for KeptBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}
