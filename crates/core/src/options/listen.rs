//! `listen`: the sockets that a service gets from its supervise.

use super::mistake::Wrong;
use super::{File, Mistake, text};
use crate::decimal;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::net::{Ipv6Addr, SocketAddr};

/// A socket to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: Address,
    /// The same as it is written: the kind, and the place.
    pub written: [Box<[u8]>; 2],
    /// Its name in `LISTEN_FDNAMES`.
    pub name: Box<[u8]>,
    /// How many connections may wait, where there are connections.
    pub backlog: u32,
    /// The permissions of a Unix socket, if not as the mask leaves them.
    pub mode: Option<u16>,
}

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `tcp ADDRESS:PORT`
    Tcp(SocketAddr),
    /// `udp ADDRESS:PORT`
    Udp(SocketAddr),
    /// `unix PATH`: connections. The path is absolute or begins in the service directory.
    Unix(CString),
    /// `unix-datagram PATH`
    UnixDatagram(CString),
}

/// How many sockets a service can have.
const MOST: usize = 64;

/// The longest path of a Unix socket: the kernel has 108 bytes, with the NUL.
const LONGEST_PATH: usize = 107;

const DEFAULT_BACKLOG: u32 = 128;

pub(super) fn parse(text: &[u8]) -> Result<Vec<Listen>, Mistake> {
    let mut sockets: Vec<Listen> = Vec::new();
    for (line, content) in text::lines(text) {
        let mistake = |wrong| Mistake::new(File::Listen, line, wrong);
        let socket = socket(content).map_err(mistake)?;
        if sockets.iter().any(|other| other.address == socket.address) {
            return Err(mistake((content, "each address once, as in tcp 127.0.0.1:80")));
        }
        if sockets.len() == MOST {
            return Err(mistake((content, "at most 64 lines, as in tcp 127.0.0.1:80")));
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

fn socket(line: &[u8]) -> Result<Listen, Wrong<'_>> {
    let mut words = text::words(line);
    let kind = words.next().unwrap_or_default();
    let place = words.next().unwrap_or_default();
    let internet = || {
        internet(place).ok_or((line, "an address and a port, as in 127.0.0.1:80, [::1]:80 or 80"))
    };
    let path =
        || path(place).ok_or((line, "a path of at most 107 bytes, as in unix /run/name.socket"));
    let address = match kind {
        b"tcp" => Address::Tcp(internet()?),
        b"udp" => Address::Udp(internet()?),
        b"unix" => Address::Unix(path()?),
        b"unix-datagram" => Address::UnixDatagram(path()?),
        _ => return Err((kind, "tcp, udp, unix or unix-datagram, as in tcp 127.0.0.1:80")),
    };
    let (mut name, mut backlog, mut mode) = (None, None, None);
    for word in words {
        let equal = word.iter().position(|&c| c == b'=').map_or(0, |at| at + 1);
        let (key, text) = word.split_at(equal);
        let twice = match key {
            b"name=" => {
                let right = "at most 255 letters, digits, -, _ and dots, as in name=web";
                name.replace(text_name(text).ok_or((word, right))?).is_some()
            }
            b"backlog=" if matches!(address, Address::Tcp(_) | Address::Unix(_)) => {
                let number = super::number(text, 1..=u16::MAX);
                let right = "a number from 1 to 65535, as in backlog=128";
                backlog.replace(number.ok_or((word, right))?).is_some()
            }
            b"mode=" if matches!(address, Address::Unix(_) | Address::UnixDatagram(_)) => {
                let right = "an octal number from 0 to 0777, as in mode=0660";
                mode.replace(octal(text).ok_or((word, right))?).is_some()
            }
            _ => {
                let right = "name=, backlog= for tcp and unix, or mode= for unix and \
                             unix-datagram, as in name=web";
                return Err((word, right));
            }
        };
        if twice {
            return Err((word, "each word once, as in name=web"));
        }
    }
    Ok(Listen {
        address,
        written: [kind.into(), place.into()],
        name: name.unwrap_or(kind).into(),
        backlog: backlog.map_or(DEFAULT_BACKLOG, u32::from),
        mode,
    })
}

/// An address with a port; a port alone means every address of this machine.
fn internet(text: &[u8]) -> Option<SocketAddr> {
    match decimal::parse(text) {
        Some(port) => Some((Ipv6Addr::UNSPECIFIED, u16::try_from(port).ok()?).into()),
        None => core::str::from_utf8(text).ok()?.parse().ok(),
    }
}

fn path(text: &[u8]) -> Option<CString> {
    if text.is_empty() || text.len() > LONGEST_PATH {
        return None;
    }
    CString::new(text).ok()
}

fn text_name(text: &[u8]) -> Option<&[u8]> {
    let letter = |c: &u8| c.is_ascii_alphanumeric() || b"-_.".contains(c);
    ((1..=255).contains(&text.len()) && text.iter().all(letter)).then_some(text)
}

fn octal(text: &[u8]) -> Option<u16> {
    let digit = |n: u16, c: &u8| {
        let digit = (b'0'..=b'7').contains(c).then(|| u16::from(c - b'0'))?;
        Some(n * 8 + digit).filter(|n| *n <= 0o777)
    };
    text.iter().try_fold(0, digit).filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::{format, vec};
    use proptest::prelude::*;

    fn one(text: &str) -> Listen {
        let mut all = parse(text.as_bytes()).unwrap();
        assert_eq!(all.len(), 1);
        all.pop().unwrap()
    }

    #[test]
    fn addresses_of_all_kinds() {
        let address = |text: &str| text.parse().unwrap();
        let plain = |address, kind: &[u8], place: &[u8]| Listen {
            address,
            written: [kind.into(), place.into()],
            name: kind.into(),
            backlog: 128,
            mode: None,
        };
        assert_eq!(
            parse(
                b"# web\ntcp 127.0.0.1:80\n\n tcp [::1]:80 \ntcp 80\nudp 80\n\
                  unix /run/s\nunix-datagram s"
            ),
            Ok(vec![
                plain(Address::Tcp(address("127.0.0.1:80")), b"tcp", b"127.0.0.1:80"),
                plain(Address::Tcp(address("[::1]:80")), b"tcp", b"[::1]:80"),
                plain(Address::Tcp(address("[::]:80")), b"tcp", b"80"),
                plain(Address::Udp(address("[::]:80")), b"udp", b"80"),
                plain(Address::Unix(c"/run/s".into()), b"unix", b"/run/s"),
                plain(Address::UnixDatagram(c"s".into()), b"unix-datagram", b"s"),
            ])
        );
    }

    #[test]
    fn further_words() {
        let all = one("unix /run/s mode=0660 backlog=65535\tname=a-B_9.c");
        assert_eq!((all.backlog, all.mode), (65535, Some(0o660)));
        assert_eq!(*all.name, *b"a-B_9.c");
        assert_eq!(one("unix-datagram s mode=7").mode, Some(7));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = format!("unix /{}", "x".repeat(107));
        assert!(parse(&long.as_bytes()[..long.len() - 1]).is_ok());
        let name = format!("tcp 80 name={}", "x".repeat(256));
        assert!(parse(&name.as_bytes()[..name.len() - 1]).is_ok());
        for text in [
            "tcp",
            "tcp :80",
            "tcp 65536",
            "tcp ::1:80",
            "tcp localhost:80",
            "tcp 1.2.3.4",
            "unix",
            "unix a\0b",
            "sctp 80",
            "tcp 80 name=",
            "tcp 80 name=a:b",
            "tcp 80 backlog=0",
            "tcp 80 backlog=65536",
            "udp 80 backlog=1",
            "tcp 80 mode=0660",
            "unix s mode=0888",
            "unix s mode=1000",
            "unix s mode=",
            "unix s name=a name=b",
            "tcp 80 x",
            "tcp 80\ntcp [::]:80 name=b",
            &long,
            &name,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let lines = |n| (1..=n).map(|port| format!("tcp {port}\n")).collect::<String>();
        assert!(parse(lines(64).as_bytes()).is_ok());
        assert_eq!(parse(lines(65).as_bytes()).unwrap_err().line, 65);
    }

    proptest! {
        #[test]
        fn addresses_are_read_back(address in any::<SocketAddr>(), backlog in 1_u32..=65535) {
            // The flow is not part of the text.
            let address = match address {
                SocketAddr::V6(mut v6) => {
                    v6.set_flowinfo(0);
                    v6.into()
                }
                v4 => v4,
            };
            let socket = one(&format!("tcp {address} backlog={backlog}"));
            prop_assert_eq!((socket.address, socket.backlog), (Address::Tcp(address), backlog));
            prop_assert_eq!(one(&format!("udp {address}")).address, Address::Udp(address));
        }

        #[test]
        fn paths_are_read_back(path in "[!-~]{1,107}", mode in 0_u16..=0o777) {
            let socket = one(&format!("unix {path} mode={mode:04o}"));
            let path = CString::new(path).unwrap();
            prop_assert_eq!((socket.address, socket.mode), (Address::Unix(path), Some(mode)));
        }
    }
}
