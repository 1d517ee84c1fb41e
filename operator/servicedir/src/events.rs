//! The changes of a service.

use crate::{ServiceDir, Snapshot};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The changes of a service, from [`ServiceDir::events`].
///
/// [`Events::next_within`] sleeps in poll(2) until inotify reports a change: supervise replaces
/// `status` by a rename at every change, and `state` before it.
///
/// ```no_run
/// # let web = servicedir::ServiceDir::new("/service/web");
/// let mut events = web.events()?;
/// while let Some(change) = events.next_within(None)? {
///     match change {
///         Some(now) => println!("{:?}, ready: {}", now.status, now.is_ready),
///         None => println!("supervise not running"),
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Events {
    dir: ServiceDir,
    watch: OwnedFd,
    /// `ok`, open for writing. It has a reader while a supervise runs.
    ok: Option<OwnedFd>,
    /// The state that was returned last; `None` before the first.
    last: Option<Option<Snapshot>>,
}

impl Events {
    pub(crate) fn of(dir: ServiceDir) -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // The first supervise creates the state directory.
        let created = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(&watch, dir.path(), created)?;
        Ok(Self { dir, watch, ok: None, last: None })
    }

    /// Waits until the service has another state than the one returned last, at most for `timeout`.
    ///
    /// Returns the new state, or `Some(None)` if no supervise runs; `None` after the timeout. The
    /// first call returns at once. Changes in quick succession may be returned as one.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`], and the errors of inotify.
    pub fn next_within(
        &mut self,
        timeout: Option<Duration>,
    ) -> io::Result<Option<Option<Snapshot>>> {
        // A timeout beyond the range of Instant never ends.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            // The watch comes before the read, so that no change is missed.
            self.watch_state()?;
            let now = self.is_supervised()?.then(|| self.dir.read_snapshot()).transpose()?;
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

    /// Watches the state directory, if it exists. A second watch of the same directory has no effect.
    fn watch_state(&self) -> io::Result<()> {
        // supervise replaces status by a rename, or overwrites it where it cannot create files.
        let content =
            WatchFlags::MOVED_TO | WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::ONLYDIR;
        // A supervise opens ok after it has written the status. svok and svstat open it, too, which
        // wakes us without a change.
        let add =
            |path, flags| match inotify::add_watch(&self.watch, self.dir.state_file(path), flags) {
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
                Err(error) => Err(error),
            };
        add("", content)?;
        match add("ok", WatchFlags::OPEN) {
            // A group with rights on the state directory may not read ok. The directory reports the
            // same event, and more that `sleep` skips.
            Err(Errno::ACCESS) => Ok(add("", content | WatchFlags::OPEN)?),
            other => Ok(other?),
        }
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

    /// Sleeps until a change, or for `timeout`.
    fn sleep(&self, timeout: Option<Duration>) -> io::Result<()> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if self.sleep_once(left)? || left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
        }
    }

    /// Sleeps until an event, or for `timeout`. Returns whether something may have changed.
    fn sleep_once(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        // poll reports the loss of the last reader (POLLERR) without a request.
        let ok = self.ok.as_ref().map(|ok| PollFd::new(ok, PollFlags::empty()));
        let mut polled: Vec<_> =
            ok.into_iter().chain([PollFd::new(&self.watch, PollFlags::IN)]).collect();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut events = 0;
        let mut is_changed = false;
        let mut room = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(&self.watch, &mut room);
        while let Ok(event) = reader.next() {
            events += 1;
            // Our own look at status and state is an event of the directory as well.
            let is_other_open = event.events().contains(ReadFlags::OPEN)
                && event.file_name().is_some_and(|name| name != c"ok");
            is_changed |= !is_other_open;
        }
        // Without events ok has lost its reader, a signal came, or the time is over.
        Ok(is_changed || events == 0)
    }
}
