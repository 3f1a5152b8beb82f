//! Opens the TCP connection: resolves once, asks the guard about each address, and dials only what it allows.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::observe::{Event, note};
use crate::guard::{Guard, loose_ipv4};
use crate::origin::{Phase, UpstreamError};

/// How long an address that is not the last may take: a dead IPv6 route must not cost a whole connect timeout.
const NOT_THE_LAST: Duration = Duration::from_secs(3);

/// Dials under the guard's eye.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    pub(crate) guard: Arc<Guard>,
    pub(crate) connect_timeout: Duration,
}

impl Dialer {
    /// Connects to a host (an IPv6 address without brackets). With `guarded`, only to what a guest may reach.
    pub(crate) async fn dial(&self, host: &str, port: u16, guarded: bool) -> Result<TcpStream, UpstreamError> {
        let allowed = self.addresses(host, port, guarded).await?;
        self.connect_any(host, port, &allowed).await
    }

    /// The addresses of a host that may be dialled: at least one.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
        guarded: bool,
    ) -> Result<Vec<SocketAddr>, UpstreamError> {
        let addresses = self.resolve(host, port).await?;
        note(|| Event::Resolved { host: host.to_owned(), addresses: addresses.clone() });
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in addresses {
            match self.guard.refuses(address, guarded) {
                Some(reason) => refused = Some((address, reason)),
                None => allowed.push(address),
            }
        }
        match refused {
            Some((address, reason)) if allowed.is_empty() => Err(denied(host, port, Some(address.ip()), reason)),
            _ => Ok(allowed),
        }
    }

    /// Whether a guest would have been refused the address that was dialled.
    pub(super) fn is_kept_from_guests(&self, stream: &TcpStream) -> bool {
        stream.peer_addr().is_ok_and(|address| self.guard.refuses(address, true).is_some())
    }

    /// Refuses what can be told without resolving, for targets whose name a proxy upstream will resolve.
    pub(crate) fn check_literal(&self, host: &str, port: u16, guarded: bool) -> Result<(), UpstreamError> {
        // Asked for each hit: no form of an IPv4 address begins with a letter, and one of IPv6 has a colon.
        let may_be_address = !host.starts_with(|first: char| first.is_ascii_alphabetic()) || host.contains(':');
        let address = || host.parse::<IpAddr>().ok().or_else(|| loose_ipv4(host).map(IpAddr::V4));
        if let Some(address) = may_be_address.then(address).flatten()
            && let Some(reason) = self.guard.refuses(SocketAddr::new(address, port), guarded)
        {
            return Err(denied(host, port, Some(address), reason));
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        if guarded && last.eq_ignore_ascii_case("localhost") {
            return Err(denied(host, port, None, "it is a name of the host itself"));
        }
        Ok(())
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, UpstreamError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let fail = |cause: String| UpstreamError {
            phase: Phase::Resolve,
            message: format!("no address for {host}: {cause}; check the name, and the host's own network"),
            retryable: false,
        };
        let found = timeout(self.connect_timeout, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| fail(format!("no answer within {} s", self.connect_timeout.as_secs())))?
            .map_err(|error| fail(error.to_string()))?;
        let (v6, v4): (Vec<_>, Vec<_>) = found.partition(SocketAddr::is_ipv6);
        if v6.is_empty() && v4.is_empty() {
            return Err(fail("the name exists, but has none".to_owned()));
        }
        Ok(interleave(v6, v4))
    }

    async fn connect_any(&self, host: &str, port: u16, addresses: &[SocketAddr]) -> Result<TcpStream, UpstreamError> {
        let mut causes = Vec::new();
        let mut phase = Phase::ConnectTimeout;
        for (index, address) in addresses.iter().enumerate() {
            let last = index + 1 == addresses.len();
            let limit = if last { self.connect_timeout } else { self.connect_timeout.min(NOT_THE_LAST) };
            match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without it, small requests wait for the peer's delayed acknowledgement.
                    let _ = stream.set_nodelay(true);
                    note(|| Event::Connected { host: host.to_owned(), address: *address, failed: causes.clone() });
                    return Ok(stream);
                }
                Ok(Err(error)) => {
                    phase = phase_of(&error);
                    causes.push(format!("{}: {error}", address.ip()));
                }
                Err(_) => causes.push(format!("{}: no answer within {} s", address.ip(), limit.as_secs())),
            }
        }
        Err(UpstreamError {
            phase,
            message: format!("cannot connect to {host} port {port} ({})", causes.join("; ")),
            retryable: true,
        })
    }
}

/// How an attempt to connect failed.
fn phase_of(error: &io::Error) -> Phase {
    match error.kind() {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Phase::Unroutable,
        io::ErrorKind::TimedOut => Phase::ConnectTimeout,
        _ => Phase::Connect,
    }
}

fn denied(host: &str, port: u16, address: Option<IpAddr>, reason: &str) -> UpstreamError {
    let shown = address.filter(|address| address.to_string() != host).map(|address| format!(" ({address})"));
    UpstreamError {
        phase: Phase::Denied,
        message: format!(
            "{host}{} port {port} may not be reached: {reason}; a mirror rule may name it where that is meant",
            shown.unwrap_or_default()
        ),
        retryable: false,
    }
}

/// One of each family in turn, IPv6 first (RFC 8305 section 4).
fn interleave(first: Vec<SocketAddr>, second: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = (first.next(), second.next());
        if let (None, None) = pair {
            return all;
        }
        all.extend(pair.0);
        all.extend(pair.1);
    }
}
