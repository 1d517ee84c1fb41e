//! What an earlier svscan has left running: supervises, and the pipes between services and loggers.
//!
//! Nothing was written down for it. A supervise is found by the lock that it holds, and a pipe in
//! the hands of those who use it.

use crate::holder;
use crate::identity;
use crate::state_dir::StateDir;
use daemontools_core::Pid;
use daemontools_core::decimal::Decimal;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, OwnedFd, Result, fd, fs};

use crate::paths::join;

/// Who is there for the service in whose directory we are.
#[derive(Default)]
pub(crate) struct Found {
    /// The supervise.
    pub(crate) supervise: Option<(Pid, Handle)>,
    /// The process that a supervise has started.
    pub(crate) process: Option<Pid>,
}

impl Found {
    /// Looks into the state directory of the service in whose directory we are.
    pub(crate) fn here() -> Self {
        let Ok(state) = StateDir::of_current_dir() else {
            return Self::default();
        };
        let Ok(dir) = state.with_path(|path| fs::reach_dir(fs::HERE, path)) else {
            // It has never run.
            return Self::default();
        };
        // As long as a supervise is there, this has a reader.
        let listens = fs::open_write(dir.as_fd(), c"ok").is_ok_and(|ok| fs::is_fifo(ok.as_fd()));
        let lock = fs::open_read(dir.as_fd(), c"lock").ok().filter(|_| listens);
        Self {
            supervise: lock.and_then(|lock| holder::hold(lock.as_fd())),
            process: identity::living(dir.as_fd()),
        }
    }
}

/// The pipe between a service and its logger, read end first: what the logger, or its supervise,
/// has as its standard input, or the service, or its supervise, as its standard output.
pub(crate) fn pipe_between(main: &Found, log: &Found) -> Option<(OwnedFd, OwnedFd)> {
    let pid = |found: &Found| found.supervise.as_ref().map(|(pid, _)| *pid);
    let readers = [pid(log), log.process].map(|pid| (pid, 0));
    let writers = [pid(main), main.process].map(|pid| (pid, 1));
    // A supervise that has nothing else to write to than its messages was started without a logger.
    let messages = pid(main).and_then(|pid| Pipe::of(pid, 2));
    let not_it = [Pipe::own(1), Pipe::own(2), messages];
    let users = readers.into_iter().chain(writers);
    users
        .filter_map(|(pid, number)| Pipe::of(pid?, number))
        .filter(|pipe| !not_it.iter().flatten().any(|other| other.name() == pipe.name()))
        .find_map(|pipe| pipe.open().ok())
}

/// A pipe that a process has open.
struct Pipe {
    /// Where it is found: a link in /proc.
    path: [u8; 32],
    /// What the link says: which pipe it is.
    target: [u8; 32],
    length: usize,
}

impl Pipe {
    /// The pipe, if it is one, that a process has as its descriptor of this number.
    fn of(pid: Pid, number: u8) -> Option<Self> {
        Self::below(Decimal::new(pid.get().unsigned_abs().into()).as_bytes(), number)
    }

    fn own(number: u8) -> Option<Self> {
        Self::below(b"self", number)
    }

    fn below(process: &[u8], number: u8) -> Option<Self> {
        let mut pipe = Self { path: [0; 32], target: [0; 32], length: 0 };
        let name = [&b"fd/"[..], &[b'0' + number]].concat();
        let mut dir = [0; 32];
        let dir = join(&mut dir, b"/proc", process)?;
        let path = join(&mut pipe.path, dir.to_bytes(), &name)?;
        pipe.length = fs::readlink(fs::HERE, path, &mut pipe.target).ok()?.len();
        pipe.name().starts_with(b"pipe:[").then_some(pipe)
    }

    fn name(&self) -> &[u8] {
        self.target.get(..self.length).unwrap_or_default()
    }

    /// Opens both ends, as they were made.
    fn open(&self) -> Result<(OwnedFd, OwnedFd)> {
        let path = core::ffi::CStr::from_bytes_until_nul(&self.path).unwrap_or_default();
        let ends = (fs::open_read(fs::HERE, path)?, fs::open_write(fs::HERE, path)?);
        for end in [&ends.0, &ends.1] {
            fd::set_blocking(end.as_fd(), true)?;
        }
        Ok(ends)
    }
}
