//! Service directories for Rust programs: who is up, make it so, wait until it is.
//!
//! A service directory is supervised by a `supervise` process, ours or the original's, which keeps
//! its state in `supervise/` inside it. This library reads that state, writes commands to its
//! FIFO, and waits for changes without polling. It needs the rights that svstat and svc need:
//! normally those of the owner of the directory.
//!
//! To be told of changes, watch the directory `supervise` with inotify: `status` is replaced by a
//! rename at every change, and `state`, which says more about services that use more than `run`, is
//! replaced before it. That is what [`ServiceDir::wait`], [`ServiceDir::wait_ready`] and
//! [`ServiceDir::events`] do.
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

mod detail;
mod events;

pub use daemontools_core::detail::{Phase, Reason};
pub use daemontools_core::status::Want;
pub use detail::Detail;
pub use events::{Events, Snapshot};

use daemontools_core::detail::Found;
use daemontools_core::status::{Record, parse_file};
use daemontools_core::tai::{Tai64n, UNIX_EPOCH};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::{Errno, write};
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// More than any file that supervise writes.
const LARGEST: u64 = 64 * 1024;

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
        Self {
            pid: NonZeroU32::new(record.pid),
            since: time(record.since),
            paused: record.paused,
            want: record.want,
        }
    }
}

/// The moment of a label.
fn time(label: Tai64n) -> SystemTime {
    let after =
        Duration::new(label.seconds.saturating_sub(UNIX_EPOCH), label.nanoseconds.min(999_999_999));
    // A label too far in the future for the system's clock is shown as its beginning.
    SystemTime::UNIX_EPOCH.checked_add(after).unwrap_or(SystemTime::UNIX_EPOCH)
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

    /// Opens a file of the state directory, which others than supervise may be able to write: it is
    /// not to lead elsewhere, nor to keep us waiting.
    fn open(&self, name: &str, access: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        open(self.state(name), flags, Mode::empty())
    }

    /// What such a file says.
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::from(self.open(name, OFlags::RDONLY)?);
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens a FIFO of the state directory for writing; `None` if no supervise reads it.
    fn fifo(&self, name: &str) -> io::Result<Option<OwnedFd>> {
        match self.open(name, OFlags::WRONLY) {
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
        std::fs::metadata(&self.path)?;
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
        Ok(Some(self.record()?.into()))
    }

    fn record(&self) -> io::Result<Record> {
        let bytes = self.read("status")?;
        let (main, _) = parse_file(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "status: bad format"))?;
        Ok(main)
    }

    /// What its supervise says beyond the status; `None` if none runs here, if the service uses no
    /// more than `run`, and in the moment in which that is about to change.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`].
    pub fn detail(&self) -> io::Result<Option<Detail>> {
        Ok(self.snapshot()?.and_then(|snapshot| snapshot.detail))
    }

    /// Status and detail as they belong together; `None` if no supervise runs here.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`].
    pub fn snapshot(&self) -> io::Result<Option<Snapshot>> {
        self.is_supervised()?.then(|| self.look()).transpose()
    }

    /// The same where a supervise runs.
    fn look(&self) -> io::Result<Snapshot> {
        // In this order, the state cannot be older than the status.
        let record = self.record()?;
        let text = match self.read("state") {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let found = Found::judge(text.as_deref(), &record);
        Ok(Snapshot {
            status: record.into(),
            is_ready: record.is_up() && found.is_ready(),
            detail: found.detail().map(Into::into),
        })
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
    /// What was so before a command counts as well: to wait for what comes of it, want another
    /// `since` or `pid` than before, as for a restart by [`Command::Term`].
    ///
    /// # Errors
    /// As for [`ServiceDir::status`]; and when the kernel has no more watches.
    pub fn wait(
        &self,
        timeout: Duration,
        wanted: impl Fn(&Status) -> bool,
    ) -> io::Result<Option<Status>> {
        let found = self.wait_for(timeout, |snapshot| wanted(&snapshot.status))?;
        Ok(found.map(|snapshot| snapshot.status))
    }

    /// Waits until the service is ready, which means up for one that cannot tell; `None` if it was
    /// not so within `timeout`, or has failed and is not started any more, which
    /// [`ServiceDir::detail`] tells.
    ///
    /// # Errors
    /// As for [`ServiceDir::wait`].
    pub fn wait_ready(&self, timeout: Duration) -> io::Result<Option<Status>> {
        let failed = |snapshot: &Snapshot| {
            snapshot.detail.as_ref().is_some_and(|detail| detail.phase == Phase::Failed)
        };
        let over = |snapshot: &Snapshot| snapshot.is_ready || failed(snapshot);
        let found = self.wait_for(timeout, over)?;
        Ok(found.filter(|snapshot| snapshot.is_ready).map(|snapshot| snapshot.status))
    }

    fn wait_for(
        &self,
        timeout: Duration,
        wanted: impl Fn(&Snapshot) -> bool,
    ) -> io::Result<Option<Snapshot>> {
        // One that does not fit into the clock never comes.
        let deadline = Instant::now().checked_add(timeout);
        let mut events = self.events()?;
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match events.next_within(left)? {
                None => return Ok(None),
                Some(Some(snapshot)) if wanted(&snapshot) => return Ok(Some(snapshot)),
                Some(_) => {}
            }
        }
    }

    /// The changes of the service from now on, beginning with how it is.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] without such a directory; and when the kernel has no more
    /// watches.
    pub fn events(&self) -> io::Result<Events> {
        Events::of(self.clone())
    }
}
