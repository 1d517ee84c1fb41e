//! svscan's care for the outputs that go to the copier: starts it, sends it the pipes, and waits for it
//! at the end.

use super::copier;
use super::last_output::LastOutput;
use super::scan_dir::suffix;
use super::scanner::Scanner;
use crate::common::clock::instant;
use crate::common::diag;
use crate::common::unsent;
use crate::survive::adoption::{RunningService, copied_pipe};
use alloc::vec::Vec;
use daemontools_core::copier::{Form, Stream};
use daemontools_core::svscan::slot::{Slot, SlotNo};
use daemontools_core::svscan::supervise_process::SuperviseRole;
use daemontools_core::text::decimal::Decimal;
use daemontools_core::text::words;
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use daemontools_sys::fs::DirId;
use daemontools_sys::pass::PassSocket;
use daemontools_sys::process::{self, Forked};
use daemontools_sys::{Errno, Result, fd, fs, signal};

impl Scanner {
    /// Takes the pipes of a supervise that a live upgrade has handed over.
    pub(super) fn claim_outputs(&mut self, no: SlotNo, role: SuperviseRole) {
        if let (Some(outputs), Some(slot)) = (&mut self.outputs, self.roster.slot(no)) {
            outputs.claim(no, slot.id(), role, &output_name(slot, role));
        }
    }

    /// Takes the pipes of the processes that a killed svscan has left running.
    pub(super) fn take_over_outputs(
        &mut self,
        no: SlotNo,
        role: SuperviseRole,
        running: &RunningService,
    ) {
        let (Some(outputs), Some(slot)) = (&mut self.outputs, self.roster.slot(no)) else { return };
        let name = output_name(slot, role);
        for stream in streams(slot, role) {
            if !outputs.has(no, role, stream)
                && let Some(found) = copied_pipe(running.side(), stream.number().into())
            {
                outputs.take_over((no, role), stream, &name, found);
            }
        }
    }

    /// Makes the pipes to the copier for a supervise that is to start.
    ///
    /// # Errors
    /// Those of pipe(2).
    pub(super) fn make_outputs(&mut self, no: SlotNo, role: SuperviseRole) -> Result<()> {
        let (Some(outputs), Some(slot)) = (&mut self.outputs, self.roster.slot(no)) else {
            return Ok(());
        };
        let name = output_name(slot, role);
        for stream in streams(slot, role) {
            outputs.make((no, role), stream, &name, &mut self.open_files)?;
        }
        Ok(())
    }

    /// Starts the copier if it is to run and does not, and sends it new pipes.
    pub(super) fn tend_outputs(&mut self) {
        let Some(outputs) = &mut self.outputs else { return };
        let now = instant();
        if self.roster.is_stopping() {
            self.stop_begun.get_or_insert(now);
        }
        if outputs.wants_copier(now) {
            match fork_copier(outputs.form) {
                Ok((pid, control)) => outputs.set_copier(pid, control, now),
                Err(error) => {
                    let what = [b"unable to start the copier of the output".as_slice()];
                    diag::warning("svscan", &what, error);
                    outputs.delay_copier(now);
                }
            }
        }
        outputs.send(now);
        self.check_last_output(now);
    }

    /// When [`Scanner::tend_outputs`] is due.
    pub(super) fn outputs_due(&self) -> Option<Instant> {
        let check = self.last_output.as_ref().map(LastOutput::next);
        let due = self.outputs.as_ref().and_then(|outputs| outputs.due());
        due.into_iter().chain(check).min()
    }

    /// Takes the end of a child. If it is the copier, another one starts. Returns whether it is.
    pub(super) fn take_copier_end(&mut self, pid: Pid, how: Ended) -> bool {
        let Some(outputs) = self.outputs.as_mut().filter(|outputs| outputs.copier() == Some(pid))
        else {
            return false;
        };
        outputs.forget_copier(instant());
        if how != Ended::Exited(0) && self.last_signal.is_none() {
            diag::say(&[b"svscan: warning: the copier of the output ", &words::end(how)]);
        }
        true
    }

    /// Everything has stopped: waits until the copier has written the last lines, and then ends.
    pub(super) fn end_after_output(&mut self) {
        let now = instant();
        let Some(outputs) = &mut self.outputs else { return self.begin_end() };
        outputs.finish(now);
        let timeout = self.roster.stop_timeout();
        let limit = self.stop_begun.zip(timeout).map(|(begun, timeout)| begun + timeout);
        self.last_output.get_or_insert_with(|| LastOutput::new(now, limit));
        self.check_last_output(now);
    }

    fn check_last_output(&mut self, now: Instant) {
        let (Some(outputs), Some(last)) = (&mut self.outputs, &mut self.last_output) else {
            return;
        };
        let unread = outputs.forget_read();
        if !outputs.is_empty() {
            if !last.is_over(unread, now) {
                return;
            }
            if unread > 0 {
                let what = b"svscan: warning: the output takes too long to be written, leaving ";
                let unread = Decimal::new(unread);
                diag::say(&[what, unread.as_bytes(), b" bytes of services"]);
            }
        }
        self.last_output = None;
        self.outputs = None;
        self.begin_end();
    }
}

/// The streams of a supervise that go to the copier. The output that goes to a logger does not, and that
/// of the own logger does not: the copier writes to it.
fn streams(slot: &Slot<DirId>, role: SuperviseRole) -> impl Iterator<Item = Stream> + use<> {
    let (is_own_logger, has_logger) = (slot.is_own_logger(), slot.has_logger());
    let is_logged =
        move |stream| has_logger && role == SuperviseRole::Main && stream == Stream::Out;
    Stream::ALL.into_iter().filter(move |&stream| !is_own_logger && !is_logged(stream))
}

/// The name of a supervise in front of its lines, as svstat shows it.
fn output_name(slot: &Slot<DirId>, role: SuperviseRole) -> Vec<u8> {
    [slot.name(), suffix(role)].concat()
}

/// Starts the copier.
fn fork_copier(form: Form) -> Result<(Pid, PassSocket)> {
    let (here, there) = PassSocket::pair()?;
    match process::fork()? {
        Forked::Parent(pid) => Ok((pid, here)),
        Forked::Child => {
            unsent::forget();
            // It ends when no service can write any more, and not before.
            signal::block_all();
            // It keeps no file system busy, no lock, and no pipe of a logger.
            let _ = fs::chdir(c"/");
            let code = match fd::close_above(2, there.fd()) {
                Some(control) => copier::run(form, PassSocket::from_moved(control)),
                None => {
                    let what = [b"unable to copy the output of services".as_slice()];
                    diag::fatal("svscan", &what, Errno::MFILE)
                }
            };
            unsent::finish();
            process::exit(code)
        }
    }
}
