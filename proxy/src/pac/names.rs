//! The names a script asks for: each asked of the system at most once in a while, and never waited for without end.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Zoned;

/// What a script can learn of the machine it runs on.
pub trait Host: Send + Sync + 'static {
    /// The addresses of a name, none where it has none. It may take its time: it is called from a thread of its own.
    fn resolve(&self, name: &str) -> Vec<IpAddr>;

    /// The addresses of this machine, the one that most traffic leaves from first.
    fn addresses(&self) -> Vec<IpAddr>;

    /// The domain this machine is in, for WPAD.
    fn domain(&self) -> Option<String> {
        None
    }

    /// The time, in the local zone.
    fn now(&self) -> Zoned;
}

/// The machine itself: its resolver (hosts file, VPN and all), its routes, its clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Host for System {
    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> = Vec::new();
        for address in (name, 0).to_socket_addrs().into_iter().flatten().map(|address| address.ip()) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        found
    }

    fn addresses(&self) -> Vec<IpAddr> {
        // Connecting a datagram socket sends nothing; it asks the routing table. First by the default route, then to
        // where the networks of companies are.
        let places: [IpAddr; 6] = [
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            Ipv4Addr::new(10, 0, 0, 1).into(),
            Ipv4Addr::new(172, 16, 0, 1).into(),
            Ipv4Addr::new(192, 168, 0, 1).into(),
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into(),
        ];
        let mut found: Vec<IpAddr> = Vec::new();
        let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        });
        for address in places.into_iter().filter_map(source_towards).chain(interfaces) {
            let usable = match address {
                IpAddr::V4(v4) => !v4.is_link_local(),
                IpAddr::V6(v6) => !v6.is_unicast_link_local(),
            };
            if usable && !address.is_loopback() && !address.is_unspecified() && !found.contains(&address) {
                found.push(address);
            }
        }
        found
    }

    fn domain(&self) -> Option<String> {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let of_name = || name.split_once('.').map(|(_, domain)| domain.to_owned());
        let settings = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let of_resolver = || settings.lines().find_map(search_domain);
        of_name().or_else(of_resolver).filter(|domain| !domain.is_empty())
    }

    fn now(&self) -> Zoned {
        Zoned::now()
    }
}

/// The domain that a line of resolv.conf(5) names: `domain X`, or the first of `search X Y`.
fn search_domain(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    matches!(words.next()?, "domain" | "search").then(|| words.next().unwrap_or_default().trim_matches('.').to_owned())
}

fn source_towards(place: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = match place {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((place, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// What there is to say of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The resolver's answer; none where the name has no address.
    Answer(Vec<IpAddr>),
    /// No answer in time, or too much is being asked already.
    Late,
}

/// How long an answer holds, and the most there may be of everything.
const KEEP: Duration = Duration::from_secs(60);
/// A name without addresses may be one of a moment's failure.
const KEEP_NOTHING: Duration = Duration::from_secs(10);
const MOST_KEPT: usize = 2048;
const MOST_ASKED: usize = 16;

#[derive(Debug)]
enum Entry {
    Asked,
    Answered(Instant, Vec<IpAddr>),
}

/// Resolves for scripts, and keeps answers for a while.
#[derive(Clone)]
pub(super) struct Names {
    host: Arc<dyn Host>,
    shared: Arc<(Mutex<HashMap<String, Entry>>, Condvar)>,
}

impl Names {
    pub(super) fn new(host: Arc<dyn Host>) -> Self {
        Self { host, shared: Arc::default() }
    }

    /// The addresses of a name. Waits until `until` and no longer; what then arrives is kept for the next who asks.
    pub(super) fn lookup(&self, name: &str, until: Instant) -> Lookup {
        let name = name.trim().to_ascii_lowercase();
        if let Some(address) = super::address::any(&name) {
            return Lookup::Answer(vec![address]);
        }
        if !is_name(&name) {
            return Lookup::Answer(Vec::new());
        }
        let mut entries = lock(&self.shared.0);
        loop {
            match entries.get(&name) {
                Some(Entry::Answered(at, addresses)) if at.elapsed() < keep(addresses) => {
                    return Lookup::Answer(addresses.clone());
                }
                Some(Entry::Asked) => {}
                _ => {
                    if !self.ask(&mut entries, &name) {
                        return Lookup::Late;
                    }
                }
            }
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Lookup::Late;
            };
            entries = self.shared.1.wait_timeout(entries, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts a look-up in a thread of its own: the system's resolver cannot be told to stop.
    fn ask(&self, entries: &mut HashMap<String, Entry>, name: &str) -> bool {
        if entries.values().filter(|entry| matches!(entry, Entry::Asked)).count() >= MOST_ASKED {
            return false;
        }
        if entries.len() >= MOST_KEPT {
            entries.retain(|_, entry| match entry {
                Entry::Asked => true,
                Entry::Answered(at, addresses) => at.elapsed() < keep(addresses) / 2,
            });
            if entries.len() >= MOST_KEPT {
                entries.retain(|_, entry| matches!(entry, Entry::Asked));
            }
        }
        let (host, shared, owned) = (self.host.clone(), self.shared.clone(), name.to_owned());
        let asking = std::thread::Builder::new().name("pac-dns".to_owned()).spawn(move || {
            let mut found = Found { shared, name: owned, addresses: Vec::new() };
            found.addresses = host.resolve(&found.name);
        });
        if asking.is_ok() {
            entries.insert(name.to_owned(), Entry::Asked);
        }
        asking.is_ok()
    }
}

/// A look-up under way; says what was found however it ends.
struct Found {
    shared: Arc<(Mutex<HashMap<String, Entry>>, Condvar)>,
    name: String,
    addresses: Vec<IpAddr>,
}

impl Drop for Found {
    fn drop(&mut self) {
        let entry = Entry::Answered(Instant::now(), std::mem::take(&mut self.addresses));
        lock(&self.shared.0).insert(std::mem::take(&mut self.name), entry);
        self.shared.1.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(addresses: &[IpAddr]) -> Duration {
    if addresses.is_empty() { KEEP_NOTHING } else { KEEP }
}

/// Whether this can be a name: what is none would reach the resolver's search list and plugins for nothing.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let bare = name.strip_suffix('.').unwrap_or(name);
    bare.len() <= 253 && bare.bytes().all(letter) && bare.split('.').all(|label| (1..=63).contains(&label.len()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// `slow.*` names answer only when the test says so.
    struct Fake {
        asked: AtomicUsize,
        open: (Mutex<bool>, Condvar),
    }

    impl Fake {
        fn open(&self) {
            *self.open.0.lock().unwrap() = true;
            self.open.1.notify_all();
        }
    }

    impl Host for Fake {
        fn resolve(&self, name: &str) -> Vec<IpAddr> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            assert_ne!(name, "panics.example.org");
            if name.starts_with("slow") {
                let open = self.open.0.lock().unwrap();
                let _open = self.open.1.wait_while(open, |open| !*open).unwrap();
            }
            if name.starts_with("none") { Vec::new() } else { vec![Ipv4Addr::new(192, 0, 2, 7).into()] }
        }

        fn addresses(&self) -> Vec<IpAddr> {
            Vec::new()
        }

        fn now(&self) -> Zoned {
            Zoned::default()
        }
    }

    fn names() -> (Arc<Fake>, Names) {
        let fake = Arc::new(Fake { asked: AtomicUsize::new(0), open: (Mutex::default(), Condvar::default()) });
        (fake.clone(), Names::new(fake))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_name_is_asked_for_once() {
        let (fake, names) = names();
        let found = Lookup::Answer(vec![Ipv4Addr::new(192, 0, 2, 7).into()]);
        assert_eq!(names.lookup("a.example.org", soon()), found);
        assert_eq!(names.lookup(" A.example.org", soon()), found);
        assert_eq!(names.lookup("none.example.org", soon()), Lookup::Answer(Vec::new()));
        assert_eq!(names.lookup("none.example.org", soon()), Lookup::Answer(Vec::new()));
        assert_eq!(fake.asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        let (fake, names) = names();
        let long = format!("{}.example.org", "x".repeat(64));
        for bad in ["", ".", "a..b", "a b", "a/b", "a\0b", "$(id)", "\u{fc}.example.org", &long, &"a.".repeat(200)] {
            assert_eq!(names.lookup(bad, soon()), Lookup::Answer(Vec::new()), "{bad:?}");
        }
        assert_eq!(names.lookup("[2001:db8::1]", soon()), Lookup::Answer(vec!["2001:db8::1".parse().unwrap()]));
        assert_eq!(fake.asked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_slow_name_is_late_and_its_answer_is_kept() {
        let (fake, names) = names();
        let at_once = Instant::now();
        assert_eq!(names.lookup("slow.example.org", at_once), Lookup::Late);
        assert_eq!(names.lookup("slow.example.org", at_once), Lookup::Late);
        fake.open();
        assert!(matches!(names.lookup("slow.example.org", soon()), Lookup::Answer(found) if found.len() == 1));
        assert_eq!(fake.asked.load(Ordering::SeqCst), 1, "who waits for a name does not ask for it again");
    }

    #[test]
    fn slow_names_do_not_pile_up() {
        let (fake, names) = names();
        for number in 0..MOST_ASKED {
            assert_eq!(names.lookup(&format!("slow{number}.example.org"), Instant::now()), Lookup::Late);
        }
        assert_eq!(names.lookup("quick.example.org", soon()), Lookup::Late, "too many threads wait already");
        fake.open();
        // Each of them answers; then there is room again.
        for number in 0..MOST_ASKED {
            names.lookup(&format!("slow{number}.example.org"), soon());
        }
        assert!(matches!(names.lookup("quick.example.org", soon()), Lookup::Answer(_)));
        assert_eq!(fake.asked.load(Ordering::SeqCst), MOST_ASKED + 1);
    }

    #[test]
    fn a_resolver_that_fails_leaves_nobody_waiting() {
        let (_, names) = names();
        assert_eq!(names.lookup("panics.example.org", soon()), Lookup::Answer(Vec::new()));
    }
}
