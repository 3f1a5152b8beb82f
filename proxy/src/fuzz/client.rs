//! A client whose bytes are all there, and which hangs up when nothing more comes of them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// The proxy's end of the connection.
pub(super) struct Wire(Arc<Client>);

/// The client's end.
pub(super) struct Client {
    state: Mutex<State>,
    /// Told of each step.
    pub(super) progress: Notify,
}

#[derive(Default)]
struct State {
    input: Vec<u8>,
    at: usize,
    /// Bytes at a time.
    piece: usize,
    over: bool,
    waiting: Option<Waker>,
    answers: Vec<u8>,
    ended: bool,
}

impl Client {
    /// Sends `input`, so many bytes at a time.
    pub(super) fn new(input: Vec<u8>, piece: usize) -> (Arc<Self>, Wire) {
        let state = Mutex::new(State { input, piece: piece.max(1), ..State::default() });
        let client = Arc::new(Self { state, progress: Notify::new() });
        (client.clone(), Wire(client))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all was read, and more is waited for.
    pub(super) fn is_drained(&self) -> bool {
        let state = self.lock();
        state.at == state.input.len() && state.waiting.is_some()
    }

    /// Whether the proxy has closed the connection.
    pub(super) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// Sends no more.
    pub(super) fn hang_up(&self) {
        let mut state = self.lock();
        state.over = true;
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
    }

    /// What came back.
    pub(super) fn answers(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().answers)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        let count = (state.input.len() - state.at).min(state.piece).min(buffer.remaining());
        if count > 0 {
            buffer.put_slice(&state.input[state.at..state.at + count]);
            state.at += count;
            return Poll::Ready(Ok(()));
        }
        if state.over || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        state.waiting = Some(context.waker().clone());
        drop(state);
        self.0.progress.notify_one();
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().answers.extend_from_slice(bytes);
        self.0.progress.notify_one();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.progress.notify_one();
    }
}
