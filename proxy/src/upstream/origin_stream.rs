//! A connection that hyper speaks HTTP on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connector::Io;

/// A connection ready for HTTP.
pub(crate) struct OriginStream {
    pub(super) io: Box<dyn Io>,
    pub(super) h2: bool,
    /// Requests on it name their whole URL.
    pub(super) proxied: bool,
    /// Whether a guest may not go there.
    pub(super) kept_from_guests: bool,
}

/// Marks an answer that came from where a guest may not go, among its extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptFromGuests;

impl Connection for OriginStream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.proxied);
        let connected = if self.kept_from_guests { connected.extra(KeptFromGuests) } else { connected };
        if self.h2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for OriginStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for OriginStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }
}
