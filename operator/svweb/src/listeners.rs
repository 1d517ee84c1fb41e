//! The sockets on which svweb serves: its own, and those that the caller has opened (LISTEN_FDS).

use crate::failure::Failure;
use crate::options::Options;
use daemontools_sys::fd::take_inherited;
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::umask;
use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The first inherited descriptor of sd_listen_fds(3).
const FIRST: i32 = 3;

/// The connections that the kernel accepts before svweb does.
const BACKLOG: i32 = 1024;

/// A socket that accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// All sockets, and the file of our own Unix socket.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) all: Vec<Listener>,
    pub(crate) file: Option<SocketFile>,
}

/// A Unix socket's file, which is removed at the end.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have its socket there by now.
        if self.path.symlink_metadata().is_ok_and(|it| (it.dev(), it.ino()) == self.id) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes the descriptors of the caller. It comes before svweb opens anything.
pub(crate) fn inherited() -> Vec<OwnedFd> {
    let number = |name: &str| env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
    (FIRST..FIRST.saturating_add(count.min(1000))).filter_map(take_inherited).collect()
}

/// Opens the sockets of the options, and checks the inherited ones by the same rules.
pub(crate) fn open(options: &Options, inherited: Vec<OwnedFd>) -> Result<Listeners, Failure> {
    let mut found = Listeners::default();
    for fd in inherited {
        found.all.push(adopt(fd, options)?);
    }
    for address in &options.listen {
        let listener = TcpListener::bind(address)
            .map_err(|e| Failure::system(format!("listen on {address}"), &e))?;
        found.all.push(Listener::Tcp(listener));
    }
    if let Some(path) = &options.socket {
        let shown = svctl::escape(&path.to_string_lossy());
        let failure = |e: &io::Error| Failure::system(format!("listen on {shown}"), e);
        let listener = bind_unix(path).map_err(|e| failure(&e))?;
        let made = path.symlink_metadata().map_err(|e| failure(&e))?;
        found.file = Some(SocketFile { path: path.clone(), id: (made.dev(), made.ino()) });
        found.all.push(Listener::Unix(listener));
    }
    if found.all.is_empty() {
        return Err(Failure::usage(
            "unable to serve without a socket: --listen 127.0.0.1:8080 or --socket PATH names one",
        ));
    }
    for listener in &found.all {
        // The number of std is small: in a burst of connections, the next client would wait a second.
        let _ = match listener {
            Listener::Tcp(socket) => rustix::net::listen(socket, BACKLOG),
            Listener::Unix(socket) => rustix::net::listen(socket, BACKLOG),
        };
        let set = match listener {
            Listener::Tcp(socket) => socket.set_nonblocking(true),
            Listener::Unix(socket) => socket.set_nonblocking(true),
        };
        set.map_err(|e| Failure::system("use a socket", &e))?;
    }
    Ok(found)
}

fn adopt(fd: OwnedFd, options: &Options) -> Result<Listener, Failure> {
    let failure = |e: rustix::io::Errno| Failure::system("use an inherited socket", &e.into());
    let wrong = |why: &str| Failure::usage(format!("unable to use an inherited socket: {why}"));
    if sockopt::socket_type(&fd).map_err(failure)? != SocketType::STREAM
        || !sockopt::socket_acceptconn(&fd).map_err(failure)?
    {
        return Err(wrong("it is no stream socket that listens"));
    }
    match sockopt::socket_domain(&fd).map_err(failure)? {
        AddressFamily::UNIX => Ok(Listener::Unix(fd.into())),
        AddressFamily::INET | AddressFamily::INET6 => {
            let listener = TcpListener::from(fd);
            let address = listener.local_addr();
            let address = address.map_err(|e| Failure::system("use an inherited socket", &e))?;
            if !address.ip().to_canonical().is_loopback() && !options.allow_remote {
                let why =
                    format!("{address} is not of this machine alone (--allow-remote allows it)");
                return Err(wrong(&why));
            }
            Ok(Listener::Tcp(listener))
        }
        _ => Err(wrong("it is neither TCP nor a Unix socket")),
    }
}

/// Binds a Unix socket for its owner and its group. A socket that an earlier process has left is
/// replaced; anything else at the path stays.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
            }
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) => return Err(error),
        }
    }
    let before = umask(Mode::from_raw_mode(0o117));
    let bound = UnixListener::bind(path);
    umask(before);
    bound
}
