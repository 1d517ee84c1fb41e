//! Loggers that appear while their service runs.

use super::scanner::Scanner;
use crate::common::diag;
use crate::survive::log_pipe_offer;
use alloc::ffi::CString;
use daemontools_core::Pid;
use daemontools_core::svscan::roster::Unfinished;
use daemontools_core::svscan::slot::SlotNo;
use daemontools_core::svscan::supervise_process::{SuperviseProcess, SuperviseRole};
use daemontools_sys::proc_fd::Pipe;
use daemontools_sys::{AsFd as _, BorrowedFd, fd};

impl Scanner {
    /// Says that a service has got a logger while it runs.
    pub(super) fn report_late_log(&self, no: SlotNo) {
        if let Some(slot) = self.roster.slot(no) {
            let name = slot.name();
            diag::say(&[
                b"svscan: info: ",
                name,
                b"/log has appeared: ",
                name,
                b" uses it from its next start on; to restart it: svc -t ",
                name,
            ]);
        }
    }

    /// Offers the log pipe to the supervise of the service, if that has another standard output and the
    /// logger's supervise has the pipe. One that has just started does not take the offer yet; svscan
    /// tries that again later.
    pub(super) fn offer_log_pipe(&mut self, no: SlotNo) {
        if let Some((main, write_end)) = self.missing_log_pipe(no)
            && !log_pipe_offer::send(main, write_end).unwrap_or(false)
        {
            self.unsent.push(main, log_pipe_offer::SIGNAL);
        }
    }

    /// Offers the log pipe again. If that fails, prints a warning.
    pub(super) fn offer_log_pipe_again(&self, main: Pid) {
        let Some((no, SuperviseRole::Main)) = self.roster.service_of(main) else { return };
        let Some((main, write_end)) = self.missing_log_pipe(no) else { return };
        let refused: &[u8] = match log_pipe_offer::send(main, write_end) {
            Ok(true) => return,
            Ok(false) => b"its supervise is an older one",
            Err(error) => diag::why(error).as_bytes(),
        };
        if let Some(slot) = self.roster.slot(no) {
            let name = slot.name();
            diag::say(&[
                b"svscan: warning: unable to connect ",
                name,
                b" to its logger: ",
                refused,
                b"; to connect them anew: svc -dx ",
                name,
            ]);
        }
    }

    /// The supervise of a service whose standard output is not the log pipe, although the logger's
    /// supervise reads from that; and the write end.
    fn missing_log_pipe(&self, no: SlotNo) -> Option<(Pid, BorrowedFd<'_>)> {
        let slot = self.roster.slot(no)?;
        let pid = |role| match slot.supervise(role) {
            SuperviseProcess::Running { pid, .. } => Some(pid),
            SuperviseProcess::Absent { .. } | SuperviseProcess::Spawning { .. } => None,
        };
        let (main, log) = (pid(SuperviseRole::Main)?, pid(SuperviseRole::Log)?);
        let write_end = self.pipes.get(no)?.write_end.as_ref()?.as_fd();
        let pipe = Pipe::own(fd::number(write_end)).ok()??;
        let is_at = |pid, number| {
            Pipe::of(pid, number).is_ok_and(|it| it.is_some_and(|it| it.is_same(&pipe)))
        };
        (is_at(log, 0) && !is_at(main, 1)).then_some((main, write_end))
    }

    /// A supervise has seen a new `log`, and is about to start its service: looks at once.
    pub(super) fn answer_log_question(&mut self, sender: Pid) {
        let Some((no, SuperviseRole::Main)) = self.roster.service_of(sender) else { return };
        let Some(slot) = self.roster.slot(no) else { return };
        let id = slot.id();
        let Ok(name) = CString::new(slot.name()) else { return };
        let roster = &self.roster;
        let unfinished =
            |found| if found == id { Unfinished::Nothing } else { roster.unfinished(found) };
        let event = self.scan.look(&name, unfinished);
        self.step(event);
    }
}
