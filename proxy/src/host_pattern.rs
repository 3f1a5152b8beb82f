//! Host patterns of rules: `example.org`, `*.example.org`, `*`, each with an optional `:port`.

use std::fmt;
use std::str::FromStr;

use crate::error::ConfigError;

/// Matches a host, and a port where it names one. Letter case and a trailing dot do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    name: Name,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Any,
    Exact(String),
    /// Any name below this one, but not the name itself.
    Below(String),
}

impl HostPattern {
    /// Whether the pattern covers the host (an IPv6 address without brackets) at the port.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|own| own != port) {
            return false;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        match &self.name {
            Name::Any => true,
            Name::Exact(name) => name.eq_ignore_ascii_case(host),
            Name::Below(suffix) => is_below(host, suffix),
        }
    }

    /// The port the pattern names.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

/// Whether `host` is a name below `suffix`, which has no leading dot.
pub(crate) fn is_below(host: &str, suffix: &str) -> bool {
    host.len() > suffix.len() + 1
        && host.is_char_boundary(host.len() - suffix.len())
        && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
        && host.as_bytes()[host.len() - suffix.len() - 1] == b'.'
}

/// Splits `host:port`, `[v6]:port`, `host` and a bare IPv6 address; the host comes without brackets.
pub(crate) fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((text, None)),
    }
}

impl FromStr for HostPattern {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::HostPattern { pattern: text.to_owned(), reason };
        let (host, port) = split_port(text.trim()).ok_or_else(|| refuse("the port is not a number up to 65535"))?;
        let host = host.strip_suffix('.').filter(|host| *host != "*").unwrap_or(host).to_ascii_lowercase();
        let name = if host == "*" {
            Name::Any
        } else if let Some(rest) = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')) {
            Name::Below(rest.to_owned())
        } else {
            Name::Exact(host)
        };
        match &name {
            Name::Exact(name) | Name::Below(name) if name.is_empty() => Err(refuse("the name is empty")),
            Name::Exact(name) | Name::Below(name) if name.contains(['*', '/', ' ', '@']) => {
                Err(refuse("only a name, `*.name` or `*`, with an optional `:port`, can be written here"))
            }
            _ => Ok(Self { name, port }),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Any => f.write_str("*")?,
            Name::Exact(name) if name.contains(':') => write!(f, "[{name}]")?,
            Name::Exact(name) => f.write_str(name)?,
            Name::Below(name) => write!(f, "*.{name}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_says() {
        let table = [
            ("example.org", "example.org", 443, true),
            ("example.org", "EXAMPLE.org.", 443, true),
            ("example.org", "a.example.org", 443, false),
            ("*.example.org", "a.example.org", 443, true),
            ("*.example.org", "example.org", 443, false),
            ("*.example.org", "badexample.org", 443, false),
            (".example.org", "a.b.example.org", 80, true),
            ("example.org:8443", "example.org", 443, false),
            ("example.org:8443", "example.org", 8443, true),
            ("*", "anything", 1, true),
            ("[2001:db8::1]:443", "2001:db8::1", 443, true),
            ("2001:db8::1", "2001:db8::1", 443, true),
        ];
        for (pattern, host, port, expected) in table {
            let parsed: HostPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(host, port), expected, "{pattern} against {host}:{port}");
        }
        for bad in ["", "a*b", "https://example.org/", "example.org:99999", "*."] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }
}
