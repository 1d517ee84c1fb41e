//! The process that only a status names. The original and other programs of the family keep no process
//! record, so after a change from them to ours this is all that is known of a running service.

use crate::common::clock::{label, since_boot};
use crate::survive::process_record;
use crate::survive::standing::{is_directly_below, is_here};
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::state_dir::process_record::ProcessIdentity;
use daemontools_core::state_dir::status::{self, StatusRecord};
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, guarded, process};

/// How long after its label the status of a new process is written. The original writes it again after
/// a second.
const WRITE_TIME: Duration = Duration::from_secs(3);

/// Which record of a status file: the service's, or that of encore's logger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Service,
    Logger,
}

/// What the status says about a running process.
pub(crate) enum Named {
    /// It names no process that runs.
    None,
    /// It names a process that runs, but not for certain that of this service. The reason in words.
    Doubtful(Pid, &'static str),
    /// It names this process of the service, which runs.
    Process(ProcessIdentity, Handle),
}

/// Looks for the process that the status in a state directory names, for the service in the current
/// directory.
///
/// Four things have to agree: the process with this id runs; it started when the status says; no other
/// user can have written the status; and its current directory is the service directory or one in it. A
/// program in any other directory counts too if the file was last changed right after the start: then it
/// was written here, and did not come with a copy of another service directory.
///
/// # Errors
/// An error that can pass, as of too many descriptors: the status may name a process that runs.
pub(crate) fn find(state: BorrowedFd<'_>, part: Part) -> Result<Named> {
    let opened = guarded::open(state, c"status", fs::Opening::READ);
    let Some(file) = known(opened)? else { return Ok(Named::None) };
    let Some(StatusRecord { pid, since, .. }) = read(&file, part)? else {
        return Ok(Named::None);
    };
    let pid = i32::try_from(pid).ok().and_then(Pid::new).filter(|pid| *pid != process::id());
    let Some(pid) = pid else { return Ok(Named::None) };
    let Some(handle) = known(Handle::open(pid))?.flatten() else { return Ok(Named::None) };
    let process = known(process_record::identify(pid))?;
    let is_it = |it: &ProcessIdentity| it.was_started_at(since, label(), since_boot());
    let Some(process) = process.filter(is_it) else {
        return Ok(Named::None);
    };
    if known(guarded::is_trusted(file.as_fd(), state))? != Some(true) {
        return Ok(Named::Doubtful(pid, "others can have made the status"));
    }
    if !is_here(pid) && !is_directly_below(pid) && !was_written_at(&file, since) {
        return Ok(Named::Doubtful(pid, "it runs in another directory"));
    }
    // Last: if it lives, all answers about this id were about this process.
    Ok(if handle.has_ended() { Named::None } else { Named::Process(process, handle) })
}

/// A result, or an error that can pass. Another error says that there is nothing to be known.
fn known<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::IO)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn read(file: &OwnedFd, part: Part) -> Result<Option<StatusRecord>> {
    let mut room = [0; 2 * status::ENCORE_LEN];
    let n = known(fd::read(file.as_fd(), &mut room))?.unwrap_or(0);
    let Some((service, logger)) = room.get(..n).and_then(status::parse_file) else {
        return Ok(None);
    };
    Ok(match part {
        Part::Service => Some(service),
        Part::Logger => logger,
    })
}

/// Whether a file was last changed at the time of a label, or a little later.
fn was_written_at(file: &OwnedFd, label: Tai64n) -> bool {
    const SECOND: i128 = 1_000_000_000;
    let Ok(changed) = fs::last_change(file.as_fd(), c"") else { return false };
    let label = i128::from(label.to_unix()) * SECOND + i128::from(label.nanoseconds);
    // The kernel dates files with the time of its last tick.
    (label - SECOND / 50..=label + WRITE_TIME.as_nanos().cast_signed()).contains(&changed)
}
