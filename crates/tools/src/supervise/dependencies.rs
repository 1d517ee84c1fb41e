//! The dependencies of a service: the services in its file `needs`. They are siblings in the scan
//! directory, and their state directories tell whether they are ready.

use crate::common::clock::instant;
use crate::common::diag;
use crate::common::sibling_state::{self, SiblingState};
use crate::common::state_dir::StateDir;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::options::{Dependency, OnDeath, OptionFile, ServiceOptions, find_cycle};
use daemontools_core::state_dir::status::Want;
use daemontools_core::supervise::Machine;
use daemontools_core::supervise::stop_order::{Claim, ClaimStep};
use daemontools_core::time::Instant;
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::watch::Watch;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fs, guarded, lock};

/// The largest file that is read.
const FILE_LIMIT: usize = 64 * 1024;

/// Time between two looks at dependencies that cannot be watched.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The dependencies of one service.
pub(super) struct Dependencies {
    /// The directory of the dependencies.
    scan_dir: OwnedFd,
    /// The service, as messages name it.
    shown: Box<[u8]>,
    /// Readable when a dependency may have changed; `None` where inotify fails.
    watch: Option<Watch>,
    /// The next look, while not everything can be watched.
    look_again: Option<Instant>,
    /// For each line of `needs`: when the process was started on which the service relies.
    ready_since: Vec<Option<Tai64n>>,
    /// Shares of the locks that hold back the stops of the dependencies.
    claims: Vec<OwnedFd>,
    claim: Claim,
}

/// What a service does whose dependency is to stop.
pub(super) enum Follow {
    /// It has ended too late, and claims its dependencies no longer.
    GaveUp,
    /// It restarts with this dependency.
    Restart(Box<[u8]>),
}

/// The state of all dependencies.
pub(super) enum DependencyCheck {
    AllReady,
    /// This dependency is not ready.
    Missing(Box<[u8]>),
    /// This dependency has died since the start, and the service has to restart with it.
    Lost(Box<[u8]>),
}

/// The state of one dependency.
#[derive(PartialEq, Eq)]
enum DependencyState {
    /// Its process was started at this time.
    Ready(Tai64n),
    /// It is wanted down, and still runs.
    Stopping,
    NotReady,
    /// It has no supervisor that could tell.
    Unknown,
}

impl Dependencies {
    /// The dependencies of the service `dir`, a path relative to `start_dir`. The current directory
    /// is the service directory.
    pub(super) fn new(start_dir: BorrowedFd<'_>, dir: &[u8], needs: &[Dependency]) -> Result<Self> {
        let above = CString::new(split(dir).0).unwrap_or_default();
        let scan_dir = in_directory(start_dir, &above, || fs::reach_dir(fs::HERE, c"."))?;
        let ready_since = needs.iter().map(|_| None).collect();
        Ok(Self {
            scan_dir,
            shown: dir.into(),
            watch: None,
            look_again: None,
            ready_since,
            claims: Vec::new(),
            claim: Claim::default(),
        })
    }

    /// Watches the scan directory, and the service and state directories of the dependencies. Where a
    /// limit of the kernel forbids that, the next look comes after a while, with a warning the first
    /// time.
    fn watch_all(&mut self, needs: &[Dependency]) {
        let failed = self.try_watch_all(needs).err();
        let was_failing = self.look_again.is_some();
        self.look_again = failed.map(|_| instant() + LOOK_INTERVAL);
        if let Some(error) = failed.filter(|_| !was_failing) {
            let what = [
                &b"unable to watch the services that "[..],
                &self.shown,
                b" needs, looking at them every 5 seconds",
            ];
            diag::warning("supervise", &what, error);
        }
    }

    fn try_watch_all(&mut self, needs: &[Dependency]) -> Result<()> {
        let watch = match &self.watch {
            Some(watch) => watch,
            None => &*self.watch.insert(Watch::new()?),
        };
        let scan_dir = self.scan_dir.as_fd();
        // Repeated at each check: a directory may have been made or replaced.
        let mut watched = in_directory(scan_dir, c".", || watch.add(c"."));
        for need in needs {
            let Ok(name) = CString::new(&*need.name) else { continue };
            let added = in_directory(scan_dir, &name, || {
                watch.add(c".")?;
                let state = StateDir::of_current_dir()?;
                state.watch_above(watch);
                state.with_path(|path| watch.add(path))
            });
            // Other errors say that there is nothing to watch yet.
            if matches!(added, Err(Errno::NOSPC | Errno::NOMEM)) {
                watched = watched.and(added);
            }
        }
        watched.map(drop)
    }

    /// When [`Dependencies::check`] is due without a change.
    pub(super) const fn look_again(&self) -> Option<Instant> {
        self.look_again
    }

    /// Readable when a dependency may have changed.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::fd)
    }

    /// Checks all dependencies, and notes which process of each is ready.
    pub(super) fn check(&mut self, needs: &[Dependency]) -> DependencyCheck {
        if let Some(watch) = &self.watch {
            watch.drain();
        }
        self.watch_all(needs);
        let scan_dir = self.scan_dir.as_fd();
        let mut missing = None;
        let mut stopping = false;
        for (need, ready_since) in needs.iter().zip(&mut self.ready_since) {
            let name = CString::new(&*need.name).ok();
            let now = name.map_or(DependencyState::NotReady, |name| readiness_of(scan_dir, &name));
            match (now, *ready_since) {
                (DependencyState::Ready(since), Some(before))
                    if since != before && need.on_death == OnDeath::Restart =>
                {
                    return DependencyCheck::Lost(need.name.clone());
                }
                (DependencyState::NotReady, Some(_)) if need.on_death == OnDeath::Restart => {
                    return DependencyCheck::Lost(need.name.clone());
                }
                (DependencyState::Ready(since), _) => *ready_since = Some(since),
                (DependencyState::Stopping, Some(_)) => stopping = true,
                (
                    DependencyState::NotReady
                    | DependencyState::Stopping
                    | DependencyState::Unknown,
                    None,
                ) => {
                    missing = missing.or_else(|| Some(need.name.clone()));
                }
                // An unsupervised dependency may still run: its next supervisor tells. Another one
                // may die without a restart of this service.
                (DependencyState::NotReady | DependencyState::Unknown, Some(_)) => {}
            }
        }
        self.claim.note_needed_down(stopping, instant());
        missing.map_or(DependencyCheck::AllReady, DependencyCheck::Missing)
    }

    /// Claims all dependencies: none of them gets its stop signal before this service has ended. One
    /// whose state directory we may not write ends when it likes.
    pub(super) fn claim_all(&mut self, needs: &[Dependency]) {
        self.release();
        let scan_dir = self.scan_dir.as_fd();
        for need in needs {
            let claim = || {
                let state =
                    StateDir::of_current_dir()?.with_path(|path| fs::reach_dir(fs::HERE, path))?;
                // Opened for reading: the other supervisor waits for the close of such a file.
                let open = || guarded::open(state.as_fd(), c"needed", fs::Opening::READ);
                let file = match open() {
                    Err(Errno::NOENT) => {
                        guarded::open(state.as_fd(), c"needed", fs::Opening::APPEND)?;
                        open()?
                    }
                    other => other?,
                };
                lock::try_share(file.as_fd())?;
                Ok(file)
            };
            let name = CString::new(&*need.name).unwrap_or_default();
            self.claims.extend(in_directory(scan_dir, &name, claim).ok());
        }
    }

    /// Gives all claims up.
    fn release(&mut self) {
        for file in self.claims.drain(..) {
            // Before the close: that is announced before the kernel frees the lock.
            let _ = lock::unlock(file.as_fd());
        }
    }

    /// When [`Dependencies::step_claims`] is due.
    pub(super) fn claim_deadline(&self, machine: &Machine) -> Option<Instant> {
        self.claim.deadline(machine).filter(|_| !self.claims.is_empty())
    }

    /// Gives the claims up when it is time.
    pub(super) fn step_claims(
        &mut self,
        machine: &Machine,
        needs: &[Dependency],
    ) -> Option<Follow> {
        if self.claims.is_empty() {
            return None;
        }
        match self.claim.step(machine, instant()) {
            ClaimStep::Keep => None,
            ClaimStep::Release => {
                self.release();
                None
            }
            ClaimStep::GiveUp => {
                self.release();
                Some(Follow::GaveUp)
            }
            ClaimStep::FollowOrRelease => {
                let scan_dir = self.scan_dir.as_fd();
                let stops = |need: &&Dependency| {
                    let name = CString::new(&*need.name).unwrap_or_default();
                    need.on_death == OnDeath::Restart
                        && readiness_of(scan_dir, &name) == DependencyState::Stopping
                };
                let lost = needs.iter().find(stops).map(|need| need.name.clone());
                if lost.is_none() {
                    self.release();
                }
                // The claim goes on until this service has ended.
                self.claim = Claim::default();
                lost.map(Follow::Restart)
            }
        }
    }

    /// Whether the scan directory has no entry of this name.
    pub(super) fn is_absent(&self, name: &[u8]) -> bool {
        let name = CString::new(name).unwrap_or_default();
        fs::exists(self.scan_dir.as_fd(), &name) == Ok(false)
    }

    /// The chain of names by which the service `dir` needs itself, if it does.
    pub(super) fn cycle(&self, dir: &[u8]) -> Option<Vec<Box<[u8]>>> {
        find_cycle(split(dir).1, |name| {
            let needs = || {
                let text = fs::read_whole(fs::HERE, c"needs", FILE_LIMIT)?;
                let mut options = ServiceOptions::default();
                options.read(OptionFile::Needs, &text).map_err(|_| Errno::INVAL)?;
                Ok(options.needs.into_iter().map(|need| need.name).collect())
            };
            // A file that cannot be read ends the chain.
            let name = CString::new(name).unwrap_or_default();
            in_directory(self.scan_dir.as_fd(), &name, needs).unwrap_or_default()
        })
    }

    /// Before a start: each dependency has to be ready again, in whichever process.
    pub(super) fn forget(&mut self) {
        self.ready_since.iter_mut().for_each(|since| *since = None);
    }
}

/// Splits the path of a service into the path of its scan directory and its name there.
fn split(dir: &[u8]) -> (&[u8], &[u8]) {
    let end = dir.iter().rposition(|&c| c != b'/').map_or(dir.len(), |last| last + 1);
    let path = dir.get(..end).unwrap_or(dir);
    match path.iter().rposition(|&c| c == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (b"./", path),
    }
}

/// Reads the state of a dependency.
fn readiness_of(scan_dir: BorrowedFd<'_>, name: &CStr) -> DependencyState {
    let read =
        || read(&StateDir::of_current_dir()?.with_path(|path| fs::reach_dir(fs::HERE, path))?);
    in_directory(scan_dir, name, read).unwrap_or(DependencyState::NotReady)
}

/// Runs `with` in a directory whose name is relative to another, and returns to the current one.
fn in_directory<T>(
    base: BorrowedFd<'_>,
    name: &CStr,
    with: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let back = fs::reach_dir(fs::HERE, c".")?;
    let done = fs::fchdir(base).and_then(|()| fs::chdir(name)).and_then(|()| with());
    fs::fchdir(back.as_fd())?;
    done
}

/// Reads a state directory.
fn read(state: &OwnedFd) -> Result<DependencyState> {
    let state = sibling_state::read(state.as_fd(), |main, file| {
        if main.is_up() && main.want == Want::Down {
            return DependencyState::Stopping;
        }
        let ready = main.is_up() && file.is_ready();
        if ready { DependencyState::Ready(main.since) } else { DependencyState::NotReady }
    })?;
    Ok(match state {
        SiblingState::Unsupervised => DependencyState::Unknown,
        SiblingState::Unknown => DependencyState::NotReady,
        SiblingState::Published(state) => state,
    })
}
