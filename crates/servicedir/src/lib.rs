//! Service directories for Rust programs: who is up, make it so, wait until it is.
//!
//! A service directory is supervised by a `supervise` process, ours or the original's, which keeps
//! its state in `supervise/` inside it. This library reads that state, writes commands to its
//! FIFO, and waits for changes without polling. It needs the rights that svstat and svc need:
//! normally those of the owner of the directory.
//!
//! ```no_run
//! use servicedir::{Command, ServiceDir};
//! use std::time::Duration;
//!
//! let web = ServiceDir::new("/service/web");
//! web.send(&[Command::Down])?;
//! let status = web.wait(Duration::from_secs(10), |status| status.pid.is_none())?;
//! assert!(status.is_some(), "still up after ten seconds");
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

pub use daemontools_core::status::Want;
use daemontools_core::status::{Record, parse_file};
use daemontools_core::tai::UNIX_EPOCH;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::{Errno, read, write};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A directory with a `run` program, and what a supervise keeps in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDir {
    path: PathBuf,
}

/// What supervise says of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The process, if the service is up.
    pub pid: Option<NonZeroU32>,
    /// When it was started, or when it ended.
    pub since: SystemTime,
    /// Whether it was stopped by a pause.
    pub paused: bool,
    /// What is wanted.
    pub want: Want,
}

impl From<Record> for Status {
    fn from(record: Record) -> Self {
        let after = Duration::new(
            record.since.seconds.saturating_sub(UNIX_EPOCH),
            record.since.nanoseconds.min(999_999_999),
        );
        Self {
            pid: NonZeroU32::new(record.pid),
            // A label too far in the future for the system's clock is shown as its beginning.
            since: SystemTime::UNIX_EPOCH.checked_add(after).unwrap_or(SystemTime::UNIX_EPOCH),
            paused: record.paused,
            want: record.want,
        }
    }
}

/// What a supervise can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run it, and again whenever it ends.
    Up,
    /// End it, and leave it so.
    Down,
    /// Run it, but not again.
    Once,
    /// Leave when it is down.
    Exit,
    /// Stop it.
    Pause,
    /// Let it go on.
    Continue,
    /// Send it HUP.
    Hup,
    /// Send it ALRM.
    Alarm,
    /// Send it INT.
    Interrupt,
    /// Send it TERM, without a wish that it stay down.
    Term,
    /// Send it KILL.
    Kill,
}

impl Command {
    const fn letter(self) -> u8 {
        match self {
            Self::Up => b'u',
            Self::Down => b'd',
            Self::Once => b'o',
            Self::Exit => b'x',
            Self::Pause => b'p',
            Self::Continue => b'c',
            Self::Hup => b'h',
            Self::Alarm => b'a',
            Self::Interrupt => b'i',
            Self::Term => b't',
            Self::Kill => b'k',
        }
    }
}

impl ServiceDir {
    /// The service directory at this path; nothing is looked at yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self, file: &str) -> PathBuf {
        self.path.join("supervise").join(file)
    }

    /// Opens a FIFO of the state directory for writing; `None` if no supervise reads it.
    fn fifo(&self, name: &str) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match open(self.state(name), flags, Mode::empty()) {
            Ok(fd) => {
                let is_fifo = FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Fifo;
                Ok(is_fifo.then_some(fd))
            }
            Err(Errno::NXIO | Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a supervise runs here, as svok tells.
    ///
    /// # Errors
    /// Without the right to know, and when the directory does not exist.
    pub fn is_supervised(&self) -> io::Result<bool> {
        fs::metadata(&self.path)?;
        Ok(self.fifo("ok")?.is_some())
    }

    /// What its supervise says of the service; `None` if none runs here.
    ///
    /// # Errors
    /// As for [`ServiceDir::is_supervised`]; [`io::ErrorKind::InvalidData`] for a status file of
    /// fewer than 18 bytes.
    pub fn status(&self) -> io::Result<Option<Status>> {
        if !self.is_supervised()? {
            return Ok(None);
        }
        let bytes = fs::read(self.state("status"))?;
        let (main, _) = parse_file(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "status: bad format"))?;
        Ok(Some(main.into()))
    }

    /// Asks the supervise for all of these, in this order. It does not tell whether it obeyed:
    /// [`ServiceDir::wait`] for what should come of it.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] if no supervise runs here, [`io::ErrorKind::WouldBlock`] if
    /// it does not read what it was sent before.
    pub fn send(&self, commands: &[Command]) -> io::Result<()> {
        let control = self
            .fifo("control")?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "supervise not running"))?;
        let letters: Vec<u8> = commands.iter().map(|command| command.letter()).collect();
        // Not more than PIPE_BUF letters, so that it is written whole or not at all.
        write(&control, &letters)?;
        Ok(())
    }

    /// Waits until the status is as `wanted`, and gives that status; `None` if it was not so
    /// within `timeout`. A supervise that is not there yet is waited for. Sleeps between the
    /// changes.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`]; and when the kernel has no more watches.
    pub fn wait(
        &self,
        timeout: Duration,
        wanted: impl Fn(&Status) -> bool,
    ) -> io::Result<Option<Status>> {
        let deadline = Instant::now() + timeout;
        // Before the first look, so that no change falls between the two.
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watch, &self.path, WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
        loop {
            // status is replaced by a rename, or overwritten. A new supervise writes it once more
            // after it has opened ok.
            let changes = WatchFlags::MOVED_TO
                | WatchFlags::MODIFY
                | WatchFlags::CREATE
                | WatchFlags::ONLYDIR;
            let state = self.path.join("supervise");
            match inotify::add_watch(&watch, &state, changes) {
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = self.status()?.filter(&wanted) {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            sleep_until_readable(&watch, left)?;
        }
    }
}

/// Sleeps until there is something to read, or for `timeout`, and reads it away.
fn sleep_until_readable(fd: &OwnedFd, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut events = [MaybeUninit::<u8>::uninit(); 4096];
    while matches!(read(fd, &mut events), Ok(([_, ..], _))) {}
    Ok(())
}
