//! Which addresses a client may reach.
//!
//! A guest may not reach the host it runs on: checked on the address that is then dialled, so that a name cannot
//! answer differently a second time.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long a reading of the host's own addresses is used.
const REFRESH: Duration = Duration::from_secs(10);

/// Decides on addresses. Knows the host's own, and the proxy's own listeners.
#[derive(Debug, Default)]
pub struct Guard {
    own: Mutex<Option<(Instant, HashSet<IpAddr>)>>,
    listeners: RwLock<HashSet<SocketAddr>>,
}

impl Guard {
    /// Why the address may not be dialled, or `None` where it may.
    pub fn refuses(&self, address: SocketAddr, guest: bool) -> Option<&'static str> {
        if self.is_listener(address) {
            return Some("it is this proxy itself");
        }
        if !guest {
            return None;
        }
        let reason = forms(address.ip()).find_map(class);
        reason.or_else(|| self.is_own(address.ip()).then_some("it is an address of the host"))
    }

    /// Notes a listener, so that no request is sent back to the proxy.
    pub fn add_listener(&self, address: SocketAddr) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).insert(canonical(address));
    }

    /// Forgets a listener.
    pub fn remove_listener(&self, address: SocketAddr) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).remove(&canonical(address));
    }

    fn is_listener(&self, address: SocketAddr) -> bool {
        let address = canonical(address);
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        if listeners.contains(&address) {
            return true;
        }
        let everywhere = listeners.iter().any(|own| own.ip().is_unspecified() && own.port() == address.port());
        drop(listeners);
        everywhere && (address.ip().is_loopback() || address.ip().is_unspecified() || self.is_own(address.ip()))
    }

    fn is_own(&self, address: IpAddr) -> bool {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = own.as_ref().is_some_and(|(read, _)| read.elapsed() < REFRESH);
        if !fresh {
            *own = Some((Instant::now(), interface_addresses()));
        }
        own.as_ref().is_some_and(|(_, addresses)| forms(address).any(|form| addresses.contains(&form)))
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Every address of the host's interfaces. A failure to read them leaves the fixed classes, which hold anyway.
fn interface_addresses() -> HashSet<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        tracing::warn!("cannot read the host's own addresses; guests are kept only from the reserved ones");
        return HashSet::new();
    };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .collect()
}

/// The address, and the IPv4 address it carries inside (mapped, compatible, NAT64, 6to4), which the network may
/// send it on to.
fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let inner = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => embedded(v6).map(IpAddr::V4),
    };
    std::iter::once(address).chain(inner)
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let tail = Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]);
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(tail),
        [0x2002, ..] => Some(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5])),
        _ => None,
    }
}

fn class(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => class_v6(v6),
    }
}

fn class_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("it is an unspecified address"),
        [127, ..] => Some("it is a loopback address"),
        [169, 254, 169, 254] => Some("it is a cloud's metadata service"),
        [169, 254, ..] => Some("it is a link-local address"),
        [100, 100, 100, 200] => Some("it is a cloud's metadata service"),
        [224..=239, ..] => Some("it is a multicast address"),
        [240..=255, ..] => Some("it is a reserved address"),
        _ => None,
    }
}

fn class_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("it is an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("it is a loopback address"),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Some("it is a cloud's metadata service"),
        [first, ..] if first & 0xffc0 == 0xfe80 => Some("it is a link-local address"),
        [first, ..] if first & 0xff00 == 0xff00 => Some("it is a multicast address"),
        _ => None,
    }
}

/// An IPv4 address as `inet_aton` reads it (decimal, octal, hexadecimal, fewer than four parts): what a peer that
/// resolves for us would make of such a host.
pub fn loose_ipv4(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = host
        .split('.')
        .map(|part| {
            let lower = part.to_ascii_lowercase();
            match lower.strip_prefix("0x") {
                Some(hex) if hex.is_empty() => Some(0),
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None if lower.len() > 1 && lower.starts_with('0') => u64::from_str_radix(&lower, 8).ok(),
                None => lower.parse().ok(),
            }
        })
        .collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    let width = 8 * (4 - leading.len());
    if *last >= 1 << width {
        return None;
    }
    let high = leading.iter().fold(0_u64, |all, part| all << 8 | part);
    u32::try_from(high << width | last).ok().map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_kept_from_the_host() {
        let guard = Guard::default();
        let refused = [
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "169.254.1.1",
            "fd00:ec2::254",
            "fe80::1",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ];
        for address in refused {
            let socket = SocketAddr::new(address.parse().unwrap(), 80);
            assert!(guard.refuses(socket, true).is_some(), "{address}");
            assert!(guard.refuses(socket, false).is_none(), "{address} for the host");
        }
        for address in ["203.0.113.9", "10.1.2.3", "192.168.7.7", "172.16.0.9", "2001:db8::1", "fd12::1"] {
            assert_eq!(guard.refuses(SocketAddr::new(address.parse().unwrap(), 80), true), None, "{address}");
        }
    }

    #[test]
    fn guests_are_kept_from_every_address_of_the_host() {
        let guard = Guard::default();
        for own in interface_addresses() {
            assert!(guard.refuses(SocketAddr::new(own, 80), true).is_some(), "{own}");
        }
        assert!(interface_addresses().contains(&IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn nobody_reaches_the_proxy_through_itself() {
        let guard = Guard::default();
        guard.add_listener("127.0.0.1:3128".parse().unwrap());
        guard.add_listener("[::]:8080".parse().unwrap());
        for (address, refused) in [
            ("127.0.0.1:3128", true),
            ("[::ffff:127.0.0.1]:3128", true),
            ("127.0.0.1:3129", false),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("203.0.113.9:8080", false),
        ] {
            assert_eq!(guard.refuses(address.parse().unwrap(), false).is_some(), refused, "{address}");
        }
    }

    #[test]
    fn loose_addresses_read_as_inet_aton_does() {
        let table = [
            ("2130706433", Some("127.0.0.1")),
            ("0x7f.1", Some("127.0.0.1")),
            ("0177.0.0.01", Some("127.0.0.1")),
            ("127.1", Some("127.0.0.1")),
            ("10.1.2.3", Some("10.1.2.3")),
            ("1.2.3.256", None),
            ("example.org", None),
            ("1.2.3.4.5", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(loose_ipv4(text), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }
}
