//! svscan at work: waits for events, tells the roster, and performs its effects.

use super::adopted_supervises::AdoptedSupervises;
use super::inherited::{Inherited, InheritedServices};
use super::last_output::LastOutput;
use super::last_signal::LastSignal;
use super::log_pipes::{LogPipes, Unread};
use super::main_command::{FORWARDED, MainCommand};
use super::message_pipe::MessagePipe;
use super::orphans::Orphans;
use super::output_pipes::OutputPipes;
use super::readiness_pipe::ReadinessPipe;
use super::scan::Scan;
use super::scan_dir::{ScanDir, ServiceDir, suffix};
use super::service_manager::{Report, ServiceManager};
use super::stop_signals;
use super::unsent_signals::UnsentSignals;
use super::upgrade_request;
use crate::common::children::reap;
use crate::common::clock::instant;
use crate::common::diag;
use crate::common::unsent;
use crate::survive::lock_holder;
use crate::survive::log_pipe_offer;
use crate::survive::process_record;
use crate::survive::standing::Standing;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::copier::Form;
use daemontools_core::svscan::roster::{Roster, RosterEffect, RosterEvent};
use daemontools_core::svscan::slot::{Action, SlotNo};
use daemontools_core::svscan::supervise_process::{NAME_GONE, SuperviseRole};
use daemontools_core::text::words;
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use daemontools_sys::fs::{self, DirId};
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::process;
use daemontools_sys::signal::{self, ReceivedSignal, Signals};
use daemontools_sys::watch::NameChange;
use daemontools_sys::{OwnedFd, dir, proc_fd};

/// A `svscan` at work. Its methods are in the files of their subjects.
pub(super) struct Scanner {
    pub(super) signals: Signals,
    pub(super) dir: ScanDir,
    pub(super) scan: Scan,
    pub(super) roster: Roster<DirId>,
    /// The effects still to perform.
    pub(super) effects: Vec<RosterEffect>,
    pub(super) pipes: LogPipes,
    pub(super) messages: MessagePipe,
    manager: ServiceManager,
    /// To svscanboot, which reports to the service manager.
    ready: ReadinessPipe,
    pub(super) adopted: AdoptedSupervises,
    /// The outputs of services, if svscan copies them.
    pub(super) outputs: Option<Box<OutputPipes>>,
    /// The wait for the last output of services.
    pub(super) last_output: Option<LastOutput>,
    /// When the stop has begun, if svscan copies the output.
    pub(super) stop_begun: Option<Instant>,
    orphans: Orphans,
    pub(super) unsent: UnsentSignals,
    /// A look at all processes takes long: one serves all questions until the next wait.
    pub(super) standing: Option<Standing>,
    /// Children get process groups of their own. Then Ctrl-C signals only svscan, which stops
    /// everything in order.
    pub(super) own_groups: bool,
    /// Present once svscan has raised its limit of open files. Children get the former limit.
    pub(super) open_files: Option<OpenFiles>,
    /// The highest descriptor that svscan inherited, and its children inherit too; `None` if that is
    /// unknown.
    pub(super) last_inherited: Option<i32>,
    pub(super) inherited: InheritedServices,
    /// The supervises that are still to be upgraded, if svscan adopts them.
    pub(super) late_upgrades: Vec<(DirId, SuperviseRole)>,
    /// A live upgrade is requested. It takes place when no service is stopping.
    pub(super) upgrade_due: bool,
    /// The process that waits for the result of the upgrade.
    pub(super) answer: Option<OwnedFd>,
    /// The command after `--`.
    pub(super) command: Option<MainCommand>,
    /// The exit code, once an essential service has ended.
    pub(super) exit_code: Option<u8>,
    /// The last signal to every process, as process 1.
    pub(super) last_signal: Option<LastSignal>,
    pub(super) leaving: bool,
}

impl Scanner {
    /// Does everything that has to work before the first scan.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(super) fn begin(
        roster: Roster<DirId>,
        scan_dir: Option<&CStr>,
        log_service: Option<&CStr>,
        command: Option<MainCommand>,
        form: Option<Form>,
        inherited: Inherited,
        ready: ReadinessPipe,
    ) -> core::result::Result<Self, i32> {
        let shown = scan_dir.map_or(&b"."[..], CStr::to_bytes);
        let mut others = [signal::HUP, signal::USR2, log_pipe_offer::SIGNAL].to_vec();
        if command.is_some() {
            others.extend(FORWARDED);
        }
        let signals = stop_signals::take_over(&others, inherited.mask)
            .map_err(|e| diag::fatal("svscan", &[b"unable to take signals"], e))?;
        let start = fs::reach_dir(fs::HERE, c".").ok();
        if let Some(scan_dir) = scan_dir {
            fs::chdir(scan_dir)
                .map_err(|e| diag::fatal("svscan", &[b"unable to chdir to ", shown], e))?;
        }
        let lock = match inherited.lock {
            None => lock_holder::lock_scan_dir("svscan", shown)?,
            lock => lock,
        };
        let dir = ScanDir::current(start, lock, inherited.marker)
            .map_err(|e| diag::fatal("svscan", &[b"unable to open ", shown], e))?;
        let messages = MessagePipe::keep(inherited.messages);
        // A service whose supervise is killed becomes our child: until the next supervise adopts it,
        // and after that.
        process::become_subreaper();
        let mut scanner = Self {
            scan: Scan::new(shown, dir.lock()),
            signals,
            dir,
            roster,
            effects: Vec::new(),
            pipes: LogPipes::new(),
            messages,
            manager: ServiceManager::of_environment(),
            ready,
            adopted: AdoptedSupervises::new(),
            outputs: OutputPipes::begin(form, inherited.outputs, inherited.copier, instant()),
            last_output: None,
            stop_begun: None,
            orphans: Orphans::new(),
            unsent: UnsentSignals::new(),
            standing: None,
            own_groups: process::in_foreground(),
            open_files: inherited.open_files,
            last_inherited: proc_fd::last_inherited().ok(),
            inherited: inherited.services,
            late_upgrades: inherited.late_upgrades,
            upgrade_due: false,
            answer: None,
            command,
            exit_code: None,
            last_signal: None,
            leaving: false,
        };
        if let Some(name) = log_service {
            scanner.start_own_logger(name);
        }
        scanner.resume();
        scanner.start_command(inherited.command)?;
        if let Some(answer) = inherited.answer {
            upgrade_request::answer(&answer, "");
        }
        Ok(scanner)
    }

    /// Runs until everything has stopped.
    pub(super) fn run(&mut self) {
        // The CHLD of a child that ended just before a live upgrade is lost.
        self.reap();
        while !self.leaving {
            if self.upgrade_due && self.roster.is_at_rest() && !self.is_command_ending() {
                self.upgrade();
            }
            if self.scan.next() <= instant() && !self.roster.is_stopping() {
                self.scan();
                continue;
            }
            self.tend_outputs();
            if self.leaving {
                break;
            }
            self.standing = None;
            let events = [
                Some(self.signals.fd()),
                self.scan.names_fd(),
                self.adopted.fd(),
                self.scan.targets_fd(),
                self.scan.mounts_fd(),
                self.outputs.as_ref().and_then(|outputs| outputs.control()),
            ];
            let [signalled, renamed, ended, replaced, mounted, answered] =
                unsent::wait(events, self.timeout());
            if answered && let Some(outputs) = &mut self.outputs {
                outputs.take_answers();
            }
            if signalled {
                self.take_signals();
            }
            if ended {
                self.take_adopted_ends();
            }
            // Before the names: a look at a new link notes its target. An older announcement of that
            // target is no change.
            if replaced {
                self.scan.take_target_changes();
            }
            if mounted {
                self.scan.take_mount_change();
            }
            if renamed {
                self.take_changes();
            }
            self.send_again();
            self.manager.send_due();
            self.kill_late_command();
            self.step_end();
            self.step(RosterEvent::Tick);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        // No scans during a stop.
        let scan = (!self.roster.is_stopping()).then_some(self.scan.next());
        let command = self.command_deadline();
        let due = self.roster.deadline().into_iter().chain(scan).chain(self.unsent.due());
        let due = due.chain(command).chain(self.end_deadline()).chain(self.outputs_due());
        let due = due.chain(self.manager.due()).min();
        due.map(|due| due.duration_since(instant()))
    }

    fn take_signals(&mut self) {
        let (mut stop, mut upgrade) = (false, false);
        let received: Vec<ReceivedSignal> = self.signals.received().collect();
        for ReceivedSignal { signal, sender, value, .. } in received {
            if signal == signal::RTMIN_3
                && let Some(code) = value
            {
                self.note_halt(code);
            }
            let answer = sender.filter(|_| signal == signal::USR2);
            let answer = answer.and_then(upgrade_request::open_answer);
            if answer.is_none() && self.forward_to_command(signal) {
                continue;
            }
            match signal {
                signal if stop_signals::is_stop(signal) => stop = true,
                // The terminal in whose foreground svscan runs is gone.
                signal::HUP if self.own_groups => stop = true,
                signal::HUP => self.scan.set_due(),
                log_pipe_offer::SIGNAL => {
                    if let Some(sender) = sender {
                        self.answer_log_question(sender);
                    }
                }
                signal::USR2 => {
                    upgrade = true;
                    self.answer = answer;
                }
                _ => {}
            }
        }
        self.reap();
        if stop {
            self.prepare_stop();
            self.step(RosterEvent::Stop);
        }
        self.upgrade_due |= upgrade;
        // The stops may take long: the asking process does not wait for them.
        if !self.roster.is_at_rest()
            && let Some(answer) = self.answer.take()
        {
            upgrade_request::answer(&answer, "");
        }
    }

    /// Comes before the event that stops everything.
    pub(super) fn prepare_stop(&mut self) {
        self.messages.make_room();
        self.manager.report(Report::Stopping);
    }

    fn reap(&mut self) {
        while let Some((pid, how)) = reap() {
            if self.take_command_end(pid, how) || self.take_copier_end(pid, how) {
                continue;
            }
            self.note_orphan(pid, how);
            self.warn_of_end(pid, how);
            self.take_end(pid, how);
        }
    }

    /// Notes the service of a killed supervise, or the end of such a service.
    fn note_orphan(&mut self, pid: Pid, how: Ended) {
        match (self.roster.service_of(pid), how) {
            (Some((no, role)), Ended::Killed(_)) => {
                let slot = self.roster.slot(no);
                if let Some(dir) = slot.and_then(|slot| ServiceDir::of(slot, role)) {
                    self.orphans.add(&self.dir, dir);
                }
            }
            (Some(_), _) => {}
            (None, _) => self.orphans.record_end(&self.dir, pid, how),
        }
    }

    /// Takes the ends of adopted supervise processes.
    fn take_adopted_ends(&mut self) {
        while let Some((pid, handle)) = self.adopted.remove_ended() {
            let how = process_record::end_of(&handle);
            drop(handle);
            self.warn_of_end(pid, how);
            self.take_end(pid, how);
        }
        self.adopted.close_if_empty();
    }

    /// Prints a warning if a supervise was killed, or does not find its directory.
    pub(super) fn warn_of_end(&self, pid: Pid, how: Ended) {
        let service = self.roster.service_of(pid);
        let Some((role, slot)) = service.and_then(|(no, role)| Some((role, self.roster.slot(no)?)))
        else {
            return;
        };
        let what = match how {
            Ended::Killed(_) => words::end(how),
            // Once is a rename: svscan looks at the name again.
            Ended::Exited(NAME_GONE) if slot.supervise(role).quick_deaths() > 0 => {
                b"has not found its directory".to_vec()
            }
            _ => return,
        };
        diag::say(&[b"svscan: warning: supervise ", slot.name(), suffix(role), b" ", &what]);
    }

    /// Reads the announced changes of names.
    fn take_changes(&mut self) {
        // Out of `self` while the loop borrows the rest of it.
        let Some(watch) = self.scan.watch.take() else {
            return;
        };
        watch.changes(|change| match change {
            NameChange::Appeared(name) | NameChange::Disappeared(name)
                if name.to_bytes().starts_with(b".") => {}
            NameChange::Appeared(name) => self.look(name),
            NameChange::Disappeared(name) => {
                self.scan.forget(name);
                self.step(RosterEvent::Lost(name.to_bytes()));
            }
            NameChange::Overflow => self.scan.set_due(),
        });
        self.scan.watch = Some(watch);
    }

    /// Scans the whole directory.
    fn scan(&mut self) {
        self.roster.begin_scan();
        self.scan.begin();
        let read = dir::names_here(|name| self.look(name));
        if read.is_ok() {
            self.scan.forget_unseen();
            self.roster.end_scan(instant(), &mut self.effects);
            self.perform();
            self.ready.report();
            self.manager.report(Report::Ready);
        }
        self.scan.end(read);
    }

    /// Looks at a name, tells the roster, and performs the effects.
    fn look(&mut self, name: &CStr) {
        self.observe(name);
        self.perform();
    }

    /// Looks at the name of a slot, and tells the roster. The caller performs the effects.
    fn observe_slot(&mut self, no: SlotNo) {
        let name = self.roster.slot(no).and_then(|slot| CString::new(slot.name()).ok());
        if let Some(name) = name {
            self.observe(&name);
        }
    }

    /// Looks at a name, and tells the roster. The caller performs the effects.
    fn observe(&mut self, name: &CStr) {
        let roster = &self.roster;
        let event = self.scan.look(name, |id| roster.unfinished(id));
        self.roster.step(event, instant(), &mut self.effects);
    }

    /// Gives the roster an event, and performs the effects.
    pub(super) fn step(&mut self, event: RosterEvent<'_, DirId>) {
        self.roster.step(event, instant(), &mut self.effects);
        self.perform();
    }

    /// Performs the effects in order. Answers to the roster append more at the end.
    pub(super) fn perform(&mut self) {
        let mut done = 0;
        while let Some(&effect) = self.effects.get(done) {
            done += 1;
            match effect {
                RosterEffect::Exit => self.end_after_output(),
                RosterEffect::ReportStop => self.report_stop(),
                RosterEffect::For(no, action) => self.act(no, action),
            }
        }
        self.effects.clear();
    }

    fn act(&mut self, no: SlotNo, action: Action) {
        match action {
            Action::Spawn(role) => self.spawn(no, role),
            // It takes its present name from the scan directory.
            Action::Rename(pid) => self.upgrade_supervise(pid),
            Action::Terminate(pid) => self.signal(pid, signal::TERM),
            Action::Finish(pid) => self.signal(pid, signal::USR1),
            Action::Kill(role, pid) => self.kill(no, role, pid),
            Action::EndInput => self.end_input(no),
            Action::CheckInput => {
                let answer = if self.is_unread(no) {
                    RosterEvent::Unread(no)
                } else {
                    RosterEvent::AllRead(no)
                };
                self.roster.step(answer, instant(), &mut self.effects);
            }
            Action::ReportLateLog => self.report_late_log(no),
            Action::DropPipe | Action::Forget => {
                self.end_input(no);
                self.pipes.remove(no);
                if let Some(outputs) = self.outputs.as_mut().filter(|_| action == Action::Forget) {
                    outputs.release(no);
                }
            }
            Action::Look => self.observe_slot(no),
        }
    }

    /// Lets the logger read the end of its input. svscan keeps the read end, to check what is left.
    fn end_input(&mut self, no: SlotNo) {
        let Some(write_end) = self.pipes.take_write_end(no) else {
            return;
        };
        if self.roster.slot(no).is_some_and(|slot| slot.is_own_logger()) {
            if let Some(outputs) = &mut self.outputs {
                outputs.finish(instant());
            }
            Self::leave_own_logger();
        }
        drop(write_end);
    }

    /// Whether the logger has left data unread. Prints a warning the first time.
    fn is_unread(&mut self, no: SlotNo) -> bool {
        let Some(Unread { unread, first_time }) = self.pipes.check(no) else {
            return false;
        };
        if first_time && let Some(slot) = self.roster.slot(no) {
            diag::say(&[
                b"svscan: warning: waiting until the logger of ",
                slot.name(),
                b" has read everything",
            ]);
        }
        unread
    }
}
