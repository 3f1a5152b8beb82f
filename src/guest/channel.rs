//! Messages with file descriptors between Larder and the helpers it re-executes: JSON over a SEQPACKET socket pair.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message, in bytes. A command and its environment have to fit; the kernel's own limit for one argument is
/// half of this.
const LONGEST: usize = 256 * 1024;

/// Most descriptors in one message.
const MOST_DESCRIPTORS: usize = 8;

/// A connected pair of sockets, both closed on exec.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    for end in [&pair.0, &pair.1] {
        rustix::net::sockopt::set_socket_send_buffer_size(end, LONGEST)?;
    }
    Ok(pair)
}

/// Sends one message. Fails with `EMSGSIZE` when it is longer than a message can be.
pub(super) fn send<T: Serialize>(socket: impl AsFd, message: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    if body.len() > LONGEST {
        return Err(rustix::io::Errno::MSGSIZE.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(rustix::io::Errno::MSGSIZE.into());
    }
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(&body)], &mut control, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives one message; `None` when the other side has closed. Descriptors are closed on exec.
pub(super) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut body = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut body)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message was cut short"));
    }
    let message = serde_json::from_slice(&body[..received.bytes])?;
    Ok(Some((message, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_a_message_and_descriptors_and_reports_the_end() {
        let (ours, theirs) = pair().unwrap();
        send(&ours, &"hello", &[ours.as_fd()]).unwrap();
        let (message, descriptors) = receive::<String>(&theirs).unwrap().unwrap();
        assert_eq!((message.as_str(), descriptors.len()), ("hello", 1));
        drop((ours, descriptors));
        assert!(receive::<String>(&theirs).unwrap().is_none());
    }

    #[test]
    fn refuses_a_message_too_long_for_the_socket() {
        let (ours, _theirs) = pair().unwrap();
        let error = send(&ours, &"x".repeat(LONGEST), &[]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MSGSIZE.raw_os_error()));
    }

    #[test]
    fn carries_the_longest_argument_the_kernel_allows() {
        let (ours, theirs) = pair().unwrap();
        send(&ours, &"x".repeat(128 * 1024), &[]).unwrap();
        assert_eq!(receive::<String>(&theirs).unwrap().unwrap().0.len(), 128 * 1024);
    }
}
