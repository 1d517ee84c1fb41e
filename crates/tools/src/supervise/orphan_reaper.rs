//! The reaper of a helper script: a process between supervise and the script, for its orphans.
//!
//! A supervise that follows the processes of its service is the reaper of orphans. It could not tell
//! what `check` leaves behind, perhaps as root, from a process of the service. So these helper scripts
//! have a reaper of their own: it is the parent of the script, and stays until all orphans of the
//! script have ended. What is below it does not belong to the service.

use crate::common::diag::{self, TEMPORARY};
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::{Ended, Pid};
use daemontools_sys::process::{self, ExitStatus, Forked};
use daemontools_sys::signal::{KILL, Signals, TERM};
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, Result, fd, poll};

/// The length of a report: the id of the reaper, and the exit code of its script.
const REPORT: usize = 8;

/// The pipe on which a reaper reports the end of its script, if the script has left orphans.
pub(super) struct Reports {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Reports {
    /// Makes the pipe.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors.
    pub(super) fn new() -> Result<Self> {
        fd::pipe().map(|(reader, writer)| Self { reader, writer })
    }

    /// The end for the reapers.
    pub(super) fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// The descriptor to wait for.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Takes the reports that have come: the reaper, and how its script ended.
    pub(super) fn take(&self) -> Vec<(Pid, Ended)> {
        let mut reports = Vec::new();
        let mut room = [0; 32 * REPORT];
        while poll::readable([self.fd()], Some(Duration::ZERO)) == [true] {
            let n = fd::read(self.fd(), &mut room).unwrap_or(0);
            if n == 0 {
                break;
            }
            reports.extend(room.get(..n).unwrap_or_default().chunks(REPORT).filter_map(parse));
        }
        reports
    }
}

fn parse(report: &[u8]) -> Option<(Pid, Ended)> {
    let (pid, code) = report.split_first_chunk()?;
    Some((Pid::new(i32::from_ne_bytes(*pid))?, Ended::Exited(*code.first()?)))
}

/// Whether helper scripts can have reapers: a reaper must close the files of the supervisor.
pub(super) fn is_possible() -> bool {
    fd::can_close_others()
}

/// In a forked child: starts the script in a child of its own, and becomes its reaper. Returns in the
/// child, which is to become the script. `shown` is the script, for a message.
pub(super) fn split(signals: &Signals, report: BorrowedFd<'_>, shown: &[&[u8]]) {
    process::become_subreaper();
    match process::fork() {
        Ok(Forked::Child) => {}
        Ok(Forked::Parent(script)) => process::exit(reap_orphans(signals, report, script)),
        Err(error) => {
            let what = [&[&b"unable to fork for "[..]], shown].concat();
            process::exit(diag::fatal("supervise", &what, error));
        }
    }
}

/// Waits for the end of the script and of its orphans. TERM kills the script. Returns the exit code of
/// the script, which is reported before if it has left orphans.
fn reap_orphans(signals: &Signals, report: BorrowedFd<'_>, script: Pid) -> i32 {
    // This process can outlive the supervisor, and must hold no lock and no pipe.
    if fd::close_others([signals.fd(), report]).is_err() {
        return TEMPORARY;
    }
    let mut code = None;
    let mut is_reported = false;
    loop {
        let _ = poll::readable([signals.fd()], None);
        let mut is_told_to_end = false;
        signals.pending().for_each(|signal| is_told_to_end |= signal == TERM);
        // A script that was not reaped still has its number.
        if is_told_to_end && code.is_none() {
            let _ = process::kill_group(script, KILL);
        }
        while let Some((pid, how)) = process::reap() {
            if pid == script {
                code = Some(match how {
                    ExitStatus::Exited(code) => code,
                    ExitStatus::Killed(_) => 1,
                });
            }
        }
        let Some(code) = code else { continue };
        if !process::has_children() {
            return code.into();
        }
        if !is_reported {
            is_reported = true;
            let [a, b, c, d] = process::id().get().to_ne_bytes();
            // A supervisor that has gone has no use for it.
            let _ = fd::write_all(report, &[a, b, c, d, code, 0, 0, 0]);
        }
    }
}
