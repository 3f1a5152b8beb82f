//! Addresses given out for names.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// The block for benchmarks (RFC 2544): nothing on the internet is there.
const V4_BASE: u32 = 0xc612_0000;
/// A prefix of unique local addresses (RFC 4193).
const V6_BASE: u128 = 0xfd4c_6172_6465_7200_0000_0000_0000_0000;
/// Names known at a time. The block holds twice as many.
const CAPACITY: u32 = 65_536;

/// The addresses of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For A.
    pub v4: Ipv4Addr,
    /// For AAAA.
    pub v6: Ipv6Addr,
}

/// Names and their addresses, both ways. The oldest is forgotten when it is full.
#[derive(Debug, Default)]
pub struct NamePool {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_name: HashMap<String, u32>,
    by_slot: Vec<String>,
    next: u32,
}

impl NamePool {
    /// The addresses of a name (lower case, no trailing dot): the same ones each time, as long as it is remembered.
    pub fn addresses(&self, name: &str) -> Addresses {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = state.by_name.get(name) {
            return at(*slot);
        }
        let slot = state.next;
        state.next = (slot + 1) % CAPACITY;
        match state.by_slot.get_mut(slot as usize) {
            Some(old) => {
                let old = std::mem::replace(old, name.to_owned());
                state.by_name.remove(&old);
            }
            None => state.by_slot.push(name.to_owned()),
        }
        state.by_name.insert(name.to_owned(), slot);
        at(slot)
    }

    /// The name that was given this address.
    pub fn name(&self, address: IpAddr) -> Option<String> {
        let offset = match address.to_canonical() {
            IpAddr::V4(v4) => u32::from(v4).checked_sub(V4_BASE)?,
            IpAddr::V6(v6) => u32::try_from(u128::from(v6).checked_sub(V6_BASE)?).ok()?,
        };
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.by_slot.get(offset.checked_sub(1)? as usize).cloned()
    }
}

/// The first address of the block is left out: some systems take it for a broadcast.
fn at(slot: u32) -> Addresses {
    Addresses { v4: Ipv4Addr::from(V4_BASE + slot + 1), v6: Ipv6Addr::from(V6_BASE + u128::from(slot) + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_the_address_tells_the_name() {
        let pool = NamePool::default();
        let a = pool.addresses("a.example.org");
        let b = pool.addresses("b.example.org");
        assert_ne!(a, b);
        assert_eq!(pool.addresses("a.example.org"), a);
        assert_eq!(a.v4, Ipv4Addr::new(198, 18, 0, 1));
        assert_eq!(pool.name(a.v4.into()).as_deref(), Some("a.example.org"));
        assert_eq!(pool.name(b.v6.into()).as_deref(), Some("b.example.org"));
        assert_eq!(pool.name(a.v4.to_ipv6_mapped().into()).as_deref(), Some("a.example.org"));
        assert_eq!(pool.name("203.0.113.9".parse().unwrap()), None);
        assert_eq!(pool.name("198.18.0.0".parse().unwrap()), None);
    }

    #[test]
    fn a_full_pool_forgets_the_oldest() {
        let pool = NamePool::default();
        let first = pool.addresses("first");
        for index in 1..CAPACITY {
            pool.addresses(&format!("n{index}"));
        }
        assert_eq!(pool.name(first.v4.into()).as_deref(), Some("first"));
        assert_eq!(pool.addresses("one-more"), first);
        assert_eq!(pool.name(first.v4.into()).as_deref(), Some("one-more"));
        assert_ne!(pool.addresses("first"), first);
    }
}
