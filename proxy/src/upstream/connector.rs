//! Connections to origins by a route, for hyper's pool and for tunnels: direct, or through proxies, one behind another.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::auth::Auths;
use super::dial::Dialer;
use super::figures::Step;
use super::origin_stream::OriginStream;
use super::patience::measured;
use super::proxy_connect::{self, persist};
use super::route::{ProxyKind, ProxyUrl, Route, Target};
use super::socks::{self, Destination};
use super::standing::{Part, Standings};
use super::tls::OriginTls;
use crate::mirror::health::Failure;
use crate::origin::{Phase, UpstreamError};

/// What is offered to origins: HTTP/2 first, as some speak nothing else.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// What is offered to proxies: CONNECT is asked for in HTTP/1.1.
const PROXY_ALPN: [&[u8]; 1] = [b"http/1.1"];

tokio::task_local! {
    /// How long a connection may take to be ready, for what is polled within; without end where it is not set. What is
    /// waited for on our own side does not count. hyper tells the connector nothing but the URI.
    pub(super) static HURRY: Duration;
}

/// What a connection is made of, whatever lies below.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What all ways share: how to dial, whom to trust, and how each way does.
pub(crate) struct Reach {
    pub(super) auths: Auths,
    pub(super) dialer: Dialer,
    pub(super) tls: OriginTls,
    pub(super) standings: Standings,
}

/// Makes connections by one route, for guests or for those who may reach anything.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(super) reach: Arc<Reach>,
    pub(super) route: Arc<Route>,
    pub(super) guarded: bool,
}

/// A way that is open.
pub(super) struct Reached {
    pub(super) stream: Box<dyn Io>,
    /// Whether a guest may not go there.
    pub(super) kept_from_guests: bool,
}

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    LastProxy,
    Origin,
}

impl Connector {
    /// Opens a way to `host:port` on which bytes pass unchanged.
    pub(super) async fn reach(&self, host: &str, port: u16) -> Result<Reached, UpstreamError> {
        self.open(host, port, Until::Origin).await
    }

    /// Opens a connection to the proxy that is sent whole requests for `http` URLs, for one to `host:port`.
    pub(super) async fn to_plain_proxy(&self, host: &str, port: u16) -> Result<Box<dyn Io>, UpstreamError> {
        self.open(host, port, Until::LastProxy).await.map(|reached| reached.stream)
    }

    /// The proxy that is sent whole requests for `http` URLs.
    pub(crate) fn plain_proxy(&self) -> Option<&ProxyUrl> {
        self.route.hops.last().filter(|last| last.kind.is_http())
    }

    /// Opens a way, and notes how the proxies on it did.
    async fn open(&self, host: &str, port: u16, until: Until) -> Result<Reached, UpstreamError> {
        if !self.route.is_direct() {
            self.reach.dialer.check_literal(host, port, self.guarded)?;
        }
        let stage = AtomicUsize::new(0);
        let hurry = HURRY.try_with(|limit| *limit).ok();
        let (opened, took) = measured(hurry, persist(|| self.steps(host, port, until, &stage))).await;
        let opened = match opened {
            Some(opened) => opened.map_err(|error| (false, error)),
            None => Err((true, self.late(host, stage.load(Ordering::Relaxed), hurry.unwrap_or_default()))),
        };
        match opened {
            Ok(reached) => {
                match (until, self.route.hops.split_last()) {
                    // That the last one takes connections says nothing yet: its answer does.
                    (Until::LastProxy, Some((_, before))) => {
                        if !before.is_empty() {
                            let before = Route { hops: before.to_vec() };
                            self.reach.standings.answered(&before, host, None, Instant::now());
                        }
                    }
                    _ => self.reach.standings.answered(&self.route, host, Some(took), Instant::now()),
                }
                Ok(reached)
            }
            Err((late, error)) => {
                let stage = stage.load(Ordering::Relaxed);
                if let Some((part, failure)) = self.fault(host, stage, late, &error) {
                    self.reach.standings.count(&part, step(stage, error.phase));
                    self.reach.standings.failed(&part, &failure, &error.message, Instant::now());
                }
                Err(error)
            }
        }
    }

    /// Goes hop by hop. `stage` is twice the number of the proxy that is being reached, one more while it is asked.
    async fn steps(&self, host: &str, port: u16, until: Until, stage: &AtomicUsize) -> Result<Reached, UpstreamError> {
        let (hops, dialer) = (&self.route.hops, &self.reach.dialer);
        let Some(first) = hops.first() else {
            let stream = dialer.dial(host, port, self.guarded).await?;
            let kept_from_guests = !self.guarded && dialer.is_kept_from_guests(&stream);
            return Ok(Reached { stream: Box::new(stream), kept_from_guests });
        };
        // The user's configuration names the proxy, so the guard has no say in its address, except that it is not us.
        let dialled = dialer.dial(&first.host, first.port, false).await.map_err(|error| UpstreamError {
            message: format!("the upstream proxy {first} cannot be reached: {}", error.message),
            ..error
        })?;
        let mut stream: Box<dyn Io> = Box::new(dialled);
        for (index, hop) in hops.iter().enumerate() {
            stage.store(index * 2, Ordering::Relaxed);
            if hop.kind == ProxyKind::Https {
                let opened = self.reach.tls.handshake(&hop.host, hop.port, stream, &PROXY_ALPN).await;
                stream = Box::new(opened.map_err(|error| UpstreamError {
                    message: format!("the upstream proxy {hop} cannot be used: {}", error.message),
                    ..error
                })?);
            }
            stage.store(index * 2 + 1, Ordering::Relaxed);
            stream = match hops.get(index + 1) {
                Some(next) => self.through(hop, stream, &next.host, next.port, false).await?,
                None if until == Until::LastProxy => stream,
                None => self.through(hop, stream, host, port, self.guarded).await?,
            };
        }
        let kept_from_guests = !self.guarded && dialer.check_literal(host, port, true).is_err();
        Ok(Reached { stream, kept_from_guests })
    }

    /// Asks a proxy for a connection to `host:port`.
    async fn through(
        &self,
        proxy: &ProxyUrl,
        mut stream: Box<dyn Io>,
        host: &str,
        port: u16,
        guarded: bool,
    ) -> Result<Box<dyn Io>, UpstreamError> {
        let limit = self.reach.dialer.connect_timeout * 3;
        if proxy.kind.is_http() {
            let auth = &self.reach.auths.of(proxy);
            return Ok(Box::new(proxy_connect::connect(stream, proxy, auth, host, port, limit).await?));
        }
        let to = self.destination(proxy, host, port, guarded).await?;
        socks::connect(&mut stream, proxy, &to, port, limit).await?;
        Ok(stream)
    }

    /// What a SOCKS proxy is told: the name where it finds the address itself, and may. What is found here goes by
    /// the guard.
    async fn destination(
        &self,
        proxy: &ProxyUrl,
        host: &str,
        port: u16,
        guarded: bool,
    ) -> Result<Destination, UpstreamError> {
        if let Ok(address) = host.parse() {
            return Ok(Destination::Address(address));
        }
        if matches!(proxy.kind, ProxyKind::Socks4a | ProxyKind::Socks5h) {
            return Ok(Destination::Name(host.to_owned()));
        }
        let found = self.reach.dialer.addresses(host, port, guarded).await?;
        // Any proxy has IPv4, and not every one IPv6.
        let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
        Ok(best.map_or_else(|| Destination::Name(host.to_owned()), |best| Destination::Address(best.ip())))
    }

    /// The error where a way is not open in time.
    fn late(&self, host: &str, stage: usize, limit: Duration) -> UpstreamError {
        let what = match self.route.hops.get(stage / 2) {
            None => format!("there is no connection to {host}"),
            Some(hop) if stage.is_multiple_of(2) => format!("the upstream proxy {hop} cannot be reached: no answer"),
            Some(hop) => format!("the upstream proxy {hop} has not made a connection"),
        };
        let message = format!("{what} within {:.1} s", limit.as_secs_f32());
        UpstreamError { phase: Phase::ConnectTimeout, message, retryable: true }
    }

    /// Whom a failure speaks against, if anybody.
    fn fault(&self, host: &str, stage: usize, late: bool, error: &UpstreamError) -> Option<(Part, Failure)> {
        if error.phase == Phase::Denied {
            return None;
        }
        let (index, is_asked) = (stage / 2, !stage.is_multiple_of(2));
        let part = |number| Part::first(&self.route, number, host);
        if !is_asked {
            return Some((part(index + 1), Failure::Hard));
        }
        let is_last = index + 1 == self.route.hops.len();
        match error.phase {
            // Late, it may be the proxy or what lies behind it.
            Phase::ConnectTimeout if late && is_last => Some((part(index + 1), Failure::Soft)),
            Phase::Proxy | Phase::ProxyAnswered(407) => Some((part(index + 1), Failure::Hard)),
            _ if !is_last => Some((part(index + 2), Failure::Hard)),
            // It is the origin that the proxy speaks of; if it says so of each, it is the proxy.
            Phase::ProxyAnswered(500..) | Phase::Connect | Phase::Unroutable => Some((part(index + 1), Failure::Soft)),
            _ => None,
        }
    }

    async fn connect(&self, uri: &Uri) -> Result<OriginStream, UpstreamError> {
        let target = Target::of(uri).ok_or_else(|| UpstreamError {
            phase: Phase::Connect,
            message: format!("{uri} is not an http or https URL with a host"),
            retryable: false,
        })?;
        let (host, port) = (target.host.as_str(), target.port);
        if !target.tls {
            let proxied = self.plain_proxy().is_some();
            let until = if proxied { Until::LastProxy } else { Until::Origin };
            let Reached { stream, kept_from_guests } = self.open(host, port, until).await?;
            return Ok(OriginStream { io: stream, h2: false, proxied, kept_from_guests });
        }
        let Reached { stream, kept_from_guests } = self.reach(host, port).await?;
        let stream = self.reach.tls.handshake(host, port, stream, &ALPN).await?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(OriginStream { io: Box::new(stream), h2, proxied: false, kept_from_guests })
    }

    /// Makes a connection as for a request, and gives it up.
    pub(super) async fn try_out(&self, target: &Target) -> Result<(), UpstreamError> {
        let uri = Uri::try_from(target.url()).map_err(|error| UpstreamError {
            phase: Phase::Connect,
            message: format!("{} is no URL: {error}", target.url()),
            retryable: false,
        })?;
        self.connect(&uri).await.map(drop)
    }
}

/// What a proxy failed at, that was being reached or asked.
fn step(stage: usize, phase: Phase) -> Step {
    match phase {
        Phase::Tls | Phase::TlsHandshake | Phase::TlsAlert(_) => Step::Tls,
        Phase::ProxyAnswered(407) => Step::Login,
        _ if stage.is_multiple_of(2) => Step::Connect,
        _ => Step::Answer,
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
        // The connection may be finished elsewhere than it was begun.
        let hurry = HURRY.try_with(|limit| *limit).ok();
        Box::pin(async move {
            match hurry {
                Some(limit) => HURRY.scope(limit, this.connect(&uri)).await,
                None => this.connect(&uri).await,
            }
            .map(TokioIo::new)
        })
    }
}
