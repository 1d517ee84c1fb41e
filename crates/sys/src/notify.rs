//! The socket that receives the messages of a service in the protocol of sd_notify(3).
//!
//! A message can carry descriptors, and the close of a descriptor can wait as long as its sender likes
//! (a TCP socket with SO_LINGER, a file of a FUSE file system). So this process only looks at a
//! message, and never owns its descriptors. Another process discards a message that has some.

use crate::kernel::{self, ControlBuffer};
use crate::limit::OpenFiles;
use crate::process::Pid;
use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd};
use core::ffi::CStr;
use linux_raw_sys::net as nr;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, recv,
    sendto, socket_with, sockopt,
};

/// The size of the kernel's words in a control message.
const WORD: usize = size_of::<usize>();

/// The size of the control message with the sender's credentials: a header (length, level, type),
/// and process, user and group id.
const CREDENTIALS: usize = (WORD + 8 + 12).next_multiple_of(WORD);

/// The size of a control message with as many descriptors as the kernel allows (`SCM_MAX_FD`).
const DESCRIPTORS: usize = (WORD + 8 + 253 * 4).next_multiple_of(WORD);

/// A datagram socket. The receiver must check the sender.
pub struct NotifySocket(OwnedFd);

/// A message that waits in the socket.
pub struct Datagram {
    /// The number of bytes in the buffer.
    pub length: usize,
    /// The message was longer than the buffer.
    pub truncated: bool,
    /// The sending process, as the kernel reports it; `None` if it is outside our PID namespace.
    /// The sender may have ended meanwhile, and another process may have its id.
    pub sender: Option<Pid>,
    /// The user id of the sender.
    pub user: Option<u32>,
    /// The message carries descriptors. The sender of a `BARRIER=1` waits until they are closed.
    pub has_descriptors: bool,
}

impl NotifySocket {
    /// Makes a socket with an abstract name, which disappears with the socket. Every process in the
    /// network namespace can send to it. It is close-on-exec and non-blocking.
    ///
    /// # Errors
    /// EADDRINUSE: another socket has the name. ENAMETOOLONG: a name of more than 107 bytes.
    pub fn new_abstract(name: &[u8]) -> Result<Self> {
        Self::bound_to(&SocketAddrUnix::new_abstract_name(name)?)
    }

    /// Makes a socket at a path; otherwise as [`NotifySocket::new_abstract`]. Processes of every network
    /// namespace can send to it, if they can reach the path and write the file. Its mode follows from
    /// the umask.
    ///
    /// # Errors
    /// EADDRINUSE: the path exists. ENAMETOOLONG: a path of more than 108 bytes. Those of mknod(2).
    pub fn new_at(path: &CStr) -> Result<Self> {
        Self::bound_to(&SocketAddrUnix::new(path)?)
    }

    fn bound_to(address: &SocketAddrUnix) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        // Before the bind: the kernel attaches the credentials when a message is sent.
        sockopt::set_socket_passcred(&socket, true)?;
        bind(&socket, address)?;
        Ok(Self(socket))
    }

    /// The socket after a live upgrade; the earlier program image made it.
    #[must_use]
    pub fn resume(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Looks at the next message, cut to the length of `room`, and leaves it in the socket; `None` if
    /// there is none.
    pub fn peek(&self, room: &mut [u8]) -> Option<Datagram> {
        // The credentials come first. There is no room for descriptors, so the kernel installs none;
        // the message in the socket keeps them, so this call closes none.
        let mut control = ControlBuffer([0; CREDENTIALS]);
        let received = loop {
            match kernel::receive(self.fd(), room, &mut control, nr::MSG_PEEK) {
                Err(Errno::INTR) => {}
                other => break other.ok()?,
            }
        };
        let mut datagram = Datagram {
            length: received.length,
            truncated: received.flags & nr::MSG_TRUNC != 0,
            sender: None,
            user: None,
            has_descriptors: received.flags & nr::MSG_CTRUNC != 0,
        };
        datagram.take_control(control.0.get(..received.control).unwrap_or_default());
        Some(datagram)
    }

    /// Takes the next message out of the socket. It must have no descriptors.
    pub fn discard(&self) {
        let mut room = [0; 1];
        let _ = rustix::io::retry_on_intr(|| recv(&self.0, &mut room, RecvFlags::DONTWAIT));
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<NotifySocket> for OwnedFd {
    fn from(socket: NotifySocket) -> Self {
        socket.0
    }
}

/// Sends a message to the socket that the value of `NOTIFY_SOCKET` names: a path, or an abstract name
/// after `@`. Does not wait.
///
/// # Errors
/// EAGAIN: the socket has no room now. EINVAL: an address of another kind. ECONNREFUSED, ENOENT: there
/// is no such socket.
pub fn send(variable: &CStr, message: &[u8]) -> Result<()> {
    let to = match variable.to_bytes() {
        [b'/', ..] => SocketAddrUnix::new(variable)?,
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        _ => return Err(Errno::INVAL),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    rustix::io::retry_on_intr(|| sendto(&socket, message, SendFlags::NOSIGNAL, &to)).map(drop)
}

/// In a process of its own, which must exit afterwards: takes the next message and its descriptors
/// out of `socket`, and writes a byte to `report` when it is out. The exit closes the descriptors, and
/// can wait.
///
/// Before, it closes every other descriptor: while it waits, it must hold no lock and no pipe.
///
/// # Errors
/// Those of dup2(2) and recvmsg(2).
pub fn discard_with_descriptors(socket: BorrowedFd<'_>, report: BorrowedFd<'_>) -> Result<()> {
    fd::place_all(&[(socket, 0), (report, 1)])?;
    // Before Linux 5.9 the others stay open.
    let _ = kernel::close_range(2, i32::MAX);
    // A descriptor beyond the limit would be closed before the report.
    let _ = OpenFiles::raise();
    let mut control = ControlBuffer([0; CREDENTIALS + DESCRIPTORS]);
    let received =
        rustix::io::retry_on_intr(|| kernel::receive(fd::stdin(), &mut [0; 1], &mut control, 0));
    fd::write_all(fd::stdout(), b"\n")?;
    received.map(drop)
}

impl Datagram {
    /// Takes the control messages. Each has a header: its length, its level, its type.
    fn take_control(&mut self, mut rest: &[u8]) {
        while let Some((&length, header)) = rest.split_first_chunk::<WORD>() {
            let length = usize::from_ne_bytes(length);
            let Some(data) = rest.get(WORD + 8..length) else { break };
            let level_and_type = header.first_chunk::<8>().copied().unwrap_or_default();
            self.take_control_message(level_and_type, data);
            rest = rest.get(length.next_multiple_of(WORD)..).unwrap_or_default();
        }
    }

    fn take_control_message(&mut self, level_and_type: [u8; 8], data: &[u8]) {
        let [a, b, c, d, kind @ ..] = level_and_type;
        let (level, kind) = (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes(kind));
        if (level, kind) != (nr::SOL_SOCKET, nr::SCM_CREDENTIALS) {
            return;
        }
        // Process, user and group id. `rustix` assumes that the first is never 0, but it is for a
        // sender outside our PID namespace.
        let pid = data.first_chunk().map_or(0, |&pid| i32::from_ne_bytes(pid));
        self.sender = Pid::new(pid);
        let user = data.get(4..).and_then(<[u8]>::first_chunk);
        self.user = user.map(|&user| u32::from_ne_bytes(user));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{self, Forked};
    use crate::test_support::{PATIENCE, eventually};
    use crate::{fd, poll};
    use core::mem::MaybeUninit;
    use core::time::Duration;
    use rustix::io::{FdFlags, IoSlice, fcntl_getfd};
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg_addr};
    use std::string::String;
    use std::vec::Vec;

    fn name(test: &str) -> String {
        std::format!("daemontools/{}/{test}", std::process::id())
    }

    fn send_with(name: &str, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
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
    fn the_variable_names_a_path_or_an_abstract_name() {
        let variable = |text: &str| alloc::ffi::CString::new(text).unwrap();
        let name = name("variable");
        let socket = NotifySocket::new_abstract(name.as_bytes()).unwrap();
        let to = variable(&std::format!("@{name}"));
        crate::notify::send(&to, b"READY=1").unwrap();
        let mut room = [0; 8];
        assert_eq!(socket.peek(&mut room).unwrap().sender, Some(crate::process::id()));
        assert_eq!(&room, b"READY=1\0");
        // A full socket gives an error, and the caller goes on.
        let full = (0..100_000).find_map(|_| crate::notify::send(&to, b"STATUS=x").err());
        assert_eq!(full, Some(Errno::AGAIN));
        drop(socket);
        assert_eq!(crate::notify::send(&to, b"READY=1"), Err(Errno::CONNREFUSED));
        assert_eq!(crate::notify::send(&variable("/nonexistent/x"), b"READY=1"), Err(Errno::NOENT));
        assert_eq!(crate::notify::send(&variable("vsock:1:2"), b"READY=1"), Err(Errno::INVAL));
        assert_eq!(crate::notify::send(c"", b"READY=1"), Err(Errno::INVAL));
    }

    #[test]
    fn a_message_names_its_sender() {
        let name = name("sender");
        let socket = NotifySocket::new_abstract(name.as_bytes()).unwrap();
        assert_eq!(fcntl_getfd(socket.fd()), Ok(FdFlags::CLOEXEC));
        let mut room = [0; 8];
        assert!(socket.peek(&mut room).is_none());
        send_with(&name, b"READY=1", &[]);
        send_with(&name, b"STATUS=too long", &[]);
        send_with(&name, b"", &[]);
        assert_eq!(poll::readable([socket.fd()], Some(Duration::ZERO)), [true]);

        let mut receive = |socket: &NotifySocket| {
            let found = socket.peek(&mut room)?;
            socket.discard();
            Some((found, room))
        };
        let (first, room) = receive(&socket).unwrap();
        assert_eq!(room.get(..first.length), Some(&b"READY=1"[..]));
        assert!(!first.truncated);
        assert_eq!(first.sender, Some(crate::process::id()));
        assert_eq!(first.user, Some(crate::ids::effective_user()));
        assert!(!first.has_descriptors);
        let (second, room) = receive(&socket).unwrap();
        assert!(second.truncated);
        assert_eq!(&room, b"STATUS=t");
        let (third, _) = receive(&socket).unwrap();
        assert_eq!((third.length, third.truncated), (0, false));
        assert!(receive(&socket).is_none());
    }

    #[test]
    fn the_sender_is_the_kernels_and_not_the_messages() {
        let name = name("child");
        let socket = NotifySocket::new_abstract(name.as_bytes()).unwrap();
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
        let found = socket.peek(&mut room).unwrap();
        assert_eq!(found.sender.unwrap().get().cast_unsigned(), child.id());
        child.wait().unwrap();
    }

    /// Discards the next message in a child, as supervise does; returns after the report.
    fn discard_in_child(socket: &NotifySocket) {
        let (reader, writer) = fd::pipe().unwrap();
        match process::fork().unwrap() {
            Forked::Child => {
                let done = discard_with_descriptors(socket.fd(), writer.as_fd());
                process::exit(i32::from(done.is_err()))
            }
            Forked::Parent(child) => {
                drop(writer);
                assert_eq!(poll::readable([reader.as_fd()], Some(PATIENCE)), [true]);
                assert_eq!(fd::read(reader.as_fd(), &mut [0; 2]), Ok(1));
                assert_eq!(process::wait_for(child), Ok(process::ExitStatus::Exited(0)));
            }
        }
    }

    #[test]
    fn a_barrier_lasts_until_the_message_is_discarded() {
        let name = name("barrier");
        let socket = NotifySocket::new_abstract(name.as_bytes()).unwrap();
        let (barrier, other_end) = fd::pipe().unwrap();
        send_with(&name, b"BARRIER=1", &[other_end.as_fd()]);
        drop(other_end);
        let waits = || !poll::hung_up(barrier.as_fd(), Duration::ZERO);
        for _ in 0..2 {
            let datagram = socket.peek(&mut [0; 64]).unwrap();
            assert_eq!(datagram.sender, Some(crate::process::id()));
            assert!(datagram.has_descriptors && waits());
        }
        discard_in_child(&socket);
        assert!(poll::hung_up(barrier.as_fd(), PATIENCE));
        assert!(socket.peek(&mut [0; 64]).is_none());
    }

    #[test]
    fn unwanted_descriptors_are_closed() {
        let name = name("flood");
        let socket = NotifySocket::new_abstract(name.as_bytes()).unwrap();
        for count in [1, 2, 4, 5, 8, 100, 253] {
            let (read_end, write_end) = fd::pipe().unwrap();
            let copies = std::vec![write_end.as_fd(); count];
            send_with(&name, b"FDSTORE=1", &copies);
            drop(copies);
            drop(write_end);
            assert!(socket.peek(&mut [0; 64]).unwrap().has_descriptors);
            discard_in_child(&socket);
            // An open copy would prevent the hang-up.
            assert!(poll::hung_up(read_end.as_fd(), PATIENCE), "{count}");
        }
        // A message that is never received.
        let (read_end, write_end) = fd::pipe().unwrap();
        send_with(&name, b"FDSTORE=1", &[write_end.as_fd()]);
        drop(write_end);
        drop(socket);
        assert!(poll::hung_up(read_end.as_fd(), PATIENCE));
    }

    #[test]
    fn a_socket_at_a_path_receives_messages() {
        let path = std::env::temp_dir().join(name("path").replace('/', "-"));
        let at = alloc::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let socket = NotifySocket::new_at(&at).unwrap();
        assert_eq!(NotifySocket::new_at(&at).err(), Some(Errno::ADDRINUSE));
        std::os::unix::net::UnixDatagram::unbound().unwrap().send_to(b"READY=1", &path).unwrap();
        let datagram = socket.peek(&mut [0; 64]).unwrap();
        assert_eq!((datagram.length, datagram.sender), (7, Some(crate::process::id())));
        assert!(!datagram.has_descriptors);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_name_has_one_socket_and_disappears_with_it() {
        let name = name("one");
        let socket = NotifySocket::new_abstract(name.as_bytes()).unwrap();
        assert_eq!(NotifySocket::new_abstract(name.as_bytes()).err(), Some(Errno::ADDRINUSE));
        send_with(&name, b"READY=1", &[]);
        let resumed = NotifySocket::resume(socket.fd().try_clone_to_owned().unwrap());
        drop(socket);
        let mut room = [0; 64];
        assert_eq!(resumed.peek(&mut room).unwrap().sender, Some(crate::process::id()));
        drop(resumed);
        eventually(|| NotifySocket::new_abstract(name.as_bytes()).ok());
        assert_eq!(NotifySocket::new_abstract(&[b'x'; 108]).err(), Some(Errno::NAMETOOLONG));
    }

    #[test]
    fn a_sender_outside_the_pid_namespace_is_none() {
        let mut datagram = Datagram {
            length: 0,
            truncated: false,
            sender: None,
            user: None,
            has_descriptors: false,
        };
        let mut control = Vec::new();
        let credentials = |pid: i32| {
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
        control.extend(credentials(0));
        datagram.take_control(&control);
        assert_eq!(datagram.sender, None);
        control.extend(credentials(77));
        datagram.take_control(&control);
        assert_eq!(datagram.sender, Pid::new(77));
        // The kernel never sends these; they must not panic.
        for length in 0..control.len() {
            datagram.take_control(control.get(..length).unwrap());
        }
        datagram.take_control(&[0; 64]);
        datagram.take_control(&[0xff; 64]);
    }
}
