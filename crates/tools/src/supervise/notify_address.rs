//! The address of a notify socket.
//!
//! It is a path, so that a service in another network namespace reaches it. The directory of the
//! socket lets every user through, because the service may run as another user. Only the supervisor
//! can list it, and the name of the socket is secret: a process that knows it has it from the service.
//! Where no such directory can be made, the address is an abstract name, which every process in the
//! network namespace can find.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::ids::effective_user;
use daemontools_sys::notify::NotifySocket;
use daemontools_sys::{
    AsFd as _, BorrowedFd, Errno, OwnedFd, Result, dir, fd, fs, guarded, process, random,
};

/// The name of a socket between its bind and its rename to the secret name. /proc/net/unix shows it.
const BINDING: &CStr = c"new";

/// The longest path in a socket address.
const PATH_LIMIT: usize = 107;

/// The address of a notify socket.
pub(super) enum NotifyAddress {
    /// An abstract name, without its leading NUL.
    Abstract(Vec<u8>),
    /// A socket in a directory of its own.
    Path {
        /// The path of the directory.
        directory: Vec<u8>,
        /// The secret name of the socket.
        name: CString,
    },
}

impl NotifyAddress {
    /// The value of `NOTIFY_SOCKET`.
    pub(super) fn variable(&self) -> Vec<u8> {
        match self {
            Self::Abstract(name) => [b"@", &**name].concat(),
            Self::Path { directory, name } => [directory, &b"/"[..], name.to_bytes()].concat(),
        }
    }

    /// What `state` tells, which other users may read: the abstract name, or the path of the directory.
    pub(super) fn published(&self) -> &[u8] {
        match self {
            Self::Abstract(name) => name,
            Self::Path { directory, .. } => directory,
        }
    }

    /// Removes the socket of a path, and its directory.
    pub(super) fn remove(&self) {
        let Self::Path { directory, .. } = self else { return };
        let Ok(path) = CString::new(&**directory) else { return };
        if let Ok(at) = fs::open_dir(fs::HERE, &path) {
            remove_all(at.as_fd());
        }
        let _ = fs::rmdir(fs::HERE, &path);
    }
}

/// Makes a new socket. The error of the path comes with an abstract socket.
pub(super) fn make(
    state_dir: BorrowedFd<'_>,
    wants_abstract: bool,
) -> Result<(NotifySocket, NotifyAddress, Option<Errno>)> {
    let mut problem = None;
    if !wants_abstract {
        for place in Place::all(state_dir) {
            match place.make_socket() {
                Ok((socket, address)) => return Ok((socket, address, None)),
                // The first place is the usual one.
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        problem = problem.or(Some(Errno::NOENT));
    }
    let name = new_abstract_name();
    let socket = NotifySocket::new_abstract(&name)?;
    Ok((socket, NotifyAddress::Abstract(name), problem))
}

/// Makes the socket of an adopted service again, at the address that `state` tells.
///
/// # Errors
/// ENOENT: no place has this path, or the directory has no socket. Those of the system calls.
pub(super) fn remake(
    state_dir: BorrowedFd<'_>,
    published: &[u8],
) -> Result<(NotifySocket, NotifyAddress)> {
    let address = find(state_dir, published)?;
    let socket = match &address {
        NotifyAddress::Abstract(name) => NotifySocket::new_abstract(name)?,
        NotifyAddress::Path { directory, name } => {
            let path = CString::new(&**directory).unwrap_or_default();
            bind(fs::open_dir(fs::HERE, &path)?.as_fd(), directory, name)?
        }
    };
    Ok((socket, address))
}

/// Finds the address that `state` tells in part.
///
/// # Errors
/// As for [`remake`].
pub(super) fn find(state_dir: BorrowedFd<'_>, published: &[u8]) -> Result<NotifyAddress> {
    if !published.starts_with(b"/") {
        return Ok(NotifyAddress::Abstract(published.to_vec()));
    }
    // Other users may be able to write `state`.
    let place = Place::all(state_dir).into_iter().find(|place| place.path() == published);
    let place = place.ok_or(Errno::NOENT)?;
    let mut name = None;
    dir::names(place.open()?.as_fd(), |found| {
        if found != BINDING {
            name = Some(CString::from(found));
        }
    })?;
    let name = name.ok_or(Errno::NOENT)?;
    Ok(NotifyAddress::Path { directory: place.path(), name })
}

/// A directory for the socket.
struct Place {
    /// A directory that exists.
    base: Vec<u8>,
    /// The names of the directories in it, one in the other, as far as there are any.
    below: Vec<Vec<u8>>,
}

impl Place {
    /// The places for the socket of the service with this state directory, the usual one first.
    ///
    /// A service of root may run as another user, who does not reach the state directory.
    fn all(state_dir: BorrowedFd<'_>) -> Vec<Self> {
        let shared = |base: &[u8]| {
            let id = fs::dir_id(state_dir, c".").ok().flatten()?;
            let number = |n: u64| Decimal::new(n);
            let (major, minor) = (number(id.device.0.into()), number(id.device.1.into()));
            let inode = number(id.inode);
            let id = [major.as_bytes(), minor.as_bytes(), inode.as_bytes()].join(&b'-');
            Some(Self { base: base.to_vec(), below: Vec::from([b"daemontools".to_vec(), id]) })
        };
        if effective_user() == 0 {
            return shared(b"/run").into_iter().collect();
        }
        let chosen = process::env("XDG_RUNTIME_DIR").map(CStr::to_bytes);
        let runtime = match chosen.filter(|path| path.starts_with(b"/")) {
            Some(chosen) => shared(chosen),
            None => {
                let user = Decimal::new(effective_user().into());
                shared(&[b"/run/user/", user.as_bytes()].concat())
            }
        };
        let own =
            || Some(Self { base: path_of(state_dir)?, below: Vec::from([b"notify".to_vec()]) });
        runtime.into_iter().chain(own()).collect()
    }

    /// The path of the directory.
    fn path(&self) -> Vec<u8> {
        let names = self.below.iter().map(Vec::as_slice);
        core::iter::once(&*self.base).chain(names).collect::<Vec<_>>().join(&b'/')
    }

    /// Opens the directory, and makes it if it is missing.
    fn open(&self) -> Result<OwnedFd> {
        let base = CString::new(&*self.base).map_err(|_| Errno::INVAL)?;
        let mut at = fs::open_dir(fs::HERE, &base)?;
        if guarded::others_can_rename(at.as_fd()) {
            return Err(Errno::PERM);
        }
        for name in &self.below {
            let name = CString::new(&**name).map_err(|_| Errno::INVAL)?;
            at = guarded::own_directory(at.as_fd(), &name)?;
        }
        Ok(at)
    }

    /// Makes a socket with a new secret name. A killed supervisor may have left one there.
    fn make_socket(&self) -> Result<(NotifySocket, NotifyAddress)> {
        let directory = self.path();
        let name = CString::new(Decimal::new(random::secret_u64()?).as_bytes()).unwrap_or_default();
        if directory.len() + 1 + name.count_bytes() > PATH_LIMIT {
            return Err(Errno::NAMETOOLONG);
        }
        let at = self.open()?;
        remove_all(at.as_fd());
        let socket = bind(at.as_fd(), &directory, &name)?;
        Ok((socket, NotifyAddress::Path { directory, name }))
    }
}

/// Binds a socket to a name in `directory`, which is open as `at`. It replaces an earlier socket.
fn bind(at: BorrowedFd<'_>, directory: &[u8], name: &CStr) -> Result<NotifySocket> {
    let path = [directory, b"/", BINDING.to_bytes()].concat();
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    let _ = fs::unlink(at, BINDING);
    // Before it has its secret name, no other user can send to it.
    let umask = fs::set_umask(0o777);
    let socket = NotifySocket::new_at(&path);
    fs::set_umask(umask);
    let socket = socket?;
    fs::rename(at, BINDING, name)?;
    // The service may run as any user.
    fs::chmod(at, name, 0o666)?;
    Ok(socket)
}

/// Removes every socket in a directory.
fn remove_all(at: BorrowedFd<'_>) {
    let mut names: Vec<CString> = Vec::new();
    let _ = dir::names(at, |name| names.push(name.into()));
    for name in names {
        let _ = fs::unlink(at, &name);
    }
}

/// The path of an open directory; `None` without /proc.
fn path_of(dir: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let number = Decimal::new(u64::from(fd::number(dir).unsigned_abs()));
    let link = CString::new([b"/proc/self/fd/", number.as_bytes()].concat()).ok()?;
    let mut room = [0; PATH_LIMIT + 1];
    let path = fs::readlink(fs::HERE, &link, &mut room).ok()?;
    (path.starts_with(b"/") && path.len() <= PATH_LIMIT).then(|| path.to_vec())
}

/// A unique abstract name.
fn new_abstract_name() -> Vec<u8> {
    let number = Decimal::new(process::id().get().cast_unsigned().into());
    let chance = Decimal::new(random::random_u32().into());
    [b"daemontools/", number.as_bytes(), b"/", chance.as_bytes()].concat()
}
