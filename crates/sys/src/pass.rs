//! Passing descriptors to another process.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use core::mem::MaybeUninit;
use rustix::cmsg_space;
use rustix::io::{IoSlice, IoSliceMut, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// One of two connected sockets. Messages keep their borders, and no call waits.
pub struct PassSocket(OwnedFd);

/// What [`PassSocket::receive`] finds.
pub enum Passed {
    /// A message: its length, and the descriptor that came with it.
    Message(usize, Option<OwnedFd>),
    /// No message now.
    Nothing,
    /// The other socket is closed, and every message has been read.
    End,
}

impl PassSocket {
    /// Makes two connected sockets. Both are close-on-exec.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors.
    pub fn pair() -> Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(pair.0), Self(pair.1)))
    }

    /// The socket after [`crate::fd::close_above`].
    #[must_use]
    pub const fn from_moved(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Sends a message, with a descriptor if there is one.
    ///
    /// # Errors
    /// EAGAIN: the other process has not read enough of the earlier messages. EPIPE and ECONNRESET: it
    /// has closed its socket. ETOOMANYREFS: too many descriptors are on their way.
    pub fn send(&self, message: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.map(|it| [it]);
        if let Some(descriptors) = &descriptors
            && !beside.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(Errno::NOBUFS);
        }
        let message = [IoSlice::new(message)];
        retry_on_intr(|| sendmsg(&self.0, &message, &mut beside, SendFlags::NOSIGNAL)).map(drop)
    }

    /// Takes the next message, cut to the length of `room`. The descriptor is close-on-exec.
    pub fn receive(&self, room: &mut [u8]) -> Passed {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            let mut room = [IoSliceMut::new(room)];
            recvmsg(&self.0, &mut room, &mut beside, RecvFlags::CMSG_CLOEXEC)
        });
        let length = match received {
            Ok(received) => received.bytes,
            Err(Errno::AGAIN | Errno::NOMEM | Errno::NOBUFS) => return Passed::Nothing,
            Err(_) => return Passed::End,
        };
        let mut descriptor = None;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(mut received) = message {
                descriptor = received.next();
            }
        }
        // A message has at least one byte.
        if length == 0 { Passed::End } else { Passed::Message(length, descriptor) }
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd;

    fn message(socket: &PassSocket) -> Option<(usize, Option<OwnedFd>)> {
        match socket.receive(&mut [0; 8]) {
            Passed::Message(length, descriptor) => Some((length, descriptor)),
            Passed::Nothing | Passed::End => None,
        }
    }

    #[test]
    fn a_descriptor_arrives_with_its_message() {
        let (here, there) = PassSocket::pair().unwrap();
        assert!(matches!(there.receive(&mut [0; 8]), Passed::Nothing));
        let (read_end, write_end) = fd::pipe().unwrap();
        here.send(b"abc", Some(read_end.as_fd())).unwrap();
        here.send(b"longer than the room", None).unwrap();
        drop(read_end);
        fd::write_all(write_end.as_fd(), b"x").unwrap();
        let (length, descriptor) = message(&there).unwrap();
        let (descriptor, mut text) = (descriptor.unwrap(), [0; 2]);
        assert_eq!((length, fd::read(descriptor.as_fd(), &mut text)), (3, Ok(1)));
        assert!(matches!(message(&there), Some((8, None))));
        assert!(matches!(there.receive(&mut [0; 8]), Passed::Nothing));
        drop(here);
        assert!(matches!(there.receive(&mut [0; 8]), Passed::End));
        assert_eq!(there.send(b"x", None), Err(Errno::PIPE));
    }
}
