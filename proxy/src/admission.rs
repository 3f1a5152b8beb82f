//! Who may use a listener: by address, and by login. Decided before anything is read from a client that may not.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, PROXY_AUTHENTICATE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use ipnet::IpNet;

use crate::body::Body;
use crate::current::Current;
use crate::error::answer;
use crate::login::{Login, Users};

/// What clients who are not let in are told to wait for, where nothing better is known.
const COME_BACK: Duration = Duration::from_secs(5);

/// A network that clients are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its addresses.
    pub range: IpNet,
    /// What its clients are called in flows; the listener's own name where there is none.
    pub label: Option<Arc<str>>,
}

/// The rules of a listener.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Where clients may come from. Empty: from this machine; and where there are users, from private networks.
    pub networks: Vec<Network>,
    /// Who may log in, where that is asked for.
    pub users: Option<Arc<Users>>,
    /// Whether a client of one of `networks` need not log in, and one who logs in may come from anywhere.
    pub either: bool,
    /// Connections that one client may have at a time: one address, or the 64 bits that an IPv6 host is given.
    pub per_client: usize,
    /// Connections that all clients may have at a time.
    pub connections: usize,
}

impl Default for Admission {
    fn default() -> Self {
        Self { networks: Vec::new(), users: None, either: false, per_client: usize::MAX, connections: usize::MAX }
    }
}

impl Admission {
    /// Whether it lets in whoever finds the address: nobody logs in, and a network is the whole internet.
    pub fn is_open(&self) -> bool {
        let whole = |network: &Network| network.range.prefix_len() == 0;
        self.networks.iter().any(whole) && (self.users.is_none() || self.either)
    }

    /// Whether any rule was given.
    pub fn has_rules(&self) -> bool {
        self.users.is_some() || !self.networks.is_empty()
    }

    /// The most exact network that an address is in.
    fn network(&self, address: IpAddr) -> Option<&Network> {
        let found = self.networks.iter().filter(|network| network.range.contains(&address));
        found.max_by_key(|network| network.range.prefix_len())
    }

    /// How a client stands by its address. `None` is a Unix socket, whose file's mode says who may.
    fn standing(&self, address: Option<IpAddr>) -> Standing {
        let Some(address) = address else { return Standing::of(self.users.is_some() && !self.either) };
        let (inside, label) = if self.networks.is_empty() {
            (address.is_loopback() || (self.users.is_some() && is_private(address)), None)
        } else {
            let network = self.network(address);
            (network.is_some(), network.and_then(|network| network.label.clone()))
        };
        // Either of the two is enough only where both are given.
        let log_in = match (&self.users, self.either && !self.networks.is_empty()) {
            (None, _) if inside => false,
            (Some(_), true) => !inside,
            (Some(_), false) if inside => true,
            // What is not on our own networks is not worth an answer; to others one is a help.
            _ if is_private(address) => return Standing::Refused,
            _ => return Standing::Ignored,
        };
        Standing::Admitted { label, log_in }
    }
}

/// How a client stands by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Admitted { label: Option<Arc<str>>, log_in: bool },
    Refused,
    Ignored,
}

impl Standing {
    fn of(log_in: bool) -> Self {
        Self::Admitted { label: None, log_in }
    }
}

/// A listener's rules, exchangeable while it works, and what became of those who came.
#[derive(Debug, Default)]
pub struct Gate {
    rules: Current<Admission>,
    open: Mutex<HashMap<Option<IpAddr>, usize>>,
    counts: Counts,
}

/// What became of clients, each counted since the start.
#[derive(Debug, Default)]
struct Counts {
    admitted: AtomicU64,
    ignored: AtomicU64,
    refused: AtomicU64,
    crowded: AtomicU64,
    checked: AtomicU64,
    known: AtomicU64,
    missing: AtomicU64,
    wrong: AtomicU64,
    later: AtomicU64,
}

/// What became of clients so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Connections open now.
    pub open: u64,
    /// Clients that have connections open now.
    pub clients: u64,
    /// Connections let in.
    pub admitted: u64,
    /// Connections dropped without a word: from outside of private networks, and of no network of the rules.
    pub ignored: u64,
    /// Connections told 403: of no network of the rules.
    pub refused: u64,
    /// Connections told 503: the client has too many, all have, or descriptors are short.
    pub crowded: u64,
    /// Requests whose password was checked and right.
    pub checked: u64,
    /// Requests whose password was found right a short while before.
    pub known: u64,
    /// Requests without credentials, told 407.
    pub missing: u64,
    /// Requests with wrong credentials, told 407.
    pub wrong: u64,
    /// Requests told 429: the address has been wrong too often.
    pub later: u64,
}

/// A connection that has arrived.
pub(crate) enum Arrival {
    /// It is served, and takes a place while it is open.
    Admitted(Place, Option<Arc<str>>),
    /// It is told why not.
    Refused(StatusCode, String),
    /// It is closed.
    Ignored,
}

/// A client's connection, counted until it is dropped.
pub(crate) struct Place {
    gate: Arc<Gate>,
    client: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

impl Gate {
    /// A gate with these rules.
    pub fn new(rules: Admission) -> Arc<Self> {
        let gate = Self::default();
        gate.rules.set(rules);
        Arc::new(gate)
    }

    /// Has other rules for connections and requests from now on.
    pub fn set(&self, rules: Admission) {
        self.rules.set(rules);
    }

    /// Whether it has rules: then it is for others than who is on this machine.
    pub(crate) fn has_rules(&self) -> bool {
        self.rules.look().has_rules()
    }

    /// What became of clients so far.
    pub fn counts(&self) -> GateCounts {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (clients, connections) = (open.len() as u64, open.values().sum::<usize>() as u64);
        drop(open);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        GateCounts {
            open: connections,
            clients,
            admitted: read(&self.counts.admitted),
            ignored: read(&self.counts.ignored),
            refused: read(&self.counts.refused),
            crowded: read(&self.counts.crowded),
            checked: read(&self.counts.checked),
            known: read(&self.counts.known),
            missing: read(&self.counts.missing),
            wrong: read(&self.counts.wrong),
            later: read(&self.counts.later),
        }
    }

    /// Judges a connection by where it comes from.
    pub(crate) fn arrive(self: &Arc<Self>, address: Option<IpAddr>) -> Arrival {
        let rules = self.rules.look();
        let label = match rules.standing(address) {
            Standing::Admitted { label, .. } => label,
            Standing::Refused => {
                count(&self.counts.refused);
                let address = address.map(|address| address.to_string()).unwrap_or_default();
                let message = format!(
                    "{address} is in none of the networks that may use this proxy (the setting proxy.clients there)"
                );
                return Arrival::Refused(StatusCode::FORBIDDEN, message);
            }
            Standing::Ignored => {
                count(&self.counts.ignored);
                return Arrival::Ignored;
            }
        };
        let client = address.map(network_of);
        match self.take_place(client, &rules) {
            Ok(()) => {
                count(&self.counts.admitted);
                Arrival::Admitted(Place { gate: self.clone(), client }, label)
            }
            Err(message) => {
                count(&self.counts.crowded);
                Arrival::Refused(StatusCode::SERVICE_UNAVAILABLE, message)
            }
        }
    }

    /// What a connection is told that would take the descriptors of those under way.
    pub(crate) fn no_descriptors(&self) -> Arrival {
        count(&self.counts.crowded);
        let message =
            "this proxy has hardly any file descriptors left, and keeps them for what is under way".to_owned();
        Arrival::Refused(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    fn take_place(&self, client: Option<IpAddr>, rules: &Admission) -> Result<(), String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.get(&client).copied().unwrap_or(0);
        if held >= rules.per_client {
            return Err(format!(
                "this client has {held} connections open, which is the most (the setting proxy.connections_per_client)"
            ));
        }
        // Clients are few beside connections.
        if rules.connections < usize::MAX && open.values().sum::<usize>() >= rules.connections {
            return Err(format!(
                "{} connections are open, which is the most (the setting proxy.connections)",
                rules.connections
            ));
        }
        open.insert(client, held + 1);
        Ok(())
    }

    /// Judges a request: who asks, where a login is needed, or the answer to send.
    pub(crate) async fn authorize(
        &self,
        address: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<str>>, Response<Body>> {
        let rules = self.rules.look();
        let log_in = match rules.standing(address) {
            Standing::Admitted { log_in, .. } => log_in,
            // The rules have changed since the connection was let in.
            Standing::Refused | Standing::Ignored => {
                count(&self.counts.refused);
                let message = "this client is no longer among those that may use this proxy";
                return Err(closing(answer(StatusCode::FORBIDDEN, "http_request_denied", message)));
            }
        };
        // Who need not log in is not judged by what it sends: tools take credentials from places of their own.
        let Some(users) = rules.users.as_ref().filter(|_| log_in) else { return Ok(None) };
        let (counter, result) = match users.judge(headers, address).await {
            Login::Checked(user) => (&self.counts.checked, Ok(Some(user))),
            Login::Known(user) => (&self.counts.known, Ok(Some(user))),
            Login::Missing => (
                &self.counts.missing,
                Err(challenge(
                    "this proxy wants to know who asks: put user and \
                password into its URL, as in http://USER:PASSWORD@HOST:PORT",
                )),
            ),
            Login::Wrong => (&self.counts.wrong, Err(challenge("user or password for this proxy is wrong"))),
            Login::Later(wait) => (&self.counts.later, Err(later(wait))),
        };
        count(counter);
        result
    }

    /// Judges a request inside a CONNECT: whoever asked for that must still be let in.
    pub(crate) fn still_admits(&self, address: Option<IpAddr>, user: Option<&str>) -> Result<(), Response<Body>> {
        let rules = self.rules.look();
        let admitted = match rules.standing(address) {
            Standing::Admitted { log_in, .. } => {
                !log_in || rules.users.as_ref().is_none_or(|users| user.is_some_and(|user| users.has(user)))
            }
            Standing::Refused | Standing::Ignored => false,
        };
        if admitted {
            return Ok(());
        }
        count(&self.counts.refused);
        let message = "this client is no longer among those that may use this proxy";
        Err(closing(answer(StatusCode::FORBIDDEN, "http_request_denied", message)))
    }
}

fn challenge(message: &str) -> Response<Body> {
    let mut response = answer(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "http_request_denied", message);
    let realm = HeaderValue::from_static("Basic realm=\"larder\", charset=\"UTF-8\"");
    response.headers_mut().insert(PROXY_AUTHENTICATE, realm);
    response
}

fn later(wait: Duration) -> Response<Body> {
    let message = "too many wrong passwords came from this address; it is heard again later";
    let mut response = answer(StatusCode::TOO_MANY_REQUESTS, "http_request_denied", message);
    retry_after(&mut response, wait);
    response
}

/// The answer to a connection that is not let in.
pub(crate) fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let kind = if status == StatusCode::FORBIDDEN { "http_request_denied" } else { "connection_limit_reached" };
    let mut response = answer(status, kind, message);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        retry_after(&mut response, COME_BACK);
    }
    closing(response)
}

fn retry_after(response: &mut Response<Body>, wait: Duration) {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What is counted as one client: an IPv6 host has 64 bits to itself.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
    }
}

/// Addresses that no packet from the internet has: this machine's, the link's, and those of private networks (RFC 1918,
/// RFC 4193, RFC 6598).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let octets = v4.octets();
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || (octets[0] == 100 && octets[1] & 0xc0 == 64)
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            v6.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}

#[cfg(test)]
mod tests;
