//! Connections to origins, for hyper's pool and for tunnels: direct, or through the proxy upstream.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::Dialer;
use super::proxy_connect;
use super::route::{ProxyUrl, UpstreamProxy, target};
use super::tls::OriginTls;
use crate::origin::{Phase, UpstreamError};

/// What is offered to origins: HTTP/2 first, as some speak nothing else.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a connection is made of, whatever lies below.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Everything needed to reach an origin. One for guests and one for those who may reach anything: their pools are
/// apart, so that a guest never rides on a connection it could not have opened.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) dialer: Dialer,
    pub(crate) tls: Arc<OriginTls>,
    pub(crate) proxy: Arc<UpstreamProxy>,
    pub(crate) guarded: bool,
}

impl Connector {
    /// Opens a way to `host:port` on which bytes pass unchanged: by the proxy for `https`, or the one for `http`.
    pub(crate) async fn tunnel(&self, tls: bool, host: &str, port: u16) -> Result<Box<dyn Io>, UpstreamError> {
        match self.proxy.route(tls, host, port) {
            Some(proxy) => self.through(proxy, host, port).await,
            None => Ok(Box::new(self.dialer.dial(host, port, self.guarded).await?)),
        }
    }

    async fn through(&self, proxy: &ProxyUrl, host: &str, port: u16) -> Result<Box<dyn Io>, UpstreamError> {
        self.dialer.check_literal(host, port, self.guarded)?;
        let stream = self.dial_proxy(proxy).await?;
        let limit = self.dialer.connect_timeout * 3;
        Ok(Box::new(proxy_connect::connect(stream, proxy, host, port, limit).await?))
    }

    /// The user's configuration names the proxy, so the guard has no say in its address, except that it is not us.
    async fn dial_proxy(&self, proxy: &ProxyUrl) -> Result<tokio::net::TcpStream, UpstreamError> {
        self.dialer.dial(&proxy.host, proxy.port, false).await.map_err(|error| UpstreamError {
            message: format!("the upstream proxy {proxy} cannot be reached: {}", error.message),
            ..error
        })
    }

    async fn connect(&self, uri: &Uri) -> Result<OriginStream, UpstreamError> {
        let (host, port, tls) = target(uri).ok_or_else(|| UpstreamError {
            phase: Phase::Connect,
            message: format!("{uri} is not an http or https URL with a host"),
            retryable: false,
        })?;
        if tls {
            let stream = self.tls.handshake(host, port, self.tunnel(true, host, port).await?, &ALPN).await?;
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            return Ok(OriginStream { io: Box::new(stream), h2, proxied: false });
        }
        let proxy = self.proxy.route(false, host, port);
        let stream = match proxy {
            Some(proxy) => {
                self.dialer.check_literal(host, port, self.guarded)?;
                self.dial_proxy(proxy).await?
            }
            None => self.dialer.dial(host, port, self.guarded).await?,
        };
        Ok(OriginStream { io: Box::new(stream), h2: false, proxied: proxy.is_some() })
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<OriginStream>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.connect(&uri).await.map(TokioIo::new) })
    }
}

/// A connection ready for HTTP.
pub(crate) struct OriginStream {
    io: Box<dyn Io>,
    h2: bool,
    /// Requests on it name their whole URL.
    proxied: bool,
}

impl Connection for OriginStream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.proxied);
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
