//! Sockets that wait for somebody to come.

use crate::{BorrowedFd, Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::net::SocketAddr;
use rustix::fs::{FileType, fstat};
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname,
    socket_with, sockopt,
};

/// Where a socket can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// Connections by TCP.
    Tcp(SocketAddr),
    /// Datagrams by UDP.
    Udp(SocketAddr),
    /// Connections by way of a name in the file system.
    Unix(&'a CStr),
    /// Datagrams by way of a name in the file system.
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
                // The kernel would take it for a name that is in no file system.
                0 => Err(Errno::NOENT),
                // One more would fit without its NUL, but be told back longer than it was given.
                1..=107 => Ok(SocketAddrUnix::new(path)?.into()),
                _ => Err(Errno::NAMETOOLONG),
            },
        }
    }
}

/// Makes a socket at this place, and lets up to `backlog` connections wait there, if there are
/// connections. It is closed when another program is run; whoever takes connections from it waits
/// for them. A TCP port can be taken again at once, whatever became of the connections of the
/// socket before. A name in the file system is made with the current umask, and must not exist.
///
/// # Errors
/// EADDRINUSE when somebody is there (or the name exists), EADDRNOTAVAIL for an address of another
/// machine, EACCES without the right to; ENAMETOOLONG for a path of more than 107 bytes.
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

/// Whether a descriptor, whosever it was, is a socket as [`listen`] makes it at this place: not
/// one of the connections that came there. For port 0 it may be at any port.
#[must_use]
pub fn is_at(fd: BorrowedFd<'_>, at: &Endpoint<'_>) -> bool {
    found_at(fd, at) == Ok(true)
}

fn found_at(fd: BorrowedFd<'_>, at: &Endpoint<'_>) -> Result<bool> {
    let (family, kind) = at.kind();
    // Asked first, because names of other families need not be what we could read.
    if sockopt::socket_domain(fd)? != family || sockopt::socket_type(fd)? != kind {
        return Ok(false);
    }
    // A connection has the same name as the socket that it came to.
    if kind == SocketType::STREAM && !sockopt::socket_acceptconn(fd)? {
        return Ok(false);
    }
    let found = getsockname(fd)?;
    match *at {
        Endpoint::Tcp(wanted) | Endpoint::Udp(wanted) => Ok(is_same(found.try_into()?, wanted)),
        // Compared as bytes: a name that somebody else gave could be one that we would not.
        Endpoint::Unix(_) | Endpoint::UnixDatagram(_) => Ok(found == at.address()?),
    }
}

fn is_same(found: SocketAddr, wanted: SocketAddr) -> bool {
    let on_same_link = match (found, wanted) {
        // The kernel forgets the link of an address that means the same on all of them.
        (SocketAddr::V6(found), SocketAddr::V6(wanted)) => {
            found.scope_id() == 0 || found.scope_id() == wanted.scope_id()
        }
        _ => true,
    };
    on_same_link && found.ip() == wanted.ip() && [0, found.port()].contains(&wanted.port())
}

/// The inode of a socket, by which /proc names it.
///
/// # Errors
/// ENOTSOCK if it is something else.
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
    use crate::standard::{borrowed, eventually, from_ours};
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
    fn a_port_is_listened_at_and_known_again() {
        let socket = listen(Endpoint::Tcp(local(0)), 5).unwrap();
        assert_eq!(fcntl_getfd(&socket), Ok(FdFlags::CLOEXEC));
        assert!(is_at(socket.as_fd(), &Endpoint::Tcp(local(0))));
        assert!(!is_at(socket.as_fd(), &Endpoint::Udp(local(0))));
        assert!(!is_at(socket.as_fd(), &Endpoint::Tcp((Ipv4Addr::UNSPECIFIED, 0).into())));
        assert!(!is_at(socket.as_fd(), &Endpoint::Tcp((Ipv6Addr::LOCALHOST, 0).into())));
        assert!(!is_at(socket.as_fd(), &Endpoint::Unix(c"/there")));
        let listener: TcpListener = from_ours(socket);
        let at = listener.local_addr().unwrap();
        let other_port = local(at.port().wrapping_add(1).max(1));
        assert!(is_at(borrowed(&listener), &Endpoint::Tcp(at)));
        assert!(!is_at(borrowed(&listener), &Endpoint::Tcp(other_port)));
        assert_eq!(listen(Endpoint::Tcp(at), 5).unwrap_err(), Errno::ADDRINUSE);

        // A connection is not the socket, and does not keep the next one away.
        let client = TcpStream::connect(at).unwrap();
        let (connection, _) = listener.accept().unwrap();
        assert_eq!(connection.local_addr().unwrap(), at);
        assert!(!is_at(borrowed(&connection), &Endpoint::Tcp(at)));
        drop((connection, listener, client));
        let next = eventually(|| listen(Endpoint::Tcp(at), 5).ok());
        assert!(is_at(next.as_fd(), &Endpoint::Tcp(at)));
    }

    #[test]
    fn datagrams_come_by_udp() {
        let socket = listen(Endpoint::Udp(local(0)), 0).unwrap();
        assert!(is_at(socket.as_fd(), &Endpoint::Udp(local(0))));
        assert!(!is_at(socket.as_fd(), &Endpoint::Tcp(local(0))));
        let theirs: UdpSocket = from_ours(socket);
        let at = theirs.local_addr().unwrap();
        assert!(is_at(borrowed(&theirs), &Endpoint::Udp(at)));
        assert_eq!(listen(Endpoint::Udp(at), 0).unwrap_err(), Errno::ADDRINUSE);
        UdpSocket::bind(local(0)).unwrap().send_to(b"hello", at).unwrap();
        let mut room = [0; 10];
        assert_eq!(theirs.recv(&mut room).unwrap(), 5);
    }

    #[test]
    fn the_newer_addresses_too_where_the_machine_has_them() {
        let at = Endpoint::Tcp((Ipv6Addr::LOCALHOST, 0).into());
        match listen(at, 5) {
            Ok(socket) => {
                assert!(is_at(socket.as_fd(), &at));
                let linked = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 1);
                assert!(is_at(socket.as_fd(), &Endpoint::Tcp(linked.into())));
                assert!(!is_at(socket.as_fd(), &Endpoint::Tcp(local(0))));
            }
            Err(error) => assert!([Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].contains(&error)),
        }
    }

    #[test]
    fn a_name_in_the_file_system_is_listened_at() {
        let path = path("stream");
        let at = Endpoint::Unix(&path);
        let socket = listen(at, 5).unwrap();
        assert!(is_at(socket.as_fd(), &at));
        assert!(!is_at(socket.as_fd(), &Endpoint::UnixDatagram(&path)));
        assert!(!is_at(socket.as_fd(), &Endpoint::Unix(c"/elsewhere")));
        assert_eq!(listen(at, 5).unwrap_err(), Errno::ADDRINUSE);
        let client = UnixStream::connect(path.to_str().unwrap()).unwrap();
        let (connection, _) = from_ours::<UnixListener>(socket).accept().unwrap();
        assert!(!is_at(borrowed(&connection), &at));
        assert!(!is_at(borrowed(&client), &at));
        remove(&path);
    }

    #[test]
    fn datagrams_come_by_a_name_in_the_file_system() {
        let path = path("datagram");
        let at = Endpoint::UnixDatagram(&path);
        let socket = listen(at, 5).unwrap();
        assert!(is_at(socket.as_fd(), &at));
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"hello", path.to_str().unwrap()).unwrap();
        assert!(!is_at(borrowed(&client), &at));
        let mut room = [0; 10];
        assert_eq!(from_ours::<UnixDatagram>(socket).recv(&mut room).unwrap(), 5);
        remove(&path);
    }

    #[test]
    fn a_path_has_a_length() {
        assert_eq!(listen(Endpoint::Unix(c""), 5).unwrap_err(), Errno::NOENT);
        let mut long = path("long").into_bytes();
        long.resize(108, b'x');
        let too_long = CString::new(long.clone()).unwrap();
        assert_eq!(listen(Endpoint::Unix(&too_long), 5).unwrap_err(), Errno::NAMETOOLONG);
        // Somebody else may have given it.
        let theirs =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let theirs = theirs.unwrap();
        bind(&theirs, &SocketAddrUnix::new(too_long.as_c_str()).unwrap()).unwrap();
        rustix::net::listen(&theirs, 1).unwrap();
        assert!(!is_at(theirs.as_fd(), &Endpoint::Unix(&too_long)));
        assert!(!is_at(theirs.as_fd(), &Endpoint::Unix(c"/there")));
        remove(&too_long);

        long.pop();
        let longest = CString::new(long).unwrap();
        let socket = listen(Endpoint::Unix(&longest), 5).unwrap();
        assert!(is_at(socket.as_fd(), &Endpoint::Unix(&longest)));
        remove(&longest);
    }

    #[test]
    fn sockets_have_inodes_and_are_no_files() {
        let socket = listen(Endpoint::Udp(local(0)), 0).unwrap();
        let number = crate::fd::number(socket.as_fd());
        let link = std::fs::read_link(std::format!("/proc/self/fd/{number}")).unwrap();
        let inode = socket_inode(socket.as_fd()).unwrap();
        assert_eq!(link.to_str().unwrap(), std::format!("socket:[{inode}]"));
        let (read_end, _write_end) = crate::fd::pipe().unwrap();
        assert_eq!(socket_inode(read_end.as_fd()), Err(Errno::NOTSOCK));
        assert!(!is_at(read_end.as_fd(), &Endpoint::Udp(local(0))));
    }
}
