//! The socket on which a service tells how it is, by the protocol of sd_notify.

use crate::kernel::{self, Control};
use crate::process::Pid;
use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use linux_raw_sys::net as nr;
use rustix::fd::FromRawFd as _;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with, sockopt,
};

/// A socket for datagrams, with a name that is in no file system and goes with it. Everybody on
/// the machine can send to such a name: who it was is to be looked at.
pub struct NotifySocket(OwnedFd);

/// What has come.
pub struct Datagram {
    /// How many bytes of it are in the room.
    pub length: usize,
    /// There was not room for all of it.
    pub truncated: bool,
    /// Who sent it, by the kernel's word; `None` for somebody whom we cannot see, outside our
    /// namespace of process ids. Meanwhile the sender may have ended, and the number be used again.
    pub sender: Option<Pid>,
    /// As which user.
    pub user: Option<u32>,
    /// What descriptors came along, as far as they are kept: the sender of a barrier waits until
    /// they are closed.
    pub descriptors: [Option<OwnedFd>; 4],
}

impl NotifySocket {
    /// Makes the socket. It is closed when another program is run, and never waited for.
    ///
    /// # Errors
    /// EADDRINUSE when somebody has the name, ENAMETOOLONG for one of more than 107 bytes.
    pub fn new(name: &[u8]) -> Result<Self> {
        let name = SocketAddrUnix::new_abstract_name(name)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        // Before anything can come: the sender is added when it is sent.
        sockopt::set_socket_passcred(&socket, true)?;
        bind(&socket, &name)?;
        Ok(Self(socket))
    }

    /// One that [`NotifySocket::new`] made before this program was run in our process.
    #[must_use]
    pub fn resume(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Takes the next datagram, if one has come, as far as there is room.
    pub fn receive(&self, room: &mut [u8]) -> Option<Datagram> {
        let mut control = Control([0; 64]);
        let received = loop {
            match kernel::receive(self.fd(), room, &mut control) {
                Err(Errno::INTR) => {}
                other => break other.ok()?,
            }
        };
        let mut datagram = Datagram {
            length: received.length,
            truncated: received.flags & nr::MSG_TRUNC != 0,
            sender: None,
            user: None,
            descriptors: [const { None }; 4],
        };
        datagram.take(control.0.get(..received.control).unwrap_or_default());
        Some(datagram)
    }

    /// To wait for, until it is readable.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Datagram {
    /// Takes what came beside the bytes: pieces with a header each, its own length first.
    fn take(&mut self, mut rest: &[u8]) {
        const WORD: usize = size_of::<usize>();
        while let Some((&length, header)) = rest.split_first_chunk::<WORD>() {
            let length = usize::from_ne_bytes(length);
            let Some(data) = rest.get(WORD + 8..length) else { break };
            let level_and_kind = header.first_chunk::<8>().copied().unwrap_or_default();
            self.take_piece(level_and_kind, data);
            rest = rest.get(length.next_multiple_of(WORD)..).unwrap_or_default();
        }
    }

    fn take_piece(&mut self, level_and_kind: [u8; 8], data: &[u8]) {
        let [a, b, c, d, kind @ ..] = level_and_kind;
        if u32::from_ne_bytes([a, b, c, d]) != nr::SOL_SOCKET {
            return;
        }
        match u32::from_ne_bytes(kind) {
            // The process, the user, the group. `rustix` takes the first for a number that is
            // never 0, which it is for somebody outside our namespace.
            nr::SCM_CREDENTIALS => {
                let pid = data.first_chunk().map_or(0, |&pid| i32::from_ne_bytes(pid));
                self.sender = Pid::new(pid);
                let user = data.get(4..).and_then(<[u8]>::first_chunk);
                self.user = user.map(|&user| u32::from_ne_bytes(user));
            }
            nr::SCM_RIGHTS => {
                let mut places = self.descriptors.iter_mut();
                for &number in data.as_chunks::<4>().0 {
                    // SAFETY: the kernel has just made the descriptor for us, and tells only here.
                    let owned = unsafe { OwnedFd::from_raw_fd(i32::from_ne_bytes(number)) };
                    // Closed if there is no place for it.
                    if let Some(place) = places.next() {
                        *place = Some(owned);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard::{PATIENCE, eventually};
    use crate::{fd, poll};
    use core::mem::MaybeUninit;
    use core::time::Duration;
    use rustix::io::{FdFlags, IoSlice, fcntl_getfd};
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg_addr};
    use std::string::String;
    use std::vec::Vec;

    fn name(test: &str) -> String {
        std::format!("daemontools/{}/{test}", std::process::id())
    }

    fn send(name: &str, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap();
        let mut space = [MaybeUninit::uninit(); 2048];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(beside.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        let to = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        let all = [IoSlice::new(bytes)];
        sendmsg_addr(&socket, &to, &all, &mut beside, SendFlags::empty()).unwrap();
    }

    #[test]
    fn a_message_comes_with_its_sender() {
        let name = name("sender");
        let socket = NotifySocket::new(name.as_bytes()).unwrap();
        assert_eq!(fcntl_getfd(socket.fd()), Ok(FdFlags::CLOEXEC));
        let mut room = [0; 8];
        assert!(socket.receive(&mut room).is_none());
        send(&name, b"READY=1", &[]);
        send(&name, b"STATUS=too long", &[]);
        send(&name, b"", &[]);
        assert_eq!(poll::readable([socket.fd()], Some(Duration::ZERO)), [true]);

        let first = socket.receive(&mut room).unwrap();
        assert_eq!(room.get(..first.length), Some(&b"READY=1"[..]));
        assert!(!first.truncated);
        assert_eq!(first.sender, Some(crate::process::id()));
        assert_eq!(first.user, Some(crate::ids::effective_user()));
        assert!(first.descriptors.iter().all(Option::is_none));
        let second = socket.receive(&mut room).unwrap();
        assert!(second.truncated);
        assert_eq!(&room, b"STATUS=t");
        let third = socket.receive(&mut room).unwrap();
        assert_eq!((third.length, third.truncated), (0, false));
        assert!(socket.receive(&mut room).is_none());
    }

    #[test]
    fn a_sender_is_a_process_and_not_what_it_says() {
        let name = name("child");
        let socket = NotifySocket::new(name.as_bytes()).unwrap();
        let script = "import os, socket, sys\n\
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
            s.sendto(b'MAINPID=1', '\\0' + sys.argv[1])";
        let Ok(mut child) =
            std::process::Command::new("python3").args(["-c", script, &name]).spawn()
        else {
            return;
        };
        assert_eq!(poll::readable([socket.fd()], Some(PATIENCE)), [true]);
        let mut room = [0; 64];
        let found = socket.receive(&mut room).unwrap();
        assert_eq!(found.sender.unwrap().get().cast_unsigned(), child.id());
        child.wait().unwrap();
    }

    #[test]
    fn the_barrier_is_there_until_the_message_has_been_dealt_with() {
        let name = name("barrier");
        let socket = NotifySocket::new(name.as_bytes()).unwrap();
        let (barrier, other_end) = fd::pipe().unwrap();
        send(&name, b"BARRIER=1", &[other_end.as_fd()]);
        drop(other_end);
        let waits = || !poll::hung_up(barrier.as_fd(), Duration::ZERO);
        assert!(waits());
        let datagram = socket.receive(&mut [0; 64]).unwrap();
        let came = datagram.descriptors.iter().flatten().collect::<Vec<_>>();
        assert_eq!(came.len(), 1);
        assert!(came.iter().all(|fd| fcntl_getfd(fd) == Ok(FdFlags::CLOEXEC)));
        assert!(waits());
        drop(datagram);
        assert!(poll::hung_up(barrier.as_fd(), PATIENCE));
    }

    #[test]
    fn descriptors_that_nobody_wants_are_closed() {
        let name = name("flood");
        let socket = NotifySocket::new(name.as_bytes()).unwrap();
        for count in [4, 5, 6, 7, 8, 100, 253] {
            let (read_end, write_end) = fd::pipe().unwrap();
            let copies = std::vec![write_end.as_fd(); count];
            send(&name, b"FDSTORE=1", &copies);
            drop(copies);
            drop(write_end);
            let datagram = socket.receive(&mut [0; 64]).unwrap();
            assert_eq!(datagram.sender, Some(crate::process::id()));
            assert_eq!(datagram.descriptors.iter().flatten().count(), 4);
            drop(datagram);
            // Each copy would keep it open.
            assert!(poll::hung_up(read_end.as_fd(), PATIENCE), "{count}");
        }
        // Not received at all.
        let (read_end, write_end) = fd::pipe().unwrap();
        send(&name, b"FDSTORE=1", &[write_end.as_fd()]);
        drop(write_end);
        drop(socket);
        assert!(poll::hung_up(read_end.as_fd(), PATIENCE));
    }

    #[test]
    fn a_name_belongs_to_one_and_goes_with_it() {
        let name = name("one");
        let socket = NotifySocket::new(name.as_bytes()).unwrap();
        assert_eq!(NotifySocket::new(name.as_bytes()).err(), Some(Errno::ADDRINUSE));
        send(&name, b"READY=1", &[]);
        let resumed = NotifySocket::resume(socket.fd().try_clone_to_owned().unwrap());
        drop(socket);
        let mut room = [0; 64];
        assert_eq!(resumed.receive(&mut room).unwrap().sender, Some(crate::process::id()));
        drop(resumed);
        eventually(|| NotifySocket::new(name.as_bytes()).ok());
        assert_eq!(NotifySocket::new(&[b'x'; 108]).err(), Some(Errno::NAMETOOLONG));
    }

    #[test]
    fn somebody_outside_our_namespace_is_nobody() {
        let mut datagram = Datagram {
            length: 0,
            truncated: false,
            sender: None,
            user: None,
            descriptors: [const { None }; 4],
        };
        let mut beside = Vec::new();
        let piece = |pid: i32| {
            let mut piece = Vec::new();
            piece.extend_from_slice(&(size_of::<usize>() + 8 + 12).to_ne_bytes());
            piece.extend_from_slice(&nr::SOL_SOCKET.to_ne_bytes());
            piece.extend_from_slice(&nr::SCM_CREDENTIALS.to_ne_bytes());
            for part in [pid, 1000, 1000] {
                piece.extend_from_slice(&part.to_ne_bytes());
            }
            piece.resize(piece.len().next_multiple_of(size_of::<usize>()), 0);
            piece
        };
        beside.extend(piece(0));
        datagram.take(&beside);
        assert_eq!(datagram.sender, None);
        beside.extend(piece(77));
        datagram.take(&beside);
        assert_eq!(datagram.sender, Pid::new(77));
        // Not the kernel's way, but no reason to stop.
        for length in 0..beside.len() {
            datagram.take(beside.get(..length).unwrap());
        }
        datagram.take(&[0; 64]);
        datagram.take(&[0xff; 64]);
    }
}
