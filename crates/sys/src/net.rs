//! Listening sockets.

use crate::{BorrowedFd, Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::net::SocketAddr;
use rustix::fs::{FileType, fstat};
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname,
    socket_with, sockopt,
};

/// The address and kind of a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// TCP.
    Tcp(SocketAddr),
    /// UDP.
    Udp(SocketAddr),
    /// A Unix stream socket with a path.
    Unix(&'a CStr),
    /// A Unix datagram socket with a path.
    UnixDatagram(&'a CStr),
}

impl Endpoint<'_> {
    const fn kind(&self) -> (AddressFamily, SocketType) {
        let family = match self {
            Self::Tcp(SocketAddr::V4(_)) | Self::Udp(SocketAddr::V4(_)) => AddressFamily::INET,
            Self::Tcp(SocketAddr::V6(_)) | Self::Udp(SocketAddr::V6(_)) => AddressFamily::INET6,
            Self::Unix(_) | Self::UnixDatagram(_) => AddressFamily::UNIX,
        };
        match self {
            Self::Tcp(_) | Self::Unix(_) => (family, SocketType::STREAM),
            Self::Udp(_) | Self::UnixDatagram(_) => (family, SocketType::DGRAM),
        }
    }

    fn address(&self) -> Result<SocketAddrAny> {
        match *self {
            Self::Tcp(address) | Self::Udp(address) => Ok(address.into()),
            Self::Unix(path) | Self::UnixDatagram(path) => match path.count_bytes() {
                // For the kernel, an empty path is an abstract name.
                0 => Err(Errno::NOENT),
                // 108 bytes would fit without a NUL, but getsockname would return a longer path.
                1..=107 => Ok(SocketAddrUnix::new(path)?.into()),
                _ => Err(Errno::NAMETOOLONG),
            },
        }
    }
}

/// Makes a socket at this endpoint; `backlog` limits the connections that wait, for stream sockets.
///
/// The socket is close-on-exec, and accepting from it blocks. A TCP port can be bound again at once
/// (`SO_REUSEADDR`). A path must not exist; its permissions follow from the umask.
///
/// # Errors
/// EADDRINUSE: another socket has the address, or the path exists. EADDRNOTAVAIL: not an address of
/// this machine. EACCES: not permitted. ENOENT: an empty path. ENAMETOOLONG: a path of more than
/// 107 bytes.
pub fn listen(at: Endpoint<'_>, backlog: u32) -> Result<OwnedFd> {
    let (family, kind) = at.kind();
    let address = at.address()?;
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if matches!(at, Endpoint::Tcp(_)) {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    if kind == SocketType::STREAM {
        rustix::net::listen(&socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    }
    Ok(socket)
}

/// Whether a descriptor is a socket as [`listen`] makes it at this endpoint. A connection to the
/// endpoint is not. Port 0 matches every port.
#[must_use]
pub fn is_listening_at(fd: BorrowedFd<'_>, at: &Endpoint<'_>) -> bool {
    found_at(fd, at) == Ok(true)
}

fn found_at(fd: BorrowedFd<'_>, at: &Endpoint<'_>) -> Result<bool> {
    let (family, kind) = at.kind();
    // First, because `rustix` may not understand the addresses of other families.
    if sockopt::socket_domain(fd)? != family || sockopt::socket_type(fd)? != kind {
        return Ok(false);
    }
    // An accepted connection has the same local address as the listening socket.
    if kind == SocketType::STREAM && !sockopt::socket_acceptconn(fd)? {
        return Ok(false);
    }
    let found = getsockname(fd)?;
    match *at {
        Endpoint::Tcp(wanted) | Endpoint::Udp(wanted) => Ok(is_same(found.try_into()?, wanted)),
        // Compare the bytes: another program may have bound a path that `address` refuses.
        Endpoint::Unix(_) | Endpoint::UnixDatagram(_) => Ok(found == at.address()?),
    }
}

fn is_same(found: SocketAddr, wanted: SocketAddr) -> bool {
    let same_scope = match (found, wanted) {
        // The kernel returns scope 0 for an address that is not specific to a link.
        (SocketAddr::V6(found), SocketAddr::V6(wanted)) => {
            found.scope_id() == 0 || found.scope_id() == wanted.scope_id()
        }
        _ => true,
    };
    same_scope && found.ip() == wanted.ip() && [0, found.port()].contains(&wanted.port())
}

/// The inode of a socket, which is its name in /proc.
///
/// # Errors
/// ENOTSOCK: not a socket.
pub fn socket_inode(fd: BorrowedFd<'_>) -> Result<u64> {
    let s = fstat(fd)?;
    match FileType::from_raw_mode(s.st_mode) {
        FileType::Socket => Ok(s.st_ino),
        _ => Err(Errno::NOTSOCK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AsFd as _;
    use crate::test_support::{borrow_std, eventually, into_std};
    use rustix::io::{FdFlags, fcntl_getfd};
    use std::ffi::CString;
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    fn local(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    fn path(name: &str) -> CString {
        let name = std::format!("daemontools-net-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        CString::new(path.as_os_str().as_bytes()).unwrap()
    }

    fn remove(path: &CStr) {
        crate::fs::unlink(crate::fs::HERE, path).unwrap();
    }

    #[test]
    fn is_at_recognises_a_tcp_socket() {
        let socket = listen(Endpoint::Tcp(local(0)), 5).unwrap();
        assert_eq!(fcntl_getfd(&socket), Ok(FdFlags::CLOEXEC));
        assert!(is_listening_at(socket.as_fd(), &Endpoint::Tcp(local(0))));
        assert!(!is_listening_at(socket.as_fd(), &Endpoint::Udp(local(0))));
        assert!(!is_listening_at(
            socket.as_fd(),
            &Endpoint::Tcp((Ipv4Addr::UNSPECIFIED, 0).into())
        ));
        assert!(!is_listening_at(socket.as_fd(), &Endpoint::Tcp((Ipv6Addr::LOCALHOST, 0).into())));
        assert!(!is_listening_at(socket.as_fd(), &Endpoint::Unix(c"/there")));
        let listener: TcpListener = into_std(socket);
        let at = listener.local_addr().unwrap();
        let other_port = local(at.port().wrapping_add(1).max(1));
        assert!(is_listening_at(borrow_std(&listener), &Endpoint::Tcp(at)));
        assert!(!is_listening_at(borrow_std(&listener), &Endpoint::Tcp(other_port)));
        assert_eq!(listen(Endpoint::Tcp(at), 5).unwrap_err(), Errno::ADDRINUSE);

        // A connection is not the listening socket, and does not prevent the next bind.
        let client = TcpStream::connect(at).unwrap();
        let (connection, _) = listener.accept().unwrap();
        assert_eq!(connection.local_addr().unwrap(), at);
        assert!(!is_listening_at(borrow_std(&connection), &Endpoint::Tcp(at)));
        drop((connection, listener, client));
        let next = eventually(|| listen(Endpoint::Tcp(at), 5).ok());
        assert!(is_listening_at(next.as_fd(), &Endpoint::Tcp(at)));
    }

    #[test]
    fn a_udp_socket_receives_datagrams() {
        let socket = listen(Endpoint::Udp(local(0)), 0).unwrap();
        assert!(is_listening_at(socket.as_fd(), &Endpoint::Udp(local(0))));
        assert!(!is_listening_at(socket.as_fd(), &Endpoint::Tcp(local(0))));
        let receiver: UdpSocket = into_std(socket);
        let at = receiver.local_addr().unwrap();
        assert!(is_listening_at(borrow_std(&receiver), &Endpoint::Udp(at)));
        assert_eq!(listen(Endpoint::Udp(at), 0).unwrap_err(), Errno::ADDRINUSE);
        UdpSocket::bind(local(0)).unwrap().send_to(b"hello", at).unwrap();
        let mut room = [0; 10];
        assert_eq!(receiver.recv(&mut room).unwrap(), 5);
    }

    #[test]
    fn ipv6_works_if_the_machine_has_it() {
        let at = Endpoint::Tcp((Ipv6Addr::LOCALHOST, 0).into());
        match listen(at, 5) {
            Ok(socket) => {
                assert!(is_listening_at(socket.as_fd(), &at));
                let linked = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 1);
                assert!(is_listening_at(socket.as_fd(), &Endpoint::Tcp(linked.into())));
                assert!(!is_listening_at(socket.as_fd(), &Endpoint::Tcp(local(0))));
            }
            Err(error) => assert!([Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].contains(&error)),
        }
    }

    #[test]
    fn is_at_recognises_a_unix_stream_socket() {
        let path = path("stream");
        let at = Endpoint::Unix(&path);
        let socket = listen(at, 5).unwrap();
        assert!(is_listening_at(socket.as_fd(), &at));
        assert!(!is_listening_at(socket.as_fd(), &Endpoint::UnixDatagram(&path)));
        assert!(!is_listening_at(socket.as_fd(), &Endpoint::Unix(c"/elsewhere")));
        assert_eq!(listen(at, 5).unwrap_err(), Errno::ADDRINUSE);
        let client = UnixStream::connect(path.to_str().unwrap()).unwrap();
        let (connection, _) = into_std::<UnixListener>(socket).accept().unwrap();
        assert!(!is_listening_at(borrow_std(&connection), &at));
        assert!(!is_listening_at(borrow_std(&client), &at));
        remove(&path);
    }

    #[test]
    fn a_unix_datagram_socket_receives_datagrams() {
        let path = path("datagram");
        let at = Endpoint::UnixDatagram(&path);
        let socket = listen(at, 5).unwrap();
        assert!(is_listening_at(socket.as_fd(), &at));
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"hello", path.to_str().unwrap()).unwrap();
        assert!(!is_listening_at(borrow_std(&client), &at));
        let mut room = [0; 10];
        assert_eq!(into_std::<UnixDatagram>(socket).recv(&mut room).unwrap(), 5);
        remove(&path);
    }

    #[test]
    fn paths_of_1_to_107_bytes_are_accepted() {
        assert_eq!(listen(Endpoint::Unix(c""), 5).unwrap_err(), Errno::NOENT);
        let mut long = path("long").into_bytes();
        long.resize(108, b'x');
        let too_long = CString::new(long.clone()).unwrap();
        assert_eq!(listen(Endpoint::Unix(&too_long), 5).unwrap_err(), Errno::NAMETOOLONG);
        // Another program may have bound a socket to this path.
        let foreign =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let foreign = foreign.unwrap();
        bind(&foreign, &SocketAddrUnix::new(too_long.as_c_str()).unwrap()).unwrap();
        rustix::net::listen(&foreign, 1).unwrap();
        assert!(!is_listening_at(foreign.as_fd(), &Endpoint::Unix(&too_long)));
        assert!(!is_listening_at(foreign.as_fd(), &Endpoint::Unix(c"/there")));
        remove(&too_long);

        long.pop();
        let longest = CString::new(long).unwrap();
        let socket = listen(Endpoint::Unix(&longest), 5).unwrap();
        assert!(is_listening_at(socket.as_fd(), &Endpoint::Unix(&longest)));
        remove(&longest);
    }

    #[test]
    fn socket_inode_is_the_name_in_proc() {
        let socket = listen(Endpoint::Udp(local(0)), 0).unwrap();
        let number = crate::fd::number(socket.as_fd());
        let link = std::fs::read_link(std::format!("/proc/self/fd/{number}")).unwrap();
        let inode = socket_inode(socket.as_fd()).unwrap();
        assert_eq!(link.to_str().unwrap(), std::format!("socket:[{inode}]"));
        let (read_end, _write_end) = crate::fd::pipe().unwrap();
        assert_eq!(socket_inode(read_end.as_fd()), Err(Errno::NOTSOCK));
        assert!(!is_listening_at(read_end.as_fd(), &Endpoint::Udp(local(0))));
    }
}
