//! The gateway of a build: a network namespace with no link to the outside, in which every address is a local one.
//!
//! A helper makes the namespace and the proxy's sockets in it, hands them over, and ends: the namespace lives as long
//! as the sockets and the descriptors held here, and so ends with Larder however that ends. A second namespace, the
//! guest's, is joined to it by a veth pair.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::host::cause::{Cause, Facts, Kind};
use super::netlink::Netlink;
use super::{channel, namespace, reexec};
use crate::error::Error;

/// The gateway's address, as a guest sees it: of a range kept for documentation, which nothing real uses.
pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The guest's address.
pub const GUEST_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The gateway's IPv6 address, of the range kept for documentation.
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x6c61, 0, 0, 0, 0, 1);
/// The guest's IPv6 address.
pub const GUEST_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x6c61, 0, 0, 0, 0, 2);
/// Port of the explicit proxy inside the gateway.
pub const PROXY_PORT: u16 = 3128;

/// How to make a gateway.
#[derive(Clone, Debug)]
pub struct GatewaySpec {
    /// The program to re-execute; [`reexec::this_program`] but in tests.
    pub program: PathBuf,
}

impl Default for GatewaySpec {
    fn default() -> Self {
        Self { program: reexec::this_program() }
    }
}

/// The proxy's sockets inside the gateway: bound to every address of both families, non-blocking, closed on exec. The
/// local address of an accepted connection is the destination the client meant (IPv4 as `::ffff:a.b.c.d`).
#[derive(Debug)]
pub struct GatewayListeners {
    /// Explicit proxy, port [`PROXY_PORT`].
    pub proxy: TcpListener,
    /// Plain HTTP meant for any address, port 80.
    pub http: TcpListener,
    /// TLS meant for any address, port 443.
    pub https: TcpListener,
    /// Name resolution over UDP, port 53, asked at any address: answer from the address asked.
    pub dns_udp: UdpSocket,
    /// Name resolution over TCP, port 53.
    pub dns_tcp: TcpListener,
}

/// The network of one build. It ends when this, its sockets and its guests have ended.
#[derive(Debug)]
pub struct Gateway {
    listeners: Option<GatewayListeners>,
    network: OwnedFd,
    guest_network: OwnedFd,
    user: Option<OwnedFd>,
    /// Where things in the gateway are reached, from inside it and from a guest.
    address: Ipv4Addr,
}

/// What the helper answers; the descriptors come along in the order of the fields of [`Gateway`].
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Made { user_namespace: bool },
    Refused { what: String, error: String, code: Option<i32> },
}

/// Why there is no gateway.
#[derive(Debug)]
pub struct Refused {
    /// What could not be done.
    pub what: String,
    /// What the system said.
    pub error: io::Error,
}

impl Refused {
    fn new(what: impl Into<String>, error: io::Error) -> Self {
        Self { what: what.into(), error }
    }

    /// The cause, as far as it is known.
    pub fn cause(&self, facts: &Facts) -> Cause {
        facts.cause(Kind::Network, &self.error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused.cause(&Facts::read()) {
            Cause::Unknown(_) => Self::new(format!("cannot {}: {}", refused.what, refused.error))
                .hint("`larder doctor` looks at what this machine allows"),
            cause => cause.error(&format!("cannot {}: {}", refused.what, refused.error)),
        }
    }
}

impl Gateway {
    /// Makes the namespaces and sockets. Needs root, or a kernel that lets its users make user namespaces; the error
    /// says which step was refused, for the caller to fall back to observed egress.
    pub async fn create(spec: GatewaySpec) -> Result<Self, Refused> {
        let because = |what: &'static str| move |error| Refused::new(what, error);
        let (ours, theirs) = channel::pair().map_err(because("make a socket pair"))?;
        let mut helper = Command::new(&spec.program)
            .arg(reexec::GATEWAY)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(because("run the helper that makes the build's network"))?;
        let status = helper.wait().await.map_err(because("wait for the helper of the build's network"))?;
        // The helper has ended, so its one message has arrived or never will.
        match channel::receive::<Answer>(&ours).map_err(because("read what the helper made"))? {
            Some((Answer::Made { user_namespace }, descriptors)) => Self::from_parts(user_namespace, descriptors)
                .ok_or_else(|| Refused::new("take what the helper made", io::ErrorKind::InvalidData.into())),
            Some((Answer::Refused { what, error, code }, _)) => {
                let error = code.map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error);
                Err(Refused::new(what, error))
            }
            None => {
                Err(Refused::new("hear from the helper of the build's network", io::Error::other(status.to_string())))
            }
        }
    }

    fn from_parts(user_namespace: bool, descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut descriptors = descriptors.into_iter();
        Some(Self {
            listeners: Some(GatewayListeners {
                proxy: descriptors.next()?.into(),
                http: descriptors.next()?.into(),
                https: descriptors.next()?.into(),
                dns_udp: descriptors.next()?.into(),
                dns_tcp: descriptors.next()?.into(),
            }),
            network: descriptors.next()?,
            guest_network: descriptors.next()?,
            user: if user_namespace { Some(descriptors.next()?) } else { None },
            address: GATEWAY_V4,
        })
    }

    /// The sockets for the proxy to serve, the first time; `None` afterwards.
    pub fn listeners(&mut self) -> Option<GatewayListeners> {
        self.listeners.take()
    }

    /// The explicit proxy's URL, for what runs in the gateway or in a guest joined to it.
    pub fn proxy_url(&self) -> String {
        format!("http://{}:{PROXY_PORT}", self.address)
    }

    /// The address to ask names of, for what runs in the gateway or in a guest joined to it.
    pub fn resolver(&self) -> IpAddr {
        self.address.into()
    }

    /// The gateway's network namespace, for what runs in the gateway itself.
    pub fn network(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }

    /// The network namespace of guests.
    pub fn guest_network(&self) -> BorrowedFd<'_> {
        self.guest_network.as_fd()
    }

    /// The user namespace the others belong to, where they were made without root.
    pub fn user_namespace(&self) -> Option<BorrowedFd<'_>> {
        self.user.as_ref().map(AsFd::as_fd)
    }
}

/// The helper: makes everything in one go and sends it over its standard input.
pub(super) fn helper_main() -> ExitCode {
    let socket = io::stdin();
    let sent = match make() {
        Ok(made) => {
            let descriptors: Vec<BorrowedFd<'_>> = made.descriptors.iter().map(AsFd::as_fd).collect();
            channel::send(&socket, &Answer::Made { user_namespace: made.user_namespace }, &descriptors)
        }
        Err((what, error)) => {
            let (code, error) = (error.raw_os_error(), error.to_string());
            channel::send(&socket, &Answer::Refused { what: what.to_owned(), error, code }, &[])
        }
    };
    if sent.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Made {
    descriptors: Vec<OwnedFd>,
    user_namespace: bool,
}

fn make() -> Result<Made, (&'static str, io::Error)> {
    let what = |what: &'static str| move |error| (what, error);
    let mut user = None;
    if !rustix::process::geteuid().is_root() {
        user = Some(namespace::new_user().map_err(what("make a user namespace"))?);
    }
    // The guest's namespace first: a process cannot go back to one it has no descriptor of.
    let guest = namespace::new_network().map_err(what("make the guest's network namespace"))?;
    let network = namespace::new_network().map_err(what("make the gateway's network namespace"))?;
    set_up_gateway(&guest).map_err(what("set up the gateway's network"))?;
    let mut descriptors = listeners().map_err(what("listen in the gateway"))?;
    namespace::enter_network(&guest).map_err(what("enter the guest's network namespace"))?;
    set_up_guest().map_err(what("set up the guest's network"))?;

    let user_namespace = user.is_some();
    descriptors.extend([network, guest]);
    descriptors.extend(user);
    Ok(Made { descriptors, user_namespace })
}

/// Name of the gateway's end of the veth pair.
const LINK: &str = "guest0";
/// Name of the guest's end of the veth pair.
const GUEST_LINK: &str = "eth0";

fn set_up_gateway(guest: &OwnedFd) -> io::Result<()> {
    let netlink = Netlink::open()?;
    namespace::set_network_parameter("ipv4/icmp_echo_ignore_all", "1")?;
    namespace::set_network_parameter("ipv6/icmp/echo_ignore_all", "1")?;
    // Refusals of UDP ports are not to be held back: by default every one after the first of a second is, and what the
    // whole machine sends in a second is limited too. The limits are for the types of these masks: none (IPv6: one
    // that nothing has).
    namespace::set_network_parameter("ipv4/icmp_ratemask", "0")?;
    namespace::set_network_parameter("ipv6/icmp/ratemask", "255")?;
    namespace::set_network_parameter("ipv4/icmp_ratelimit", "0")?;
    namespace::set_network_parameter("ipv6/icmp/ratelimit", "0")?;
    namespace::set_network_parameter("ipv4/ip_forward", "0")?;
    netlink.set_up("lo")?;
    netlink.add_veth(LINK, GUEST_LINK, guest.as_fd())?;
    join(&netlink, LINK, GATEWAY_V4, GATEWAY_V6)?;
    netlink.add_any_ip(false)?;
    if has_ipv6() {
        netlink.add_any_ip(true)?;
    }
    Ok(())
}

fn set_up_guest() -> io::Result<()> {
    let netlink = Netlink::open()?;
    netlink.set_up("lo")?;
    join(&netlink, GUEST_LINK, GUEST_V4, GUEST_V6)?;
    netlink.add_default_route(GUEST_LINK, GATEWAY_V4.into())?;
    if has_ipv6() {
        netlink.add_default_route(GUEST_LINK, GATEWAY_V6.into())?;
    }
    Ok(())
}

fn join(netlink: &Netlink, link: &str, v4: Ipv4Addr, v6: Ipv6Addr) -> io::Result<()> {
    if has_ipv6() {
        // Nobody else is on the link: no router to hear of, no duplicate address to wait for.
        namespace::set_network_parameter(&format!("ipv6/conf/{link}/accept_dad"), "0")?;
        namespace::set_network_parameter(&format!("ipv6/conf/{link}/accept_ra"), "0")?;
    }
    netlink.set_up(link)?;
    netlink.add_address(link, v4.into(), 30)?;
    if has_ipv6() {
        netlink.add_address(link, v6.into(), 64)?;
    }
    Ok(())
}

fn has_ipv6() -> bool {
    std::fs::metadata("/proc/sys/net/ipv6").is_ok()
}

fn listeners() -> io::Result<Vec<OwnedFd>> {
    Ok(vec![
        bound(SocketType::STREAM, PROXY_PORT)?,
        bound(SocketType::STREAM, 80)?,
        bound(SocketType::STREAM, 443)?,
        bound(SocketType::DGRAM, 53)?,
        bound(SocketType::STREAM, 53)?,
    ])
}

/// A socket for both families where there are two.
fn bound(kind: SocketType, port: u16) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (family, any): (_, IpAddr) = if has_ipv6() {
        (AddressFamily::INET6, Ipv6Addr::UNSPECIFIED.into())
    } else {
        (AddressFamily::INET, Ipv4Addr::UNSPECIFIED.into())
    };
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if any.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &SocketAddr::new(any, port))?;
    if kind == SocketType::STREAM {
        rustix::net::listen(&socket, 1024)?;
    }
    Ok(socket)
}
