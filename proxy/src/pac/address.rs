//! Addresses and masks, as the functions of a PAC script take them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// An IPv4 address in four decimal parts; `None` for anything else.
pub(super) fn ipv4(text: &str) -> Option<Ipv4Addr> {
    text.trim().parse().ok()
}

/// An address of either family, with or without brackets; a zone is left out.
pub(super) fn any(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    text.split('%').next().unwrap_or_default().parse().ok()
}

/// `isInNet`'s comparison: address and pattern are the same where the mask has ones.
pub(super) fn in_mask(address: Ipv4Addr, pattern: &str, mask: &str) -> bool {
    let (Some(pattern), Some(mask)) = (ipv4(pattern), ipv4(mask)) else { return false };
    let mask = u32::from(mask);
    u32::from(address) & mask == u32::from(pattern) & mask
}

/// `isInNetEx`'s comparison, with a prefix such as `10.0.0.0/8` or `2001:db8::/32`.
pub(super) fn in_prefix(address: &str, prefix: &str) -> bool {
    let (Some(address), Ok(network)) = (any(address), prefix.trim().parse::<IpNet>()) else { return false };
    network.contains(&address)
}

/// `convert_addr`: the number that the four parts make, with a sign, as scripts of browsers get it.
pub(super) fn number(text: &str) -> i32 {
    ipv4(text).map_or(0, |address| u32::from(address).cast_signed())
}

/// `sortIpAddressList`: IPv6 before IPv4, each by number; `None` where one is no address.
pub(super) fn sorted(list: &str) -> Option<String> {
    let parts = list.split(';').map(str::trim).filter(|part| !part.is_empty());
    let mut found: Vec<(IpAddr, &str)> = parts.map(|part| Some((any(part)?, part))).collect::<Option<_>>()?;
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|(address, _)| (address.is_ipv4(), *address));
    Some(found.iter().map(|(_, text)| *text).collect::<Vec<_>>().join(";"))
}

/// Addresses in one string, as the functions of IPv6 give them.
pub(super) fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_prefixes() {
        let in_net = |address: &str, pattern, mask| in_mask(ipv4(address).unwrap(), pattern, mask);
        assert!(in_net("198.95.249.79", "198.95.249.79", "255.255.255.255"));
        assert!(in_net("198.95.6.8", "198.95.0.0", "255.255.0.0"));
        assert!(!in_net("198.96.6.8", "198.95.0.0", "255.255.0.0"));
        assert!(in_net("10.1.2.3", "10.9.9.9", "255.0.0.0"), "the pattern's other bits do not count");
        assert!(in_net("1.2.3.4", "0.0.0.0", "0.0.0.0"));
        assert!(in_net("10.1.2.3", "10.0.2.0", "255.0.255.0"), "a mask may have holes");
        assert!(!in_net("10.1.2.3", "10", "255.0.0.0"));
        assert!(in_prefix("198.95.115.26", "198.95.0.0/16"));
        assert!(in_prefix("3ffe:8311:ffff:abcd::1", "3ffe:8311:ffff::/48"));
        assert!(!in_prefix("3ffe:8311:fffe::1", "3ffe:8311:ffff::/48"));
        assert!(!in_prefix("10.0.0.1", "3ffe::/16"));
        assert!(!in_prefix("example.org", "10.0.0.0/8"));
        assert!(!in_prefix("10.0.0.1", "10.0.0.0/33"));
    }

    #[test]
    fn numbers_have_the_sign_of_32_bits() {
        assert_eq!(number("104.16.41.2"), 1_745_889_538);
        assert_eq!(number("192.168.0.1"), -1_062_731_775);
        assert_eq!(number("no address"), 0);
    }

    #[test]
    fn lists_are_sorted_ipv6_first() {
        assert_eq!(sorted("10.2.3.9;::1;127.0.0.1;::9").as_deref(), Some("::1;::9;10.2.3.9;127.0.0.1"));
        assert_eq!(sorted("10.2.3.9;x"), None);
        assert_eq!(sorted(""), None);
    }
}
