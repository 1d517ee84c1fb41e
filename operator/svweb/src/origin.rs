//! Where a connection comes from: a user of this machine, or an address.

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Which connections are counted together, so that no client can have all places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A user of this machine.
    User(u32),
    /// Another machine, or a user of this one that the kernel does not name.
    Address(IpAddr),
    /// A client of a Unix socket that the kernel does not name.
    Unknown,
}

/// The part of an IPv6 address that names a network: a machine can have all addresses of it.
const NETWORK: u128 = u128::MAX << 64;

impl Origin {
    /// The origin of a TCP connection.
    pub(crate) fn of_peer(peer: SocketAddr, user: Option<u32>) -> Self {
        match (user, peer.ip().to_canonical()) {
            (Some(user), _) => Self::User(user),
            (None, IpAddr::V6(address)) if !address.is_loopback() => {
                Self::Address(Ipv6Addr::from_bits(address.to_bits() & NETWORK).into())
            }
            (None, IpAddr::V4(address)) if address.is_loopback() => {
                Self::Address(std::net::Ipv4Addr::LOCALHOST.into())
            }
            (None, address) => Self::Address(address),
        }
    }
}

/// SOCK_DIAG_BY_FAMILY and NLM_F_REQUEST: sock_diag(7), netlink(7).
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;

const TCP: u8 = 6;
const INET: u8 = 2;
const INET6: u8 = 10;

/// The states of TCP in which a socket belongs to no process: TIME_WAIT, LISTEN, NEW_SYN_RECV.
const OTHER_STATES: [u8; 3] = [6, 10, 12];

/// The lengths of the request and of the answer, with their headers.
const HEADER: usize = 16;
const REQUEST_LENGTH: usize = HEADER + 8 + 48;
const ANSWER_LENGTH: usize = HEADER + 72;

/// The user of the other end of a TCP connection within this machine. The kernel names it (sock_diag(7));
/// `None` if the other end is on another machine, has been closed, or the kernel does not answer.
pub(crate) fn user_of_peer(local: SocketAddr, peer: SocketAddr) -> Option<u32> {
    let addresses = (local.ip().to_canonical(), peer.ip().to_canonical());
    if !addresses.1.is_loopback() && addresses.0 != addresses.1 {
        return None;
    }
    let flags = SocketFlags::CLOEXEC;
    let kind = SocketType::DGRAM;
    let socket = socket_with(AddressFamily::NETLINK, kind, flags, Some(netlink::SOCK_DIAG)).ok()?;
    send(&socket, &request(peer, local), SendFlags::empty()).ok()?;
    let mut answer = [0; 512];
    // The kernel has answered when the request is sent.
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
    user_in(answer.get(..length)?)
}

/// The question for the socket with these addresses.
fn request(local: SocketAddr, peer: SocketAddr) -> [u8; REQUEST_LENGTH] {
    let bytes = |address: SocketAddr| {
        let mut bytes = [0; 16];
        match address.ip().to_canonical() {
            IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes = address.octets(),
        }
        bytes
    };
    let family = if local.ip().to_canonical().is_ipv4() { INET } else { INET6 };
    let mut text = [0; REQUEST_LENGTH];
    let mut at = 0;
    let mut put = |part: &[u8]| {
        text[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    };
    put(&u32::try_from(REQUEST_LENGTH).unwrap_or_default().to_ne_bytes());
    put(&BY_FAMILY.to_ne_bytes());
    put(&REQUEST.to_ne_bytes());
    put(&[0; 8]);
    put(&[family, TCP, 0, 0]);
    // All states.
    put(&u32::MAX.to_ne_bytes());
    put(&local.port().to_be_bytes());
    put(&peer.port().to_be_bytes());
    put(&bytes(local));
    put(&bytes(peer));
    put(&[0; 4]);
    // Any socket with these addresses.
    put(&[0xff; 8]);
    text
}

/// The user in an answer: `struct inet_diag_msg` behind the header.
fn user_in(answer: &[u8]) -> Option<u32> {
    let number = |at: usize| answer.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    let kind = answer.get(4..6)?.try_into().ok().map(u16::from_ne_bytes)?;
    let state = *answer.get(HEADER + 1)?;
    let (user, inode) = (number(ANSWER_LENGTH - 8)?, number(ANSWER_LENGTH - 4)?);
    // A socket that its process has closed has no inode, and no user of its own.
    (kind == BY_FAMILY && !OTHER_STATES.contains(&state) && inode != 0).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_user_of_a_connection_of_this_machine_is_known() {
        let own = rustix::process::getuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (served, peer) = listener.accept().unwrap();
            let local = served.local_addr().unwrap();
            let Some(user) = user_of_peer(local, peer) else {
                harness::skip("sock_diag");
                return;
            };
            assert_eq!(user, own, "{address}");
            drop(client);
            assert_eq!(user_of_peer(local, peer), None, "{address}");
        }
    }

    #[test]
    fn an_address_without_a_socket_is_of_no_user() {
        let other: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(user_of_peer("127.0.0.1:2".parse().unwrap(), other), None);
        assert_eq!(
            user_of_peer("127.0.0.1:2".parse().unwrap(), "192.0.2.1:1".parse().unwrap()),
            None
        );
        assert_eq!(user_in(&[0; 4]), None);
    }

    #[test]
    fn the_addresses_of_a_network_count_together() {
        let of = |address: &str| Origin::of_peer(address.parse().unwrap(), None);
        assert_eq!(of("[2001:db8::1]:5"), of("[2001:db8::2:0:0:1]:6"));
        assert_ne!(of("[2001:db8::1]:5"), of("[2001:db8:0:1::1]:5"));
        assert_eq!(of("127.0.0.1:5"), of("127.3.2.1:5"));
        assert_ne!(of("192.0.2.1:5"), of("192.0.2.2:5"));
        assert_eq!(of("[::ffff:192.0.2.1]:5"), of("192.0.2.1:5"));
        assert_eq!(Origin::of_peer("127.0.0.1:5".parse().unwrap(), Some(7)), Origin::User(7));
    }
}
