//! Connections to a proxy that it knows as the user's: with NTLM and Negotiate it is the connection that is
//! authenticated, so they are kept apart from hyper's pool, which would take a new one whenever it likes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::time::sleep;

use super::auth::Conversation;
use super::connector::Io;
use super::upload::Sending;

/// How long a connection is kept that nobody uses; shorter than most servers do.
const IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept of one way.
const MOST: usize = 32;

/// A connection, and what has been said on it.
pub(super) struct Own {
    pub(super) sender: SendRequest<Sending>,
    pub(super) conversation: Conversation,
}

impl Own {
    /// Makes a connection ready for requests.
    pub(super) async fn new(stream: Box<dyn Io>, conversation: Conversation) -> hyper::Result<Self> {
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(256 * 1024).max_headers(256);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, conversation })
    }
}

/// The idle ones of one way.
#[derive(Default)]
pub(super) struct Bound(Mutex<Vec<(Own, Instant)>>);

impl Bound {
    /// One that can be used now, the last used first.
    pub(super) fn take(&self) -> Option<Own> {
        let mut idle = self.idle();
        while let Some((own, since)) = idle.pop() {
            if own.sender.is_ready() && since.elapsed() < IDLE {
                return Some(own);
            }
        }
        None
    }

    /// Keeps one for the next request, once its answer has been read.
    pub(super) fn keep(self: &Arc<Self>, mut own: Own) {
        let this = self.clone();
        tokio::spawn(async move {
            if own.sender.ready().await.is_err() {
                return;
            }
            {
                let mut idle = this.idle();
                if idle.len() == MOST {
                    idle.remove(0);
                }
                idle.push((own, Instant::now()));
            }
            sleep(IDLE).await;
            this.idle().retain(|(own, since)| !own.sender.is_closed() && since.elapsed() < IDLE);
        });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Own, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
