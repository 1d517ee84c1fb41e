//! The wait of the command after `--` until the services of the scan directory are ready.
//!
//! A service that reports readiness is ready when it says so, another one when it is up. A service
//! that is not wanted up counts as ready. A failed service does not hold the command: its supervisor
//! does not start it again, and `essential` is there for a service without which nothing goes on.

use crate::common::clock::instant;
use crate::common::diag;
use crate::common::sibling_state::{self, SiblingState};
use crate::common::state_dir::StateDir;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::state_dir::detail::StateFile;
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::state_dir::status::{StateCode, StatusRecord, Want};
use daemontools_core::text::words;
use daemontools_sys::watch::Watch;
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, Result, dir, fs, poll};

/// When a wait that goes on is reported.
const REPORT: Duration = Duration::from_secs(5);

/// How far a service is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Pending,
    Ready,
    Failed,
}

/// Waits until every service in the current directory is ready or has failed, and prints which have
/// failed. `command` is the program that is started then.
///
/// # Errors
/// Those of inotify and of the directory.
pub(super) fn wait(command: &[u8]) -> Result<()> {
    let watch = Watch::new()?;
    let back = fs::reach_dir(fs::HERE, c".")?;
    let mut pending = Vec::new();
    dir::names_here(|name| {
        if !name.to_bytes().starts_with(b".") && matches!(fs::dir_id(fs::HERE, name), Ok(Some(_))) {
            pending.push(CString::from(name));
        }
    })?;
    let mut report_due = Some(instant() + REPORT);
    loop {
        watch.drain();
        let mut failed: Vec<CString> = Vec::new();
        pending.retain(|name| {
            let progress = look(&watch, back.as_fd(), name);
            if progress == Progress::Failed {
                failed.push(name.clone());
            }
            progress == Progress::Pending
        });
        for name in failed {
            let name = name.to_bytes();
            diag::say(&[b"svscan: warning: not waiting for ", name, b", which has failed"]);
        }
        if pending.is_empty() {
            return Ok(());
        }
        let now = instant();
        if report_due.take_if(|due| *due <= now).is_some() {
            report(command, &pending);
        }
        let left = report_due.map(|due| due.duration_since(now));
        let _ = poll::readable([watch.fd()], left);
    }
}

/// Prints for which services the command waits.
fn report(command: &[u8], pending: &[CString]) {
    let names = words::list(pending.iter().map(|name| name.to_bytes().to_vec()));
    diag::say(&[b"svscan: info: ", command, b" starts when these are ready: ", &names]);
}

/// Watches a service, and looks at it. A service that cannot be read yet is pending.
fn look(watch: &Watch, back: BorrowedFd<'_>, name: &CStr) -> Progress {
    let look = || {
        fs::chdir(name)?;
        watch.add(c".")?;
        let state = StateDir::of_current_dir()?;
        // The watches come before the look, so that no change is missed. The directory of all state
        // directories is watched too: it may be made later.
        state.watch_above(watch);
        state.with_path(|path| {
            watch.add(path)?;
            read(&fs::reach_dir(fs::HERE, path)?)
        })
    };
    let progress = look().unwrap_or(Progress::Pending);
    // The directory is open, so it can be entered again.
    let _ = fs::fchdir(back);
    progress
}

/// Reads a state directory.
fn read(state: &OwnedFd) -> Result<Progress> {
    Ok(match sibling_state::read(state.as_fd(), progress)? {
        SiblingState::Unsupervised | SiblingState::Unknown => Progress::Pending,
        SiblingState::Published(progress) => progress,
    })
}

fn progress(main: &StatusRecord, found: &StateFile<'_>) -> Progress {
    let phase = found.detail().map(|detail| detail.phase);
    if phase == Some(Phase::Failed) || main.state == Some(StateCode::Failed) {
        return Progress::Failed;
    }
    let is_ready = match main.want {
        // It is down because of its file `down`, or a command.
        Want::Down => true,
        // The first connection starts it.
        Want::Up => main.is_up() && found.is_ready() || phase == Some(Phase::Listening),
        // It may have ended already.
        Want::Once => found.is_ready() || !main.is_up() && phase != Some(Phase::Starting),
    };
    if is_ready { Progress::Ready } else { Progress::Pending }
}
