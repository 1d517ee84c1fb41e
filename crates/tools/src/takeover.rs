//! What an earlier svscan has left running: supervises, and the pipes between services and loggers.
//!
//! Nothing was written down for it. A supervise is found by the lock that it holds, and a pipe in
//! the hands of those who use it.

use crate::holder::{self, Table};
use crate::identity;
use crate::state_dir::StateDir;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::decimal::Decimal;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fd, fs, guarded, poll};

use crate::paths::{join, of_process};

/// Who is there for the service in whose directory we are.
#[derive(Default)]
pub(crate) struct Found {
    /// The supervise.
    pub(crate) supervise: Option<(Pid, Handle)>,
    /// The process that a supervise has started.
    pub(crate) process: Option<Pid>,
}

impl Found {
    /// Looks into the state directory of the service in whose directory we are. The locks are read
    /// when they are needed first.
    pub(crate) fn here(locks: &mut Option<Table>) -> Self {
        let Ok(state) = StateDir::of_current_dir() else {
            return Self::default();
        };
        let Ok(dir) = state.with_path(|path| fs::reach_dir(fs::HERE, path)) else {
            // It has never run.
            return Self::default();
        };
        // As long as a supervise is there, this has a reader.
        let at = dir.as_fd();
        let listens =
            guarded::open(at, c"ok", fs::Opening::WRITE).is_ok_and(|ok| fs::is_fifo(ok.as_fd()));
        let supervise = guarded::open(at, c"lock", fs::Opening::READ).ok().and_then(|lock| {
            // As after a death. The list of the locks is as long as there are services.
            if !listens && holder::is_free(lock.as_fd()) {
                return None;
            }
            if locks.is_none() {
                *locks = Table::read();
            }
            locks.as_ref()?.hold(lock.as_fd())
        });
        // Who may write the state directory can put a file there that any process has locked.
        let supervise = supervise.filter(|(pid, _)| listens && stands_here(*pid));
        // After that: what a dead supervise was starting is on record now.
        Self { supervise, process: identity::living(dir.as_fd()) }
    }

    /// Nobody.
    pub(crate) const fn is_empty(&self) -> bool {
        self.supervise.is_none() && self.process.is_none()
    }
}

/// Whether a process is where we are, as every supervise is in the directory of its service.
fn stands_here(pid: Pid) -> bool {
    let mut room = [0; 48];
    let there = of_process(&mut room, pid, b"cwd").and_then(|path| fs::look(fs::HERE, path));
    there.is_ok() && there == fs::look(fs::HERE, c".")
}

/// The pipe between a service and its logger, read end first: what the logger's supervise, or the
/// logger, has as its standard input; else, if nobody reads it, what the service's supervise, or
/// the service, has as its standard output. Our own messages have a logger and no service.
///
/// # Errors
/// Nothing was found, and one of these may not be looked at.
pub(crate) fn pipe_between(
    main: Option<&Found>,
    log: &Found,
) -> Result<Option<(OwnedFd, OwnedFd)>> {
    let supervise = |found: &Found| found.supervise.as_ref().map(|(pid, _)| *pid);
    let mut refused = None;
    for reader in [supervise(log), log.process].into_iter().flatten() {
        match Pipe::of(reader, 0).and_then(|pipe| pipe.map(|pipe| pipe.open()).transpose()) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(error) => refused = Some(error),
        }
    }
    // What goes where its messages go was started without a logger; and what somebody else reads
    // is something else: output that svscan was started with, or a pipe that the service has made.
    let messages = main.and_then(supervise).and_then(|pid| Pipe::of(pid, 2).ok()?);
    let not_it = [Pipe::own(1), Pipe::own(2), messages];
    let writers = main.map(|main| [supervise(main), main.process]);
    for writer in writers.into_iter().flatten().flatten() {
        let opened = match Pipe::of(writer, 1) {
            Ok(Some(pipe)) if !not_it.iter().flatten().any(|it| it.name() == pipe.name()) => {
                pipe.open_unread()
            }
            other => other.map(|_| None),
        };
        match opened {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(None), Err)
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
    fn of(pid: Pid, number: u8) -> Result<Option<Self>> {
        Self::below(Decimal::new(pid.get().cast_unsigned().into()).as_bytes(), number)
    }

    fn own(number: u8) -> Option<Self> {
        Self::below(b"self", number).ok()?
    }

    fn below(process: &[u8], number: u8) -> Result<Option<Self>> {
        let mut pipe = Self { path: [0; 32], target: [0; 32], length: 0 };
        let name = [&b"fd/"[..], &[b'0' + number]].concat();
        let mut dir = [0; 32];
        let dir = join(&mut dir, b"/proc", process).ok_or(Errno::NAMETOOLONG)?;
        let path = join(&mut pipe.path, dir.to_bytes(), &name).ok_or(Errno::NAMETOOLONG)?;
        pipe.length = match fs::readlink(fs::HERE, path, &mut pipe.target) {
            Ok(target) => target.len(),
            // It is closed, or the process has gone.
            Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(pipe.name().starts_with(b"pipe:[").then_some(pipe))
    }

    fn name(&self) -> &[u8] {
        self.target.get(..self.length).unwrap_or_default()
    }

    fn path(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.path).unwrap_or_default()
    }

    /// Opens both ends, as they were made.
    fn open(&self) -> Result<(OwnedFd, OwnedFd)> {
        self.open_with(fs::open_write(fs::HERE, self.path())?)
    }

    /// The same, unless somebody has the end for reading open.
    fn open_unread(&self) -> Result<Option<(OwnedFd, OwnedFd)>> {
        let write_end = fs::open_write(fs::HERE, self.path())?;
        if !poll::hung_up(write_end.as_fd(), Duration::ZERO) {
            return Ok(None);
        }
        self.open_with(write_end).map(Some)
    }

    fn open_with(&self, write_end: OwnedFd) -> Result<(OwnedFd, OwnedFd)> {
        let ends = (fs::open_read(fs::HERE, self.path())?, write_end);
        for end in [&ends.0, &ends.1] {
            fd::set_blocking(end.as_fd(), true)?;
        }
        Ok(ends)
    }
}
