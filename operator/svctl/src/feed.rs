//! The changes of all services and of the logs on the screen, through one inotify descriptor.

use crate::selection::Target;
use crate::view::{Found, View};
use crate::watches::{watch_control, watch_names, watch_ok, watch_service, watch_state};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use servicedir::EntryKind;
use std::collections::BTreeSet;
use std::ffi::{CStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// This name of the scan directory has appeared or gone, or is another one now.
    Name(OsString),
    /// The service at this place may have changed.
    Service(usize),
    /// The log of this number has more.
    Log(usize),
    /// The kernel has dropped events: everything may have changed.
    Lost,
}

/// The watches of a service.
#[derive(Clone, Copy, Debug, Default)]
struct ServiceWatches {
    watches: [Option<i32>; 3],
    /// Whether they are as they have to be.
    is_complete: bool,
    /// Whether the start of a supervise is an event.
    is_for_start: bool,
}

/// The inotify descriptor and its watches.
#[derive(Debug)]
pub(crate) struct Feed {
    inotify: OwnedFd,
    names: i32,
    services: Vec<ServiceWatches>,
    /// The watches, and the places of their services. One directory can have two names.
    by_watch: BTreeSet<(i32, usize)>,
    logs: Vec<(i32, usize)>,
    /// Whether the kernel refused a watch (fs.inotify.max_user_watches).
    is_full: bool,
}

impl Feed {
    pub(crate) fn new(scan: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let names = watch_names(inotify.as_fd(), scan)?;
        Ok(Self {
            inotify,
            names,
            services: Vec::new(),
            by_watch: BTreeSet::new(),
            logs: Vec::new(),
            is_full: false,
        })
    }

    /// Watches the names of the scan directory, which may be another directory now.
    pub(crate) fn watch_names(&mut self, scan: &Path) -> io::Result<()> {
        self.names = watch_names(self.inotify.as_fd(), scan)?;
        Ok(())
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Gives the services new places: for each place, the one that it had.
    pub(crate) fn rearrange(&mut self, places: &[Option<usize>]) {
        let before = std::mem::take(&mut self.services);
        let kept = |at: &Option<usize>| at.and_then(|at| before.get(at).copied());
        self.services = places.iter().map(|at| kept(at).unwrap_or_default()).collect();
        let old = std::mem::take(&mut self.by_watch);
        for (at, service) in self.services.iter().enumerate() {
            self.by_watch.extend(service.watches.iter().flatten().map(|watch| (*watch, at)));
        }
        for (watch, _) in old {
            self.drop_unused(watch);
        }
    }

    /// Removes a watch that no service has.
    fn drop_unused(&self, watch: i32) {
        if self.by_watch.range((watch, 0)..=(watch, usize::MAX)).next().is_none() {
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
    }

    /// Forgets the watches of a service, which may be another directory now.
    pub(crate) fn forget(&mut self, at: usize) {
        let Some(service) = self.services.get_mut(at) else { return };
        let watches = std::mem::take(service).watches;
        for watch in watches.into_iter().flatten() {
            self.by_watch.remove(&(watch, at));
            self.drop_unused(watch);
        }
    }

    /// Watches and reads a service. `before` is what was found the last time.
    pub(crate) fn read_service(
        &mut self,
        at: usize,
        target: &Target,
        before: Option<&Found>,
    ) -> Found {
        if target.kind != EntryKind::Service {
            return View::read(target).found;
        }
        let has_none = |it: &Found| matches!(it, Found::Starting | Found::Unsupervised(_));
        let is_down = before.is_some_and(has_none);
        self.watch(at, target, is_down);
        let found = View::read(target).found;
        let is_now_down = has_none(&found);
        if is_now_down == is_down {
            return found;
        }
        self.watch(at, target, is_now_down);
        View::read(target).found
    }

    /// Watches a service. Only with `is_for_start` the start of a supervise is an event: while one
    /// runs, our own look at `ok` would be the same event.
    fn watch(&mut self, at: usize, target: &Target, is_for_start: bool) {
        let Some(service) = self.services.get(at) else { return };
        if service.is_complete && service.is_for_start == is_for_start {
            return;
        }
        let inotify = self.inotify.as_fd();
        let mut state = watch_state(inotify, target, WatchFlags::empty());
        let (mut other, mut control) = (Err(Errno::NOENT), Err(Errno::NOENT));
        if matches!(state, Err(Errno::NOENT | Errno::NOTDIR)) {
            other = watch_service(inotify, target);
            // The state directory may have come before that watch.
            state = watch_state(inotify, target, WatchFlags::empty());
        }
        if state.is_ok() {
            let start = if is_for_start { WatchFlags::OPEN } else { WatchFlags::empty() };
            other = watch_ok(inotify, target, WatchFlags::CLOSE_NOWRITE | start);
            if is_for_start {
                control = watch_control(inotify, target);
            }
        }
        let mut watches = [None; 3];
        let results = [state, other, control];
        for (watch, result) in watches.iter_mut().zip(results) {
            match result {
                Ok(found) => *watch = Some(found),
                Err(error) => self.is_full |= error == Errno::NOSPC,
            }
        }
        self.forget_other(at, watches);
        self.by_watch.extend(watches.iter().flatten().map(|watch| (*watch, at)));
        if let Some(service) = self.services.get_mut(at) {
            *service = ServiceWatches { watches, is_complete: true, is_for_start };
        }
    }

    /// Removes the watches of a service that it does not need any more.
    fn forget_other(&mut self, at: usize, watches: [Option<i32>; 3]) {
        let before = self.services.get(at).map_or([None; 3], |service| service.watches);
        for watch in before.into_iter().flatten().filter(|watch| !watches.contains(&Some(*watch))) {
            self.by_watch.remove(&(watch, at));
            self.drop_unused(watch);
        }
    }

    /// Whether all changes of the service are events.
    pub(crate) fn is_watched(&self, at: usize) -> bool {
        // The second watch is set last: where it is, the first one is as well, or not needed.
        self.services.get(at).is_some_and(|service| service.watches[1].is_some())
    }

    /// Watches these log directories, each with its number, in place of those before.
    pub(crate) fn watch_logs(&mut self, dirs: &[(usize, PathBuf)]) {
        for (watch, _) in std::mem::take(&mut self.logs) {
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
        let content =
            WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        for (number, dir) in dirs {
            match inotify::add_watch(&self.inotify, dir, content) {
                Ok(watch) => self.logs.push((watch, *number)),
                Err(error) => self.is_full |= error == Errno::NOSPC,
            }
        }
    }

    /// Everything that has happened. The services in it need new watches where files have come or gone.
    pub(crate) fn read(&mut self) -> BTreeSet<Event> {
        let mut found = BTreeSet::new();
        let mut incomplete = Vec::new();
        let mut room = [MaybeUninit::<u8>::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.inotify, &mut room);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            let (watch, flags) = (event.wd(), event.events());
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                found.insert(Event::Lost);
                continue;
            }
            if watch == self.names {
                found.insert(match event.file_name() {
                    Some(name) => Event::Name(OsString::from_vec(name.to_bytes().to_vec())),
                    // The directory itself has gone.
                    None => Event::Lost,
                });
                continue;
            }
            if let Some((_, number)) = self.logs.iter().find(|(known, _)| *known == watch) {
                found.insert(Event::Log(*number));
                continue;
            }
            let name = event.file_name();
            let is = |wanted: &[&CStr]| name.is_some_and(|name| wanted.contains(&name));
            // Our own look at status and state is an event of a directory as well.
            let looked = ReadFlags::OPEN | ReadFlags::CLOSE_NOWRITE;
            if flags.intersects(looked) && name.is_some() && !is(&[c"ok"]) {
                continue;
            }
            for (_, at) in self.by_watch.range((watch, 0)..=(watch, usize::MAX)) {
                let state = self.services.get(*at).and_then(|service| service.watches[0]);
                // The files that supervise makes on the way to a new status are no change yet. The process
                // record, which has the last end, may follow the status.
                let is_of_state = state == Some(watch);
                if is_of_state && name.is_some() && !is(&[c"status", c"state", c"ok", c"process"]) {
                    continue;
                }
                found.insert(Event::Service(*at));
                if flags.contains(ReadFlags::IGNORED) || !is_of_state || is(&[c"ok"]) {
                    incomplete.push(*at);
                }
            }
        }
        for at in incomplete {
            if let Some(service) = self.services.get_mut(at) {
                service.is_complete = false;
            }
        }
        found
    }
}
