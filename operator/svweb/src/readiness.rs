//! How svweb says that it is ready: a line to a descriptor (`notification-fd`), READY=1 to NOTIFY_SOCKET.

use crate::failure::{Failure, say};
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where svweb says it.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    fd: Option<OwnedFd>,
    socket: Option<OsString>,
}

impl Readiness {
    /// Takes the descriptor. It comes before svweb opens anything.
    pub(crate) fn take(number: Option<u32>) -> Result<Self, Failure> {
        let fd = match number {
            Some(number) => {
                let found =
                    i32::try_from(number).ok().and_then(daemontools_sys::fd::take_inherited);
                let why =
                    || Failure::usage(format!("unable to use --ready-fd {number}: it is not open"));
                Some(found.ok_or_else(why)?)
            }
            None => None,
        };
        Ok(Self { fd, socket: env::var_os("NOTIFY_SOCKET").filter(|it| !it.is_empty()) })
    }

    /// Says that svweb is ready.
    pub(crate) fn announce(&mut self) {
        if let Some(fd) = self.fd.take()
            && let Err(error) = File::from(fd).write_all(b"\n")
        {
            say(&format!("warning: unable to say that svweb is ready: {}", svctl::reason(&error)));
        }
        self.notify("READY=1");
    }

    /// Says something to the notify socket.
    pub(crate) fn notify(&self, text: &str) {
        let Some(path) = &self.socket else { return };
        let sent = || -> io::Result<()> {
            let address = match path.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
                _ => SocketAddr::from_pathname(path)?,
            };
            UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
        };
        if let Err(error) = sent() {
            say(&format!("warning: unable to write to NOTIFY_SOCKET: {}", svctl::reason(&error)));
        }
    }
}
