//! Loggers that appear while their service runs.

use super::scanner::Scanner;
use super::unsent_signals::Retry;
use crate::common::diag;
use crate::survive::log_pipe_offer;
use crate::survive::signal_reader::SignalReader;
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
    /// tries that again soon.
    pub(super) fn offer_log_pipe(&mut self, no: SlotNo) {
        if let Some((main, retry)) = self.try_to_offer(no) {
            self.unsent.push(main, log_pipe_offer::SIGNAL, retry);
        }
    }

    /// Offers the log pipe to this supervise; whether that has to be tried again.
    pub(super) fn offer_log_pipe_again(&self, main: Pid) -> Option<Retry> {
        let (no, _) = self.roster.service_of(main)?;
        self.try_to_offer(no).map(|(_, retry)| retry)
    }

    /// Offers the log pipe, if necessary. Prints a warning if it is not taken. Returns the supervise to
    /// which it has to be offered again.
    fn try_to_offer(&self, no: SlotNo) -> Option<(Pid, Retry)> {
        let (main, write_end) = self.missing_log_pipe(no)?;
        let refused = match log_pipe_offer::send(main, write_end) {
            Ok(SignalReader::Reads) => return None,
            Ok(SignalReader::Begins) if self.has_just_started(main) => {
                return Some((main, Retry::Soon));
            }
            // It may be about to execute the newly installed program.
            Ok(SignalReader::Older) if self.has_just_started(main) => {
                return Some((main, Retry::Later));
            }
            Ok(SignalReader::Begins | SignalReader::Older | SignalReader::Other) => {
                "its supervise is an older one"
            }
            Err(error) => diag::why(error),
        };
        let name = self.roster.slot(no)?.name();
        diag::say(&[
            b"svscan: warning: unable to connect ",
            name,
            b" to its logger: ",
            refused.as_bytes(),
            b"; to connect them anew: svc -dx ",
            name,
        ]);
        None
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
