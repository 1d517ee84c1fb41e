//! The end of an essential service: svscan stops everything, and exits with the service's code.

use super::scan_dir::{ServiceDir, suffix};
use super::scanner::Scanner;
use crate::common::diag;
use daemontools_core::state_dir::essential_end::{self, exit_code};
use daemontools_core::supervise::ESSENTIAL_ENDED;
use daemontools_core::svscan::roster::RosterEvent;
use daemontools_core::text::decimal::Decimal;
use daemontools_core::text::words;
use daemontools_core::{Ended, Pid};
use daemontools_sys::{AsFd as _, BorrowedFd, fd, fs, guarded};

impl Scanner {
    /// Passes the end of a process to the roster. If it is the supervise of an essential service that
    /// has ended for good, everything stops.
    pub(super) fn take_end(&mut self, pid: Pid, how: Ended) {
        let Some(how) = self.essential_end(pid, how).filter(|_| !self.roster.is_stopping()) else {
            return self.step(RosterEvent::Ended(pid, how));
        };
        if let Some((no, role)) = self.roster.service_of(pid)
            && let Some(slot) = self.roster.slot(no)
        {
            let name = [slot.name(), suffix(role)].concat();
            self.end_with(&[b"essential service ", &name], how);
        }
        self.prepare_stop();
        self.step(RosterEvent::EndedForGood(pid));
    }

    /// Another process ends everything with a code: `svc -H`.
    pub(super) fn note_halt(&mut self, value: i32) {
        let Ok(code) = u8::try_from(value) else { return };
        if self.exit_code.is_none() {
            self.exit_code = Some(code);
            let code = Decimal::new(code.into());
            diag::say(&[b"svscan: info: told to exit with code ", code.as_bytes(), b": stopping"]);
        }
    }

    /// Notes how the main program of all this has ended, and prints it. The first end counts.
    pub(super) fn end_with(&mut self, what: &[&[u8]], how: Ended) {
        self.exit_code.get_or_insert(exit_code(how));
        let how = words::end(how);
        diag::say(&[b"svscan: info: ", &what.concat(), b" ", &how, b": stopping"]);
    }

    /// How the essential service of this supervise has ended for good, if it has; `how` the supervise
    /// ended.
    ///
    /// Of a supervise that was adopted, an older kernel does not tell how it ended.
    fn essential_end(&self, pid: Pid, how: Ended) -> Option<Ended> {
        let told = how == Ended::Exited(ESSENTIAL_ENDED);
        if !told && how != Ended::Unknown {
            return None;
        }
        let (no, role) = self.roster.service_of(pid)?;
        let dir = ServiceDir::of(self.roster.slot(no)?, role)?;
        let written = self.dir.in_state_dir(&dir, |state| take_written(state, pid));
        written.or_else(|| told.then_some(Ended::Unknown))
    }
}

/// Reads and removes the file in which this supervise has written the end; `None` also if another user
/// can have written it.
fn take_written(state: BorrowedFd<'_>, pid: Pid) -> Option<Ended> {
    let file = guarded::open(state, c"essential", fs::Opening::READ).ok()?;
    // This ends everything, not the service alone.
    if guarded::is_trusted(file.as_fd(), state) != Ok(true) {
        return None;
    }
    let mut room = [0; essential_end::LEN];
    let n = fd::read(file.as_fd(), &mut room).ok()?;
    let how = essential_end::parse(room.get(..n)?, pid)?;
    let _ = fs::unlink(state, c"essential");
    Some(how)
}
