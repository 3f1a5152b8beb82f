//! A proxy between here and the origin, as a URL names it.

use base64::Engine as _;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::ConfigError;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// HTTP in the clear.
    Http,
    /// HTTP in TLS.
    Https,
    /// SOCKS 4: the address is found here, and is an IPv4 one.
    Socks4,
    /// SOCKS 4a: the proxy finds the address.
    Socks4a,
    /// SOCKS 5 (RFC 1928), the address found here.
    Socks5,
    /// SOCKS 5, the proxy finding the address.
    Socks5h,
}

impl ProxyKind {
    const ALL: [Self; 6] = [Self::Http, Self::Https, Self::Socks4, Self::Socks4a, Self::Socks5, Self::Socks5h];

    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// Whether it takes requests, rather than making connections only.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Where a URL names no port. curl takes 1080 for `http`, too.
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            _ => 1080,
        }
    }
}

/// User and password of a proxy's URL. Never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// Percent-decoded.
    pub user: String,
    /// Percent-decoded; empty where the URL has none.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(…)")
    }
}

/// A proxy between here and the origin.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Name or address, without brackets.
    pub host: String,
    /// Port; where the URL names none, 80, 443 or 1080 by kind.
    pub port: u16,
    /// What the URL says of user and password.
    pub login: Option<Login>,
}

impl ProxyUrl {
    /// Reads `[SCHEME://][user[:password]@]host[:port]`; the scheme is one of [`ProxyKind`]'s, `socks` for `socks4`
    /// (as curl has it), and `http` where it is missing. `variable` is named in the error.
    pub fn parse(text: &str, variable: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::UpstreamProxy { variable: variable.to_owned(), reason };
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        let scheme = if scheme == "socks" { "socks4" } else { &scheme };
        let kind = ProxyKind::ALL.into_iter().find(|kind| kind.scheme() == scheme).ok_or_else(|| {
            refuse("its scheme is none of http, https, socks4, socks4a, socks5, socks5h; write `http://host:port`")
        })?;
        // The parser knows nothing of the SOCKS schemes, and would not check their hosts.
        let url = Url::parse(&format!("http://{rest}")).map_err(|_| {
            refuse("it is not a URL; write `http://host:port`, and `%` and two hexadecimal digits for what is special")
        })?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse(
                "something follows host and port; a `/`, `?` or `#` in a password is to be written %2F, %3F, %23",
            ));
        }
        let host = url.host_str().ok_or_else(|| refuse("it names no host"))?;
        if host.contains(',') {
            return Err(refuse("there is a comma in its host; between proxies stand a comma and a blank"));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        // 80 is what the parser leaves out, being that of http.
        let explicit = rest.rsplit_once(':').is_some_and(|(_, port)| port.trim_end_matches('/') == "80");
        let port = url.port().or(explicit.then_some(80)).unwrap_or_else(|| kind.default_port());
        Ok(Self { kind, host, port, login: Self::login(&url).map_err(refuse)? })
    }

    fn login(url: &Url) -> Result<Option<Login>, &'static str> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        let decode = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| "its user or password is not UTF-8")?;
            let is_clean = !text.contains(|c: char| c.is_control());
            if is_clean { Ok(text.into_owned()) } else { Err("its user or password holds a control character") }
        };
        let password = url.password().unwrap_or_default();
        Ok(Some(Login { user: decode(url.username())?, password: decode(password)? }))
    }

    /// `Basic` credentials (RFC 7617) of the URL, ready to send.
    pub fn basic(&self) -> Option<HeaderValue> {
        let login = self.login.as_ref()?;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", login.user, login.password));
        let mut value = HeaderValue::from_str(&format!("Basic {pair}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// `host:port`, with brackets where they belong.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl std::fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.kind.scheme(), self.authority())
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let table = [
            ("proxy.example.org", "http://proxy.example.org:80"),
            ("proxy.example.org:3128", "http://proxy.example.org:3128"),
            ("HTTP://proxy.example.org/", "http://proxy.example.org:80"),
            ("https://proxy.example.org", "https://proxy.example.org:443"),
            ("https://proxy.example.org:80", "https://proxy.example.org:80"),
            ("socks://192.0.2.1", "socks4://192.0.2.1:1080"),
            ("socks4a://h", "socks4a://h:1080"),
            ("socks5://[2001:db8::1]:9050", "socks5://[2001:db8::1]:9050"),
            ("socks5h://[2001:db8::1]:80/", "socks5h://[2001:db8::1]:80"),
        ];
        for (text, expected) in table {
            assert_eq!(ProxyUrl::parse(text, "test").unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, expected) in [
            ("ftp://u:geheim@h", "none of http, https"),
            ("http://u:geheim@", "not a URL"),
            ("http://u:ge#heim@h:1", "not a URL"),
            ("http://h:1/geheim", "follows host and port"),
            ("http://u:%ff@h:1", "UTF-8"),
            ("http://u:geheim%0d@h:1", "control"),
            ("http://u:geheim@h:70000", "not a URL"),
        ] {
            let error = ProxyUrl::parse(text, "https_proxy").unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("https_proxy"), "{text}: {error}");
            assert!(!error.contains("geheim") && !error.contains("heim"), "{error}");
        }
    }

    #[test]
    fn user_and_password_are_decoded_and_not_shown() {
        let proxy = ProxyUrl::parse("http://u%40d:p%3A%25@h", "test").unwrap();
        let login = proxy.login.as_ref().unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("u@d", "p:%"));
        assert_eq!(proxy.basic().unwrap(), "Basic dUBkOnA6JQ==");
        let shown = format!("{proxy} {proxy:?} {login:?} {:?}", proxy.basic());
        assert!(!shown.contains("p:%") && !shown.contains("dUBk"), "{shown}");
    }
}
