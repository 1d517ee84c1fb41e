//! The sockets that a service listens on, as under systemd's socket activation.

use super::helpers::Helpers;
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_core::handover::Handover;
use daemontools_core::options::{ListenAddress, ListenSocket};
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::net::{self, Endpoint};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::trusted_path::{self, PathError};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fd, fs};

/// The descriptor of the first socket in the service.
pub(super) const FIRST_SOCKET: i32 = 3;

/// Binds one socket.
pub(super) fn bind(listen: &ListenSocket) -> Result<OwnedFd> {
    let (ListenAddress::Unix(path) | ListenAddress::UnixDatagram(path)) = &listen.address else {
        return net::listen(endpoint(&listen.address), listen.backlog);
    };
    // Another user could otherwise choose, by a link on the way, the directory in which a socket is
    // replaced.
    let place = trusted_path::locate(fs::HERE, path).map_err(|error| match error {
        PathError::ForeignLink => Errno::LOOP,
        PathError::Failed(error) => error,
    })?;
    let is_there = || fs::is_socket(place.dir.as_fd(), &place.name);
    // An earlier socket would make bind fail. A file of another kind is left alone.
    if place.is_last_part && is_there() {
        let _ = fs::unlink(place.dir.as_fd(), &place.name);
    }
    // By umask: after bind the name could lead to another file.
    let before = listen.mode.map(|mode| fs::set_umask(0o777 & !u32::from(mode)));
    let socket = net::listen(endpoint(&listen.address), listen.backlog);
    before.map(fs::set_umask);
    // A directory on the way can have been replaced by a link since.
    socket.and_then(|socket| if is_there() { Ok(socket) } else { Err(Errno::LOOP) })
}

/// Copies the sockets from a process of the service: an adopted one, or a child if that is `None`.
///
/// # Errors
/// EBADF if a descriptor is not the socket that the options ask for, ESRCH if the process has ended,
/// and the other errors of pidfd_open(2) and pidfd_getfd(2).
pub(super) fn copy_from_process(
    adopted: Option<&Handle>,
    pid: Pid,
    listen: &[ListenSocket],
    helpers: &mut Helpers,
) -> Result<Vec<OwnedFd>> {
    let child;
    let process = match adopted {
        Some(adopted) => adopted,
        None => {
            child = Handle::open(pid)?.ok_or(Errno::SRCH)?;
            &child
        }
    };
    let copy = |(number, listen): (i32, &ListenSocket)| {
        let socket = process.take_descriptor(number)?;
        if net::is_listening_at(socket.as_fd(), &endpoint(&listen.address)) {
            return Ok(socket);
        }
        helpers.close_elsewhere(socket);
        Err(Errno::BADF)
    };
    (FIRST_SOCKET..).zip(listen).map(copy).collect()
}

/// Takes the sockets from a handover; none of them if one has another address than the options.
pub(super) fn take_inherited(handover: &Handover, listen: &[ListenSocket]) -> Vec<OwnedFd> {
    let take = |n| handover.descriptor(&handover_name(n)).and_then(fd::take_inherited);
    let sockets: Vec<OwnedFd> = (0..listen.len()).map_while(take).collect();
    let mut pairs = sockets.iter().zip(listen);
    if pairs.all(|(fd, listen)| net::is_listening_at(fd.as_fd(), &endpoint(&listen.address))) {
        sockets
    } else {
        Vec::new()
    }
}

/// The name of a socket in a handover.
pub(super) fn handover_name(n: usize) -> Vec<u8> {
    [b"listen-", Decimal::new(n as u64).as_bytes()].concat()
}

fn endpoint(address: &ListenAddress) -> Endpoint<'_> {
    match address {
        ListenAddress::Tcp(at) => Endpoint::Tcp(*at),
        ListenAddress::Udp(at) => Endpoint::Udp(*at),
        ListenAddress::Unix(path) => Endpoint::Unix(path),
        ListenAddress::UnixDatagram(path) => Endpoint::UnixDatagram(path),
    }
}
