//! The proxies of the user's own network, and which hosts are reached without them.

use std::net::IpAddr;

use base64::Engine as _;
use http::{HeaderValue, Uri};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::ConfigError;
use crate::host_pattern::{is_below, split_port};

/// A proxy between here and the origin.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    /// Name or address, without brackets.
    pub host: String,
    /// Port; 80 where the URL names none (1080 is curl's choice for SOCKS only).
    pub port: u16,
    /// `Basic` credentials, ready to send.
    pub authorization: Option<HeaderValue>,
}

impl ProxyUrl {
    /// Reads `http://[user:password@]host[:port]`; the scheme may be missing. `variable` is named in the error.
    pub fn parse(text: &str, variable: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::UpstreamProxy { variable: variable.to_owned(), reason };
        let text = text.trim();
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|_| refuse("it is not a URL; write `http://host:port`"))?;
        if url.scheme() != "http" {
            return Err(refuse("only `http://` proxies are supported; write `http://host:port`"));
        }
        let host = url.host_str().ok_or_else(|| refuse("it names no host"))?;
        let authorization = if url.username().is_empty() && url.password().is_none() {
            None
        } else {
            let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
            let mut pair = decode(url.username());
            pair.push(b':');
            pair.extend(decode(url.password().unwrap_or_default()));
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
                .map_err(|_| refuse("its credentials cannot be sent in a header"))?;
            value.set_sensitive(true);
            Some(value)
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(80), authorization })
    }
}

impl std::fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "http://{open}{}{close}:{}", self.host, self.port)
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

/// Which proxy to take for which URL.
#[derive(Clone, Debug, Default)]
pub struct UpstreamProxy {
    /// For `http` URLs.
    pub http: Option<ProxyUrl>,
    /// For `https` URLs and tunnels.
    pub https: Option<ProxyUrl>,
    /// What is reached without a proxy.
    pub no_proxy: NoProxy,
}

impl UpstreamProxy {
    /// One proxy for everything but what `no_proxy` lists.
    pub fn all(url: &str, no_proxy: &str) -> Result<Self, ConfigError> {
        let proxy = ProxyUrl::parse(url, "upstream_proxy")?;
        Ok(Self { http: Some(proxy.clone()), https: Some(proxy), no_proxy: NoProxy::parse(no_proxy) })
    }

    /// Reads the usual environment variables through `get`, as curl does: `http_proxy` in lower case only (a CGI
    /// client could set the other), the rest in either case, `all_proxy` for what is not set.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let read = |names: &[&str]| -> Result<Option<ProxyUrl>, ConfigError> {
            for name in names {
                if let Some(value) = get(name).filter(|value| !value.trim().is_empty()) {
                    return ProxyUrl::parse(&value, name).map(Some);
                }
            }
            Ok(None)
        };
        let no_proxy = get("no_proxy").or_else(|| get("NO_PROXY")).unwrap_or_default();
        Ok(Self {
            http: read(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
            https: read(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            no_proxy: NoProxy::parse(&no_proxy),
        })
    }

    /// The proxy for a target, or `None` for the direct way.
    pub fn route(&self, tls: bool, host: &str, port: u16) -> Option<&ProxyUrl> {
        let proxy = if tls { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !self.no_proxy.matches(host, port))
    }
}

/// A `NO_PROXY` list as curl reads it: names cover what is below them, a leading dot does not count, addresses and
/// CIDR blocks cover literal addresses, an entry may end in a port, `*` covers everything.
#[derive(Clone, Debug, Default)]
pub struct NoProxy(Vec<(Entry, Option<u16>)>);

#[derive(Clone, Debug)]
enum Entry {
    Any,
    Name(String),
    Network(IpNet),
}

impl NoProxy {
    /// Reads a list, separated by commas or blanks. What cannot be read is left out, as curl does.
    pub fn parse(text: &str) -> Self {
        Self(text.split([',', ' ', '\t', '\n']).filter_map(Self::entry).collect())
    }

    fn entry(text: &str) -> Option<(Entry, Option<u16>)> {
        let text = text.trim();
        if let Ok(network) = text.parse::<IpNet>() {
            return Some((Entry::Network(network), None));
        }
        let (host, port) = split_port(text)?;
        if host == "*" {
            return Some((Entry::Any, port));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some((Entry::Network(IpNet::from(address)), port));
        }
        let name = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')).unwrap_or(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        (!name.is_empty()).then(|| (Entry::Name(name.to_ascii_lowercase()), port))
    }

    /// Whether the host (an IPv6 address without brackets) is reached without a proxy.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let address = host.parse::<IpAddr>().ok();
        self.0.iter().filter(|(_, own)| own.is_none_or(|own| own == port)).any(|(entry, _)| match (entry, address) {
            (Entry::Any, _) => true,
            (Entry::Network(network), Some(address)) => network.contains(&address.to_canonical()),
            (Entry::Name(name), None) => name.eq_ignore_ascii_case(host) || is_below(host, name),
            _ => false,
        })
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
    fn no_proxy_is_read_as_curl_reads_it() {
        let table = [
            ("example.org", "example.org", 80, true),
            ("example.org", "a.example.org", 80, true),
            (".example.org", "example.org", 80, true),
            ("*.example.org", "a.example.org", 80, true),
            ("example.org", "badexample.org", 80, false),
            ("EXAMPLE.org", "example.ORG.", 80, true),
            ("example.org.", "example.org", 80, true),
            ("example.org:8080", "example.org", 80, false),
            ("example.org:8080", "example.org", 8080, true),
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "11.1.2.3", 80, false),
            ("10.0.0.0/8", "10.example.org", 80, false),
            ("192.0.2.7", "192.0.2.7", 443, true),
            ("192.0.2.7:80", "192.0.2.7", 443, false),
            ("2001:db8::/32", "2001:db8::7", 443, true),
            ("[2001:db8::7]:443", "2001:db8::7", 443, true),
            ("::1", "::1", 443, true),
            ("a, b\tc", "b", 80, true),
            ("*", "anything", 80, true),
            ("", "anything", 80, false),
            (",,", "anything", 80, false),
        ];
        for (list, host, port, expected) in table {
            assert_eq!(NoProxy::parse(list).matches(host, port), expected, "{list:?} against {host}:{port}");
        }
    }

    #[test]
    fn proxies_come_from_the_usual_variables() {
        let env = |vars: &'static [(&str, &str)]| {
            UpstreamProxy::from_env(|name| {
                vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let proxy = env(&[("HTTP_PROXY", "http://evil:1"), ("HTTPS_PROXY", "proxy.example.org:3128")]).unwrap();
        assert!(proxy.http.is_none(), "HTTP_PROXY in upper case may come from a CGI client");
        assert_eq!(proxy.https.unwrap().to_string(), "http://proxy.example.org:3128");
        let proxy = env(&[("ALL_PROXY", "http://u%40d:p%3A%25@[2001:db8::1]"), ("NO_PROXY", "x")]).unwrap();
        let http = proxy.http.as_ref().unwrap();
        assert_eq!(http.to_string(), "http://[2001:db8::1]:80");
        assert_eq!(http.authorization.as_ref().unwrap(), "Basic dUBkOnA6JQ==");
        assert!(proxy.route(true, "x", 443).is_none());
        assert!(proxy.route(true, "y", 443).is_some());
        let error = env(&[("https_proxy", "socks5://u:secret@h:1")]).unwrap_err().to_string();
        assert!(error.contains("https_proxy") && !error.contains("secret"), "{error}");
    }
}
