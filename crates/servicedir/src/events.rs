//! Being told of changes.

use crate::{Detail, ServiceDir, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, read};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its status.
    pub status: Status,
    /// Whether it is ready, which means up for a service that cannot tell.
    pub is_ready: bool,
    /// What its supervise says beyond that, if anything.
    pub detail: Option<Detail>,
}

/// The changes of one service. Made by [`ServiceDir::events`].
///
/// ```no_run
/// # let web = servicedir::ServiceDir::new("/service/web");
/// let mut events = web.events()?;
/// while let Some(change) = events.next_within(None)? {
///     match change {
///         Some(now) => println!("{:?}, ready: {}", now.status, now.is_ready),
///         None => println!("not supervised"),
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Events {
    dir: ServiceDir,
    watch: OwnedFd,
    /// `ok`, open for writing: whether it has a reader tells whether a supervise runs.
    ok: Option<OwnedFd>,
    /// What was told last; nothing yet.
    last: Option<Option<Snapshot>>,
}

impl Events {
    pub(crate) fn of(dir: ServiceDir) -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // A supervise may still have to make its directory.
        let made = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(&watch, dir.path(), made)?;
        Ok(Self { dir, watch, ok: None, last: None })
    }

    /// Sleeps until the service is in another way than was told last, for at most `timeout`, and
    /// tells how it is, or `Some(None)` if no supervise runs; `None` when the time is over. The
    /// first time, it tells at once how the service is. Several changes may be told as one.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`]; and when the kernel has no more watches.
    pub fn next_within(
        &mut self,
        timeout: Option<Duration>,
    ) -> io::Result<Option<Option<Snapshot>>> {
        // One that does not fit into the clock never comes.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            // Before the look, so that no change falls between the two.
            self.watch_state()?;
            let now = self.is_supervised()?.then(|| self.dir.look()).transpose()?;
            if self.last.as_ref() != Some(&now) {
                self.last = Some(now.clone());
                return Ok(Some(now));
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            self.sleep(left)?;
        }
    }

    /// Watches the state directory as soon as there is one. To watch it again changes nothing.
    fn watch_state(&self) -> io::Result<()> {
        // status is replaced by a rename or, where that is not possible, overwritten.
        let content =
            WatchFlags::MOVED_TO | WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::ONLYDIR;
        // A supervise opens ok after it has written the status. So do those who ask for it, which
        // does no harm.
        for (path, flags) in [("", content), ("ok", WatchFlags::OPEN)] {
            match inotify::add_watch(&self.watch, self.dir.state(path), flags) {
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn is_supervised(&mut self) -> io::Result<bool> {
        if let Some(ok) = &self.ok {
            let mut polled = [PollFd::new(ok, PollFlags::empty())];
            if poll(&mut polled, Some(&Timespec::default()))? == 0 {
                return Ok(true);
            }
        }
        self.ok = self.dir.fifo("ok")?;
        Ok(self.ok.is_some())
    }

    /// Sleeps until something has happened, or for `timeout`.
    fn sleep(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        // That it has no reader any more is told without being asked for.
        let ok = self.ok.as_ref().map(|ok| PollFd::new(ok, PollFlags::empty()));
        let mut polled: Vec<_> =
            ok.into_iter().chain([PollFd::new(&self.watch, PollFlags::IN)]).collect();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut happened = [MaybeUninit::<u8>::uninit(); 4096];
        while matches!(read(&self.watch, &mut happened), Ok(([_, ..], _))) {}
        Ok(())
    }
}
