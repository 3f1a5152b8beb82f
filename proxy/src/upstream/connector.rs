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

use super::auth::Auths;
use super::dial::Dialer;
use super::proxy_connect::{self, persist};
use super::route::{ProxyKind, ProxyUrl, Route, Target};
use super::tls::OriginTls;
use crate::origin::{Phase, UpstreamError};

/// What is offered to origins: HTTP/2 first, as some speak nothing else.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a connection is made of, whatever lies below.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What all ways share: how to dial, and whom to trust.
pub(crate) struct Reach {
    pub(crate) auths: Auths,
    pub(crate) dialer: Dialer,
    pub(crate) tls: OriginTls,
}

/// Makes connections by one route, for guests or for those who may reach anything.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) reach: Arc<Reach>,
    pub(crate) route: Arc<Route>,
    pub(crate) guarded: bool,
}

impl Connector {
    /// Opens a way to `host:port` on which bytes pass unchanged.
    pub(crate) async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Io>, UpstreamError> {
        let dialer = &self.reach.dialer;
        match self.route.hops.last() {
            Some(last) => {
                dialer.check_literal(host, port, self.guarded)?;
                persist(|| async {
                    let stream = self.to_last_hop().await?;
                    self.through(last, stream, host, port).await
                })
                .await
            }
            None => Ok(Box::new(dialer.dial(host, port, self.guarded).await?)),
        }
    }

    /// Opens a connection to the proxy that is sent whole requests.
    pub(super) async fn to_plain_proxy(&self) -> Result<Box<dyn Io>, UpstreamError> {
        persist(|| self.to_last_hop()).await
    }

    /// Opens a connection to the route's last proxy, through those before it.
    async fn to_last_hop(&self) -> Result<Box<dyn Io>, UpstreamError> {
        let hops = &self.route.hops;
        let first = hops.first().ok_or_else(|| UpstreamError {
            phase: Phase::Proxy,
            message: "the route has no proxy".to_owned(),
            retryable: false,
        })?;
        let mut stream: Box<dyn Io> = Box::new(self.dial_proxy(first).await?);
        for pair in hops.windows(2) {
            stream = self.through(&pair[0], stream, &pair[1].host, pair[1].port).await?;
        }
        Ok(stream)
    }

    /// Asks a proxy for a connection to `host:port`.
    async fn through(
        &self,
        proxy: &ProxyUrl,
        stream: Box<dyn Io>,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn Io>, UpstreamError> {
        if proxy.kind != ProxyKind::Http {
            return Err(UpstreamError {
                phase: Phase::Proxy,
                message: format!("the upstream proxy {proxy} cannot be used: this version speaks http:// to proxies"),
                retryable: false,
            });
        }
        let limit = self.reach.dialer.connect_timeout * 3;
        Ok(Box::new(proxy_connect::connect(stream, proxy, &self.reach.auths.of(proxy), host, port, limit).await?))
    }

    /// The user's configuration names the proxy, so the guard has no say in its address, except that it is not us.
    async fn dial_proxy(&self, proxy: &ProxyUrl) -> Result<tokio::net::TcpStream, UpstreamError> {
        self.reach.dialer.dial(&proxy.host, proxy.port, false).await.map_err(|error| UpstreamError {
            message: format!("the upstream proxy {proxy} cannot be reached: {}", error.message),
            ..error
        })
    }

    async fn connect(&self, uri: &Uri) -> Result<OriginStream, UpstreamError> {
        let target = Target::of(uri).ok_or_else(|| UpstreamError {
            phase: Phase::Connect,
            message: format!("{uri} is not an http or https URL with a host"),
            retryable: false,
        })?;
        let (host, port) = (target.host.as_str(), target.port);
        if target.tls {
            let stream = self.reach.tls.handshake(host, port, self.tunnel(host, port).await?, &ALPN).await?;
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            return Ok(OriginStream { io: Box::new(stream), h2, proxied: false });
        }
        if self.plain_proxy().is_some() {
            self.reach.dialer.check_literal(host, port, self.guarded)?;
            return Ok(OriginStream { io: self.to_plain_proxy().await?, h2: false, proxied: true });
        }
        Ok(OriginStream { io: self.tunnel(host, port).await?, h2: false, proxied: false })
    }

    /// The proxy that is sent whole requests for `http` URLs.
    pub(crate) fn plain_proxy(&self) -> Option<&ProxyUrl> {
        self.route.hops.last().filter(|last| last.kind.is_http())
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
