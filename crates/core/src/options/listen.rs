//! `listen`: the sockets that supervise opens for a service.

use super::option_error::Mismatch;
use super::{OptionError, OptionFile, syntax};
use crate::text::decimal;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::net::{Ipv6Addr, SocketAddr};

/// A socket that supervise opens and passes to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSocket {
    /// The address to bind.
    pub address: ListenAddress,
    /// The two words of the file that give the kind and the address.
    pub written: [Box<[u8]>; 2],
    /// The name in `LISTEN_FDNAMES`.
    pub name: Box<[u8]>,
    /// The length of the queue of connections, for stream sockets.
    pub backlog: u32,
    /// The permissions of a Unix socket; `None` leaves them to the umask.
    pub mode: Option<u16>,
}

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `tcp ADDRESS:PORT`
    Tcp(SocketAddr),
    /// `udp ADDRESS:PORT`
    Udp(SocketAddr),
    /// `unix PATH`: a stream socket. The path is absolute, or relative to the service directory.
    Unix(CString),
    /// `unix-datagram PATH`
    UnixDatagram(CString),
}

/// The most sockets of a service.
const MOST_SOCKETS: usize = 64;

/// The longest path of a Unix socket: `sun_path` has 108 bytes with the NUL (unix(7)).
const LONGEST_PATH: usize = 107;

const DEFAULT_BACKLOG: u32 = 128;

pub(super) fn parse(text: &[u8]) -> Result<Vec<ListenSocket>, OptionError> {
    let mut sockets: Vec<ListenSocket> = Vec::new();
    for (line, content) in syntax::lines(text) {
        let error = |mismatch| OptionError::new(OptionFile::Listen, line, mismatch);
        let socket = socket(content).map_err(error)?;
        if sockets.iter().any(|other| other.address == socket.address) {
            return Err(error((content, "each address once, as in tcp 127.0.0.1:80")));
        }
        if sockets.len() == MOST_SOCKETS {
            return Err(error((content, "at most 64 lines, as in tcp 127.0.0.1:80")));
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

fn socket(line: &[u8]) -> Result<ListenSocket, Mismatch<'_>> {
    let mut words = syntax::words(line);
    let kind = words.next().unwrap_or_default();
    let location = words.next().unwrap_or_default();
    let internet = || {
        internet(location)
            .ok_or((line, "an address and a port, as in 127.0.0.1:80, [::1]:80 or 80"))
    };
    let path =
        || path(location).ok_or((line, "a path of at most 107 bytes, as in unix /run/name.socket"));
    let address = match kind {
        b"tcp" => ListenAddress::Tcp(internet()?),
        b"udp" => ListenAddress::Udp(internet()?),
        b"unix" => ListenAddress::Unix(path()?),
        b"unix-datagram" => ListenAddress::UnixDatagram(path()?),
        _ => return Err((kind, "tcp, udp, unix or unix-datagram, as in tcp 127.0.0.1:80")),
    };
    let (mut name, mut backlog, mut mode) = (None, None, None);
    for word in words {
        let (key, text) = syntax::key_and_value(word);
        let twice = match key {
            b"name=" => {
                let expected = "at most 255 letters, digits, -, _ and dots, as in name=web";
                name.replace(socket_name(text).ok_or((word, expected))?).is_some()
            }
            b"backlog=" if matches!(address, ListenAddress::Tcp(_) | ListenAddress::Unix(_)) => {
                let number = super::number(text, 1..=u16::MAX);
                let expected = "a number from 1 to 65535, as in backlog=128";
                backlog.replace(number.ok_or((word, expected))?).is_some()
            }
            b"mode="
                if matches!(address, ListenAddress::Unix(_) | ListenAddress::UnixDatagram(_)) =>
            {
                let expected = "an octal number from 0 to 0777, as in mode=0660";
                mode.replace(octal(text).ok_or((word, expected))?).is_some()
            }
            _ => {
                let expected = "name=, backlog= for tcp and unix, or mode= for unix and \
                             unix-datagram, as in name=web";
                return Err((word, expected));
            }
        };
        if twice {
            return Err((word, "each word once, as in name=web"));
        }
    }
    Ok(ListenSocket {
        address,
        written: [kind.into(), location.into()],
        name: name.unwrap_or(kind).into(),
        backlog: backlog.map_or(DEFAULT_BACKLOG, u32::from),
        mode,
    })
}

/// `ADDRESS:PORT`, or `PORT` alone for every address of this machine.
fn internet(text: &[u8]) -> Option<SocketAddr> {
    match decimal::parse(text) {
        Some(port) => Some((Ipv6Addr::UNSPECIFIED, u16::try_from(port).ok()?).into()),
        None => core::str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// The path of a Unix socket.
fn path(text: &[u8]) -> Option<CString> {
    if text.is_empty() || text.len() > LONGEST_PATH {
        return None;
    }
    CString::new(text).ok()
}

/// A name for `LISTEN_FDNAMES`, whose separator is the colon.
fn socket_name(text: &[u8]) -> Option<&[u8]> {
    let letter = |c: &u8| c.is_ascii_alphanumeric() || b"-_.".contains(c);
    ((1..=255).contains(&text.len()) && text.iter().all(letter)).then_some(text)
}

/// File permissions as an octal number.
fn octal(text: &[u8]) -> Option<u16> {
    let digit = |n: u16, c: &u8| {
        let digit = (b'0'..=b'7').contains(c).then(|| u16::from(c - b'0'))?;
        Some(n * 8 + digit).filter(|n| *n <= 0o777)
    };
    text.iter().try_fold(0, digit).filter(|_| !text.is_empty())
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
