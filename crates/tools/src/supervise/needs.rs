//! The services that this one needs: siblings of it in the scan directory, each with a supervise of
//! its own, in whose records we look.

use crate::state_dir::StateDir;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::detail::Found;
use daemontools_core::options::{Death, File, Need, Options, find_cycle};
use daemontools_core::status::parse_file;
use daemontools_core::tai::Tai64n;
use daemontools_sys::watch::Watch;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fs, guarded};

/// More than any of the files that we look into.
const LARGEST: usize = 64 * 1024;

/// What a service needs, while it waits for it or runs with it.
pub(super) struct Needs {
    /// The directory in which they are.
    home: OwnedFd,
    /// Tells that something may have changed; none where changes cannot be watched.
    watch: Option<Watch>,
    /// Which life of each we rely on: the moment its process was started. In the order of the
    /// options.
    lives: Vec<Option<Tai64n>>,
}

/// What is to be said of the services that are needed.
pub(super) enum Verdict {
    /// They are there.
    Met,
    /// This one is not there yet.
    Lacking(Box<[u8]>),
    /// One without which the service is not to go on has died since.
    Bereft(Box<[u8]>),
}

/// What a service's record says to others.
#[derive(PartialEq, Eq)]
enum Life {
    /// It is there for others, since then.
    Ready(Tai64n),
    NotYet,
    /// Nobody supervises it, so that nobody tells whether it lives.
    Unknown,
}

impl Needs {
    /// Those of the service that is `dir`, seen from `start`; the current directory is the
    /// service's.
    pub(super) fn new(start: BorrowedFd<'_>, dir: &[u8], needs: &[Need]) -> Result<Self> {
        let above = CString::new(split(dir).0).unwrap_or_default();
        let home = in_directory(start, &above, || fs::reach_dir(fs::HERE, c"."))?;
        let lives = needs.iter().map(|_| None).collect();
        Ok(Self { home, watch: Watch::new().ok(), lives })
    }

    /// Watches the state directories of all, and what has to come before they are there.
    fn watch_all(&self, needs: &[Need]) {
        let Some(watch) = &self.watch else { return };
        let home = self.home.as_fd();
        // Anew each time: a directory may have been made or replaced since.
        let _ = in_directory(home, c".", || watch.add(c"."));
        for need in needs {
            let Ok(name) = CString::new(&*need.name) else { continue };
            let _ = in_directory(home, &name, || {
                watch.add(c".")?;
                StateDir::of_current_dir()?.with_path(|path| watch.add(path))
            });
        }
    }

    /// To wait for, until it is readable.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::fd)
    }

    /// Looks at all of them. Whoever was met before counts as the same life as long as it lives.
    pub(super) fn judge(&mut self, needs: &[Need]) -> Verdict {
        if let Some(watch) = &self.watch {
            watch.drain();
        }
        self.watch_all(needs);
        let home = self.home.as_fd();
        let mut lacking = None;
        for (need, life) in needs.iter().zip(&mut self.lives) {
            let now = CString::new(&*need.name).ok().map_or(Life::NotYet, |name| look(home, &name));
            match (now, *life) {
                (Life::Ready(since), Some(before))
                    if since != before && need.death == Death::Restart =>
                {
                    return Verdict::Bereft(need.name.clone());
                }
                (Life::NotYet, Some(_)) if need.death == Death::Restart => {
                    return Verdict::Bereft(need.name.clone());
                }
                (Life::Ready(since), _) => *life = Some(since),
                (Life::NotYet | Life::Unknown, None) => {
                    lacking = lacking.or_else(|| Some(need.name.clone()));
                }
                // The next supervise will tell.
                (Life::NotYet | Life::Unknown, Some(_)) => {}
            }
        }
        lacking.map_or(Verdict::Met, Verdict::Lacking)
    }

    /// The chain of names by which the service that is `dir` needs itself, if it does.
    pub(super) fn cycle(&self, dir: &[u8]) -> Option<Vec<Box<[u8]>>> {
        find_cycle(split(dir).1, |name| {
            let needs = || {
                let text = fs::read_whole(fs::HERE, c"needs", LARGEST)?;
                let mut options = Options::default();
                options.read(File::Needs, &text).map_err(|_| Errno::INVAL)?;
                Ok(options.needs.into_iter().map(|need| need.name).collect())
            };
            // What cannot be read leads nowhere.
            let name = CString::new(name).unwrap_or_default();
            in_directory(self.home.as_fd(), &name, needs).unwrap_or_default()
        })
    }

    /// From now on every one of them has to be there again.
    pub(super) fn forget(&mut self) {
        self.lives.iter_mut().for_each(|life| *life = None);
    }
}

/// The directory in which a service is, by its path, and the name that it has there.
fn split(dir: &[u8]) -> (&[u8], &[u8]) {
    let end = dir.iter().rposition(|&c| c != b'/').map_or(dir.len(), |last| last + 1);
    let path = dir.get(..end).unwrap_or(dir);
    match path.iter().rposition(|&c| c == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (b"./", path),
    }
}

/// How a service is, by its records.
fn look(home: BorrowedFd<'_>, name: &CStr) -> Life {
    let read =
        || read(StateDir::of_current_dir()?.with_path(|path| fs::reach_dir(fs::HERE, path))?);
    in_directory(home, name, read).unwrap_or(Life::NotYet)
}

/// Does something in a directory that is named from another, and comes back.
fn in_directory<T>(
    home: BorrowedFd<'_>,
    name: &CStr,
    with: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let back = fs::reach_dir(fs::HERE, c".")?;
    let done = fs::fchdir(home).and_then(|()| fs::chdir(name)).and_then(|()| with());
    fs::fchdir(back.as_fd())?;
    done
}

/// What a state directory says.
fn read(state: OwnedFd) -> Result<Life> {
    let state = state.as_fd();
    // As long as a supervise is there, this has a reader.
    if !guarded::open(state, c"ok", fs::Opening::WRITE).is_ok_and(|ok| fs::is_fifo(ok.as_fd())) {
        return Ok(Life::Unknown);
    }
    let status = guarded::read_whole(state, c"status", LARGEST)?;
    let Some((main, _)) = parse_file(&status) else {
        return Ok(Life::NotYet);
    };
    let text = guarded::read_whole(state, c"state", LARGEST).ok();
    let ready = main.is_up() && Found::judge(text.as_deref(), &main).is_ready();
    Ok(if ready { Life::Ready(main.since) } else { Life::NotYet })
}
