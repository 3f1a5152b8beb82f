//! The few requests to the kernel's routing socket that a gateway needs (rtnetlink(7)), so that no `ip` program has
//! to be on the machine.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

const REQUEST_AND_ACK: u16 = 0x01 | 0x04;
const CREATE: u16 = 0x400;
const EXCLUSIVE: u16 = 0x200;
const ERROR: u16 = 2;

const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
const LINK_NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const LINK_NAMESPACE: u16 = 28;
const ADDRESS_ADDRESS: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
const ADDRESS_FLAGS: u16 = 8;
const ROUTE_INTERFACE: u16 = 4;
const ROUTE_GATEWAY: u16 = 5;

const UP: u32 = 1;
/// `IFA_F_NODAD`: usable at once; nobody else is on the link.
const NO_DUPLICATE_DETECTION: u32 = 2;
const TABLE_MAIN: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_HOST: u8 = 254;
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;

/// A routing socket of the network namespace it was opened in.
pub(super) struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        // NETLINK_ROUTE is protocol 0.
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket })
    }

    /// Makes a pair of virtual Ethernet devices, the peer in another network namespace.
    pub(super) fn add_veth(&self, name: &str, peer: &str, namespace: BorrowedFd<'_>) -> io::Result<()> {
        let mut peer_part = link_header(0, 0).to_vec();
        attribute(&mut peer_part, LINK_NAME, &with_nul(peer));
        attribute(&mut peer_part, LINK_NAMESPACE, &namespace.as_raw_fd().to_ne_bytes());
        let mut data = Vec::new();
        attribute(&mut data, VETH_PEER, &peer_part);
        let mut info = Vec::new();
        attribute(&mut info, INFO_KIND, b"veth");
        attribute(&mut info, INFO_DATA, &data);

        let mut body = link_header(0, 0).to_vec();
        attribute(&mut body, LINK_NAME, &with_nul(name));
        attribute(&mut body, LINK_INFO, &info);
        self.request(NEW_LINK, CREATE | EXCLUSIVE, &body)
    }

    /// Brings a device up.
    pub(super) fn set_up(&self, name: &str) -> io::Result<()> {
        self.request(NEW_LINK, 0, &link_header(self.index(name)?, UP))
    }

    /// Gives a device an address.
    pub(super) fn add_address(&self, name: &str, address: IpAddr, prefix: u8) -> io::Result<()> {
        let mut body = vec![family(address), prefix, 0, 0];
        body.extend(self.index(name)?.to_ne_bytes());
        attribute(&mut body, ADDRESS_LOCAL, &octets(address));
        attribute(&mut body, ADDRESS_ADDRESS, &octets(address));
        attribute(&mut body, ADDRESS_FLAGS, &NO_DUPLICATE_DETECTION.to_ne_bytes());
        self.request(NEW_ADDRESS, CREATE | EXCLUSIVE, &body)
    }

    /// Sends all that has no closer route by way of `gateway`.
    pub(super) fn add_default_route(&self, name: &str, gateway: IpAddr) -> io::Result<()> {
        let mut body = vec![family(gateway), 0, 0, 0, TABLE_MAIN, PROTOCOL_STATIC, 0, UNICAST, 0, 0, 0, 0];
        attribute(&mut body, ROUTE_GATEWAY, &octets(gateway));
        attribute(&mut body, ROUTE_INTERFACE, &self.index(name)?.to_ne_bytes());
        self.request(NEW_ROUTE, CREATE | EXCLUSIVE, &body)
    }

    /// Makes every address of the family one of this machine's own ("AnyIP"). The route goes into table main: in
    /// table local, IPv6 from behind a veth hung.
    pub(super) fn add_any_ip(&self, ipv6: bool) -> io::Result<()> {
        let family = if ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
        let family = u8::try_from(family.as_raw()).unwrap_or_default();
        let mut body = vec![family, 0, 0, 0, TABLE_MAIN, PROTOCOL_STATIC, SCOPE_HOST, LOCAL, 0, 0, 0, 0];
        attribute(&mut body, ROUTE_INTERFACE, &self.index("lo")?.to_ne_bytes());
        self.request(NEW_ROUTE, CREATE | EXCLUSIVE, &body)
    }

    fn index(&self, name: &str) -> io::Result<u32> {
        Ok(rustix::net::netdevice::name_to_index(&self.socket, name)?)
    }

    /// Sends one request and waits for the kernel's verdict.
    fn request(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(16 + body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut message = Vec::with_capacity(16 + body.len());
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((REQUEST_AND_ACK | flags).to_ne_bytes());
        message.extend([0; 8]); // sequence and port: one request at a time on a socket of its own
        message.extend(body);
        rustix::net::send(&self.socket, &message, SendFlags::empty())?;

        let mut answer = [0; 1024];
        let (length, _) = rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        match verdict(&answer[..length]) {
            Some(0) => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(-code)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "unexpected answer from the routing socket")),
        }
    }
}

/// The code of an acknowledgement: 0, or a negative errno.
fn verdict(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == ERROR).then_some(code)
}

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// Appends an attribute, padded to four bytes.
fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).expect("attributes are short");
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn with_nul(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    u8::try_from(family.as_raw()).unwrap_or_default()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
