//! The resolver's sockets. An answer must come from the address that was asked: behind AnyIP that may be any.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::message;
use super::pool::NamePool;

/// Where a datagram came from, and which of our addresses it was for.
struct Asked {
    length: usize,
    from: SockaddrStorage,
    local: Option<Local>,
}

#[derive(Clone, Copy)]
enum Local {
    V4(nix::libc::in_pktinfo),
    V6(nix::libc::in6_pktinfo),
}

/// Asks the kernel to tell each datagram's destination.
pub(crate) fn prepare(socket: &std::net::UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    match socket.local_addr()? {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// Answers datagrams until told to stop.
pub(crate) async fn serve_udp(socket: UdpSocket, pool: Arc<NamePool>, stop: CancellationToken) {
    let mut buffer = vec![0; 4096];
    loop {
        let asked = tokio::select! {
            asked = socket.async_io(Interest::READABLE, || receive(&socket, &mut buffer)) => asked,
            () = stop.cancelled() => return,
        };
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => {
                // An ICMP error of an earlier answer arrives here; a lasting fault must not spin.
                tracing::debug!(%error, "the resolver could not read a question");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let Some(reply) = message::answer(&buffer[..asked.length], &pool) else { continue };
        if let Err(error) = socket.async_io(Interest::WRITABLE, || send(&socket, &reply, &asked)).await {
            tracing::debug!(%error, "the resolver could not answer");
        }
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Asked> {
    let mut space = nix::cmsg_space!(nix::libc::in6_pktinfo, nix::libc::in_pktinfo);
    let mut slices = [IoSliceMut::new(buffer)];
    let received = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty())?;
    let from = received.address.ok_or(io::ErrorKind::InvalidData)?;
    let local = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(mut info) => {
            info.ipi_ifindex = 0;
            info.ipi_spec_dst = info.ipi_addr;
            Some(Local::V4(info))
        }
        ControlMessageOwned::Ipv6PacketInfo(mut info) => {
            // A link-local address means nothing without its interface; for the others the route decides.
            if info.ipi6_addr.s6_addr[..2] != [0xfe, 0x80] {
                info.ipi6_ifindex = 0;
            }
            Some(Local::V6(info))
        }
        _ => None,
    });
    Ok(Asked { length: received.bytes, from, local })
}

fn send(socket: &UdpSocket, reply: &[u8], asked: &Asked) -> io::Result<usize> {
    let slices = [IoSlice::new(reply)];
    let control = match &asked.local {
        Some(Local::V4(info)) => Some(ControlMessage::Ipv4PacketInfo(info)),
        Some(Local::V6(info)) => Some(ControlMessage::Ipv6PacketInfo(info)),
        None => None,
    };
    Ok(sendmsg(socket.as_raw_fd(), &slices, control.as_slice(), MsgFlags::empty(), Some(&asked.from))?)
}

/// Answers questions over TCP until told to stop.
pub(crate) async fn serve_tcp(listener: TcpListener, pool: Arc<NamePool>, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(64));
    let tasks = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (Ok((stream, _)), Ok(permit)) = (accepted, permits.clone().try_acquire_owned()) else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let pool = pool.clone();
        let stop = stop.clone();
        tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                _ = converse(stream, &pool) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn converse(mut stream: TcpStream, pool: &NamePool) -> io::Result<()> {
    let limit = Duration::from_secs(10);
    loop {
        let length = timeout(limit, stream.read_u16()).await??;
        let mut question = vec![0; usize::from(length)];
        timeout(limit, stream.read_exact(&mut question)).await??;
        let Some(reply) = message::answer(&question, pool) else { return Ok(()) };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend(reply);
        timeout(limit, stream.write_all(&framed)).await??;
    }
}
