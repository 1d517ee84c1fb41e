//! encore's file `log`: a logger inside the service directory, with a machine of its own.
//!
//! It is started before the service, whose scripts have the pipe to it as their standard output.
//! Both ends of the pipe stay open here, so that neither loses anything when the other is started
//! again. When the service is over for good the pipe is closed, and the logger reads what is left
//! in it before it ends: nobody kills it in the middle. One that has nothing left to read and does not
//! end is told to.

use super::files::{Beginning, Files, Identity};
use super::{Supervisor, signal_number, signal_to};
use crate::diag;
use crate::identity;
use crate::takeover::{self, Found};
use crate::time::{instant, now};
use alloc::boxed::Box;
use alloc::vec::Vec;
use daemontools_core::command::Command;
use daemontools_core::detail::Phase;
use daemontools_core::handover::Handover;
use daemontools_core::options::Personality;
use daemontools_core::status::Want;
use daemontools_core::supervise::{Effect, Event, Machine, PATIENCE, Policy, Script, State};
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, Forked};
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, Result, fd, signal};

use super::child;
use super::scripts::Happening;
use daemontools_core::command::Scope;

/// No option file is about it.
const POLICY: Policy = Policy { personality: Personality::Encore, ..Policy::ORIGINAL };

/// The ends of the pipe in a handover.
const ENDS: [&[u8]; 2] = [b"log-reader", b"log-writer"];

/// What is known of it.
pub(super) struct Log {
    pub(super) machine: Machine,
    /// Its process, if it is not our child.
    adopted: Option<Handle>,
    identity: Identity,
    /// As of the service: see there.
    recorded: Option<bool>,
    record_trouble: bool,
    shown_want: Want,
    told: Phase,
    reader: OwnedFd,
    /// None when the service is over.
    writer: Option<OwnedFd>,
    /// How long it may stay then.
    patience: Option<Instant>,
}

impl Log {
    /// Its process, to wait for, if it is not our child.
    pub(super) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.adopted.as_ref().map(Handle::fd)
    }

    /// When something is due for it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.machine.deadline().into_iter().chain(self.patience).min()
    }

    /// Whether there is nothing in the pipe.
    fn has_read_all(&self) -> bool {
        fd::unread(self.reader.as_fd()).is_ok_and(|bytes| bytes == 0)
    }

    /// What the service writes to.
    pub(super) fn writer(&self) -> Option<BorrowedFd<'_>> {
        self.writer.as_ref().map(OwnedFd::as_fd)
    }

    /// Whether its record has to be written.
    pub(super) const fn is_unrecorded(&self) -> bool {
        self.recorded.is_none()
    }

    /// What an upgrade leaves open, by the names in the handover.
    pub(super) fn to_hand_over(&self) -> Vec<(Vec<u8>, BorrowedFd<'_>)> {
        let ends = [Some(self.reader.as_fd()), self.writer()];
        let named = ENDS.into_iter().zip(ends);
        named.filter_map(|(name, end)| Some((name.to_vec(), end?))).collect()
    }

    /// Whether the next supervise will know of its process, if there is one.
    pub(super) fn is_on_record(&self, files: &Files) -> bool {
        let Some(pid) = self.machine.pid() else {
            return true;
        };
        let trouble = self.record_trouble || self.is_unrecorded() || !self.identity.is_kept();
        let write = || {
            files.note_in(&self.identity, false, |record| record.write_process(pid, Script::Run))
        };
        !trouble && (self.adopted.is_some() || write())
    }

    /// Writes whether we are leaving into its record, or all of that.
    fn record(&mut self, files: &Files, leaving: bool) {
        if self.recorded == Some(leaving) {
            return;
        }
        let written =
            files.note_in(&self.identity, self.record_trouble, |record| match self.recorded {
                Some(_) => record.write_leaving(leaving),
                None => record.write(leaving, self.machine.pid(), Script::Run),
            });
        self.recorded = written.then_some(leaving);
        self.record_trouble = !written;
    }

    /// What has to be on disk with the status.
    pub(super) fn publish(&mut self, files: &Files, leaving: bool, over: bool) {
        self.shown_want = self.machine.record().want;
        if over {
            files.remove(&self.identity);
        } else {
            self.record(files, leaving);
        }
    }
}

impl Supervisor {
    /// Makes what is needed for `log`, if the directory asks for it and it is not there yet.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(super) fn make_log(
        &mut self,
        normally_up: bool,
        handover: Option<&Handover>,
    ) -> core::result::Result<(), i32> {
        if self.log.is_some() || !self.care.as_ref().is_some_and(|care| care.asked.log) {
            return Ok(());
        }
        let (identity, beginning) =
            self.files.begin_log(normally_up, handover.is_some_and(|h| !h.foreign))?;
        let Beginning { mut machine, adopted, recorded, .. } = beginning;
        machine.configure(POLICY, 0);
        let (reader, writer) = self.pipe_to_log(machine.pid(), handover).map_err(|error| {
            diag::fatal("supervise", &[b"unable to create pipe for ", self.dir], error)
        })?;
        self.log = Some(Box::new(Log {
            shown_want: machine.record().want,
            told: machine.phase(),
            machine,
            adopted,
            identity,
            recorded,
            record_trouble: false,
            reader,
            writer: Some(writer),
            patience: None,
        }));
        self.unpublished = true;
        self.show_log_to_care();
        Ok(())
    }

    /// The pipe, which is there already if one of its users is; read end first.
    fn pipe_to_log(
        &self,
        log: Option<Pid>,
        handover: Option<&Handover>,
    ) -> Result<(OwnedFd, OwnedFd)> {
        let take = |name| handover?.descriptor(name).and_then(fd::take_inherited);
        if let (Some(reader), Some(writer)) = (take(ENDS[0]), take(ENDS[1])) {
            return Ok((reader, writer));
        }
        let main = self.machine.pid();
        if log.is_none() && main.is_none() {
            return fd::pipe();
        }
        let found = |process| Found { supervise: None, process };
        match takeover::pipe_between(Some(&found(main)), &found(log)) {
            Ok(Some(ends)) => return Ok(ends),
            Ok(None) => {}
            Err(error) => {
                let what = [b"unable to get back the pipe of ", self.dir, b"/log"];
                diag::warning("supervise", &what, error);
            }
        }
        fd::pipe()
    }

    /// The programs that run beside the service are not part of it.
    pub(super) fn show_log_to_care(&mut self) {
        if let Some(care) = &mut self.care {
            care.log = self.log.as_ref().and_then(|log| log.machine.pid());
        }
    }

    /// The end of a `log` that is not our child.
    pub(super) fn take_end_of_log(&mut self) {
        let ended = self.log.as_mut().and_then(|log| log.adopted.take_if(|it| it.has_ended()));
        if let Some(process) = ended {
            self.step_log(Event::Ended(identity::end_of(&process)));
        }
    }

    /// The service is over: lets its `log` end, too. Tells whether it has.
    pub(super) fn end_log(&mut self) -> bool {
        let Some(log) = &mut self.log else {
            return true;
        };
        log.writer = None;
        // One that died before it had read everything is started once more.
        if matches!(log.machine.state(), State::Waiting { .. }) && !log.has_read_all() {
            return false;
        }
        let now = instant();
        let impatient = log.patience.is_none_or(|due| due <= now);
        if impatient {
            log.patience = Some(now + PATIENCE);
        }
        if !log.machine.is_leaving() {
            if matches!(log.machine.state(), State::Up { paused: true, .. }) {
                self.step_log(Event::Command(Command::Continue, Scope::Process));
            }
            self.step_log(Event::Command(Command::Exit, Scope::Process));
        } else if impatient && log.has_read_all() {
            self.step_log(Event::Command(Command::Down, Scope::Process));
        }
        self.log.as_ref().is_none_or(|log| log.machine.state() == State::Gone)
    }

    /// Ends it, whatever there is left to read.
    pub(super) fn kill_log(&self) {
        if let Some(log) = &self.log
            && let Some(pid) = log.machine.pid()
        {
            let _ = signal_to(log.adopted.as_ref(), pid, signal::KILL, Scope::Process);
        }
    }

    /// Lets the machine of `log` take an event, and performs what it says.
    pub(super) fn step_log(&mut self, event: Event) {
        let mut next = Some(event);
        let mut refusal = None;
        while let Some(event) = next.take() {
            let Some(log) = &mut self.log else {
                return;
            };
            let before = log.machine.pid();
            if let (Event::Ended(how), Some(pid)) = (event, before) {
                self.files.note_in(&log.identity, true, |record| record.write_end(pid, how));
            }
            for effect in log.machine.step(event, now()) {
                match effect {
                    Effect::Prepare => next = Some(Event::Prepared),
                    Effect::Spawn(_) => {
                        next = Some(match self.spawn_log() {
                            Ok(pid) => Event::Spawned(pid),
                            Err(error) => {
                                refusal = Some(error);
                                Event::SpawnFailed
                            }
                        });
                    }
                    Effect::Signal(pid, signal, scope) => {
                        let adopted = self.log.as_ref().and_then(|log| log.adopted.as_ref());
                        // Whom it does not reach any more, it need not reach.
                        let _ = signal_to(adopted, pid, signal_number(signal), scope);
                    }
                    Effect::Publish => self.unpublished = true,
                    // Nothing is asked for it, and the loop sees the state.
                    Effect::Check | Effect::StopCheck | Effect::Sweep(_) | Effect::Exit => {}
                }
            }
            self.show_log_to_care();
            self.tell_of_log(event, before);
        }
        if let (Some(error), Some(log)) = (refusal, &self.log) {
            self.say_fork_failed(log.machine.fork_pause(), error);
        }
    }

    fn spawn_log(&mut self) -> Result<Pid> {
        let leaving = self.machine.is_leaving();
        if let Some(log) = &mut self.log {
            log.record(&self.files, leaving);
            if log.shown_want != log.machine.record().want {
                self.publish();
            }
        }
        match process::fork()? {
            Forked::Parent(pid) => Ok(pid),
            Forked::Child => {
                let Some(log) = &self.log else {
                    process::exit(diag::TEMPORARY);
                };
                if !log.record_trouble {
                    self.files.note_in(&log.identity, false, |record| {
                        record.write_process(process::id(), Script::Run)
                    });
                }
                self.signals.give_back();
                let asked = self.care.as_ref().map(|care| &*care.asked);
                process::exit(child::become_log(self.name, asked, log.reader.as_fd()))
            }
        }
    }

    /// Tells `notify` of its start or end.
    fn tell_of_log(&mut self, event: Event, before: Option<Pid>) {
        let Some(log) = &mut self.log else {
            return;
        };
        let (pid, how) = match (event, before) {
            (Event::Spawned(pid), _) => (pid, None),
            (Event::Ended(how), Some(pid)) if how != Ended::Unknown => (pid, Some(how)),
            _ => return,
        };
        let phases = [log.told, log.machine.phase()];
        log.told = log.machine.phase();
        let word = Happening::word(how);
        self.notify(&Happening { script: b"log", word, pid, how, phases });
    }
}
