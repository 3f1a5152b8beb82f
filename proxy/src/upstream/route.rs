//! A way to an origin: through which proxies, in which order.

use http::Uri;

pub use super::choice::{Choice, Order, PathPattern, Pool, RouteRule, RouteSource, Upstream, routes};
pub use super::no_proxy::NoProxy;
pub use super::proxy_url::{Login, ProxyKind, ProxyUrl};

/// The proxies between here and the origin, the nearest first; none for the direct way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// Each is reached through those before it.
    pub hops: Vec<ProxyUrl>,
}

impl Route {
    /// Without a proxy.
    pub const DIRECT: Self = Self { hops: Vec::new() };

    /// Through one proxy.
    pub fn by(proxy: ProxyUrl) -> Self {
        Self { hops: vec![proxy] }
    }

    /// Whether there is no proxy.
    pub fn is_direct(&self) -> bool {
        self.hops.is_empty()
    }
}

impl From<ProxyUrl> for Route {
    fn from(proxy: ProxyUrl) -> Self {
        Self::by(proxy)
    }
}

/// `direct`, `proxy http://a:3128`, `proxy http://a:3128 > socks5://b:1080`.
impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut hops = self.hops.iter();
        let Some(first) = hops.next() else { return f.write_str("direct") };
        write!(f, "proxy {first}")?;
        hops.try_for_each(|hop| write!(f, " > {hop}"))
    }
}

/// What is to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether it is an `https` URL, or a tunnel.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query; `/` for a tunnel.
    pub path: String,
    /// Whether it is a tunnel, of which no path is known.
    pub is_tunnel: bool,
}

impl Target {
    /// That of an absolute `http(s)` URI.
    pub fn of(uri: &Uri) -> Option<Self> {
        let (host, port, tls) = target(uri)?;
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        Some(Self { tls, host: host.to_owned(), port, path, is_tunnel: false })
    }

    /// That of a tunnel, in which TLS is expected.
    pub fn tunnel(host: &str, port: u16) -> Self {
        Self { tls: true, host: host.to_owned(), port, path: "/".to_owned(), is_tunnel: true }
    }

    /// As a URL; the port is left out where it is the scheme's own.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => format!("{scheme}://{host}{}", self.path),
            (_, port) => format!("{scheme}://{host}:{port}{}", self.path),
        }
    }
}

/// Host (without brackets), port and whether TLS is spoken, of an absolute `http(s)` URI.
pub(crate) fn target(uri: &Uri) -> Option<(&str, u16, bool)> {
    let tls = match uri.scheme_str()? {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host, uri.port_u16().unwrap_or(if tls { 443 } else { 80 }), tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_their_urls() {
        for url in ["http://h.example.org/a?b", "https://h:8443/", "http://[2001:db8::1]:81/x", "https://[::1]/"] {
            let target = Target::of(&url.parse().unwrap()).unwrap();
            assert_eq!(target.url(), url);
            assert!(!target.host.contains('['));
        }
        assert_eq!(Target::of(&"ftp://h/".parse().unwrap()), None);
        assert_eq!(Target::tunnel("h", 443).url(), "https://h/");
    }
}
