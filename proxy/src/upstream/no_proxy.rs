//! Which hosts are reached without the proxies of the user's own network.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::host_pattern::{is_below, split_port};

/// A `NO_PROXY` list: names cover what is below them, a leading dot does not count, addresses and CIDR blocks cover
/// literal addresses, an entry may end in a port, `*` covers everything. Where curl and Go differ, see
/// `docs/reference/no-proxy.md`, which is tested against both.
#[derive(Clone, Debug, Default)]
pub struct NoProxy(Vec<(Entry, Option<u16>)>);

#[derive(Clone, Debug)]
enum Entry {
    Any,
    /// A name, and what is below it.
    Name(String),
    /// What is below a name.
    Below(String),
    Network(IpNet),
}

impl NoProxy {
    /// Reads a list, separated by commas or blanks. What cannot be read is left out, as curl and Go do.
    pub fn parse(text: &str) -> Self {
        let separator = |letter: char| letter == ',' || letter.is_ascii_whitespace();
        Self(text.split(separator).filter_map(Self::entry).collect())
    }

    fn entry(text: &str) -> Option<(Entry, Option<u16>)> {
        let network = |text: &str| text.parse::<IpNet>().ok().map(Entry::Network);
        if let Some(network) = network(text) {
            return Some((network, None));
        }
        // A port that is not there; but not the end of `2001:db8::`.
        let text = text.strip_suffix(':').filter(|rest| !rest.contains(':')).unwrap_or(text);
        let (host, port) = split_port(text)?;
        if host == "*" {
            return Some((Entry::Any, port));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some((Entry::Network(IpNet::from(address.to_canonical())), port));
        }
        if let Some(network) = network(host) {
            return Some((network, port));
        }
        let (name, make): (_, fn(String) -> Entry) = match host.strip_prefix("*.") {
            Some(name) => (name, Entry::Below),
            None => (host.strip_prefix('.').unwrap_or(host), Entry::Name),
        };
        let name = ascii(name.strip_suffix('.').unwrap_or(name));
        (!name.is_empty()).then(|| (make(name), port))
    }

    /// Whether the host (an IPv6 address without brackets) is reached without a proxy.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let address = host.parse::<IpAddr>().ok();
        self.0.iter().filter(|(_, own)| own.is_none_or(|own| own == port)).any(|(entry, _)| match (entry, address) {
            (Entry::Any, _) => true,
            (Entry::Network(network), Some(address)) => network.contains(&address.to_canonical()),
            (Entry::Name(name), None) => name.eq_ignore_ascii_case(host) || is_below(host, name),
            (Entry::Below(name), None) => is_below(host, name),
            _ => false,
        })
    }
}

/// A name as it is asked for: in `xn--` form where it has other letters.
fn ascii(name: &str) -> String {
    let converted = if name.is_ascii() { None } else { url::Host::parse(name).ok() };
    converted.map_or_else(|| name.to_ascii_lowercase(), |host| host.to_string())
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
}
