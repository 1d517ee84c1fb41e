//! Performs the effects of the machines: of the service, and of encore's logger.

use super::cgroup::Cgroup;
use super::child;
use super::encore_logger::EncoreLogger;
use super::helpers::{self, Change, NotifyCall, SignalRequest};
use super::history::History;
use super::processes::print_killed;
use super::reports::ReportLimit;
use super::runtime::ServiceRuntime;
use super::service_config::Lookalikes;
use super::state_files::StateFiles;
use super::supervised::{Role, Supervised};
use crate::common::clock::now;
use crate::common::diag;
use crate::common::unsent;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::state_dir::control::{Command, Scope, Signal};
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::supervise::{Effect, Event, Report, Script};
use daemontools_core::text::decimal::Decimal;
use daemontools_core::{Ended, Pid};
use daemontools_sys::process::{self, Forked};
use daemontools_sys::signal::{KILL, Signals};
use daemontools_sys::{Errno, OwnedFd, Result, fd, fs, tree};

/// The service, its logger, and everything that their effects need.
pub(super) struct Performer {
    /// The service directory, as given on the command line.
    pub(super) dir: &'static CStr,
    pub(super) signals: Signals,
    pub(super) files: StateFiles,
    /// The working directory at start-up, to which paths in the arguments are relative.
    pub(super) start_dir: Option<OwnedFd>,
    pub(super) service: Supervised,
    /// encore's file `log`, if the service has one.
    pub(super) logger: Option<Box<EncoreLogger>>,
    /// For a service with options.
    pub(super) runtime: Option<Box<ServiceRuntime>>,
    /// A file that other programs read is out of date.
    pub(super) unpublished: bool,
    /// The last write of the status failed, and the warning was printed.
    pub(super) status_failed: bool,
    /// The last printed reason why the service is not started.
    pub(super) printed_refusal: Vec<u8>,
    pub(super) lookalikes: Lookalikes,
    /// The service directory had a directory `log` before.
    pub(super) has_log_dir: bool,
    pub(super) report_limit: ReportLimit,
    pub(super) history: History,
}

impl Performer {
    /// The supervised program of this role.
    pub(super) fn supervised(&self, role: Role) -> Option<&Supervised> {
        match role {
            Role::Service => Some(&self.service),
            Role::Logger => self.logger.as_ref().map(|logger| &logger.process),
        }
    }

    /// The same, to be changed.
    pub(super) fn supervised_mut(&mut self, role: Role) -> Option<&mut Supervised> {
        match role {
            Role::Service => Some(&mut self.service),
            Role::Logger => self.logger.as_mut().map(|logger| &mut logger.process),
        }
    }

    /// Passes an event to the machine and performs its effects, until no answer is left to pass on.
    pub(super) fn step(&mut self, role: Role, event: Event) {
        if self.supervised(role).is_none() {
            return;
        }
        let begin = now();
        let mut time = Some(begin);
        let mut seen = self.observe(role, event, begin.label);
        let mut next = Some(event);
        let mut fork_error = None;
        while let Some(event) = next.take() {
            if role == Role::Service {
                self.history.count(event, &self.service.machine);
            }
            let Some(supervised) = self.supervised(role) else {
                return;
            };
            let before = supervised.process();
            if let (Event::Ended(how), (Some(pid), script)) = (event, before) {
                supervised.record.write_end(&self.files, pid, how);
                self.count_death(role, script, how);
            }
            let Some(supervised) = self.supervised_mut(role) else {
                return;
            };
            let effects = supervised.machine.step(event, time.take().unwrap_or_else(now));
            for effect in effects {
                if let Some(seen) = &mut seen {
                    seen.note_reason(event, &effect);
                }
                match effect {
                    Effect::Prepare => next = Some(self.prepare(role)),
                    Effect::Spawn(script) => {
                        self.publish_before_spawn(role);
                        next = Some(match self.spawn(role, script) {
                            Ok(pid) => Event::Spawned(pid),
                            Err(error) => {
                                fork_error = Some(error);
                                Event::SpawnFailed
                            }
                        });
                    }
                    Effect::Signal { pid, signal, scope, requested } => {
                        self.perform_signal(role, pid, signal, scope, requested);
                    }
                    Effect::StartCheck => next = self.start_check().or(next),
                    Effect::StopCheck => {
                        if let Some(runtime) = &mut self.runtime {
                            runtime.helpers.stop_check();
                        }
                    }
                    Effect::Sweep(signal) => {
                        if self.sweep(signal) {
                            next = Some(Event::Swept);
                        }
                    }
                    Effect::Publish => self.unpublished = true,
                    Effect::Report(Report::QuickExits(exits))
                        if !self.has_gone_into_background(exits) => {}
                    Effect::Report(report) => {
                        let stays = self.service.machine.essential_end().is_none();
                        self.report_limit.print(self.dir, role, report, stays);
                    }
                    // The event loop looks at the state.
                    Effect::Exit => {}
                }
            }
            if role == Role::Logger {
                self.show_logger_to_runtime();
            }
            self.notify(role, event, before);
        }
        if let Some(seen) = seen {
            self.record_change(seen);
        }
        if let Some(error) = fork_error {
            self.print_fork_error(role, error);
        }
    }

    /// Whether the service has left a process behind after so many exits in a row. To see that, the
    /// supervisor becomes a reaper of orphans for the last of these runs.
    #[inline(never)]
    fn has_gone_into_background(&self, exits: u8) -> bool {
        let runtime = self.runtime.as_ref();
        if runtime.is_some_and(|runtime| runtime.config.options.background.is_some()) {
            return false;
        }
        if exits < 3 {
            process::become_subreaper();
            return false;
        }
        if !runtime.is_some_and(|runtime| runtime.follows_processes()) {
            process::resign_as_subreaper();
        }
        let mut known = runtime.map(|runtime| runtime.helpers.pids()).unwrap_or_default();
        let logger = self.logger.as_ref().and_then(|logger| logger.process.machine.pid());
        known.extend(logger.into_iter().chain(self.service.machine.pid()));
        let mut found = false;
        // Without /proc none is found.
        let _ = tree::children_of(process::id(), |child| found |= !known.contains(&child));
        found
    }

    /// Prints a warning: the kernel gave no process for a script.
    #[inline(never)]
    fn print_fork_error(&self, role: Role, error: Errno) {
        let Some(supervised) = self.supervised(role) else { return };
        let pause = Decimal::new(supervised.machine.fork_pause().as_secs());
        let (dir, pause) = (self.dir.to_bytes(), pause.as_bytes());
        let what = [b"unable to fork for ", dir, b", sleeping ", pause, b" seconds"];
        diag::warning("supervise", &what, error);
    }

    /// Adds the death of the service to s6's tally, if the service has one.
    fn count_death(&self, role: Role, script: Script, how: Ended) {
        let limit = self.runtime.as_ref().and_then(|runtime| runtime.config.death_tally);
        if let (Some(limit), Role::Service, Script::Run) = (limit, role, script) {
            self.files.write_death(now().label, how, limit);
        }
    }

    /// Publishes a changed wanted state before the fork. If this supervisor is killed after it, the next
    /// one finds the new process in the record, and the wanted state in the status.
    fn publish_before_spawn(&mut self, role: Role) {
        if let (Role::Logger, Some(logger)) = (role, &mut self.logger) {
            // A logger can be made long after the first status. Its process needs the whole record.
            logger.process.update_record(&self.files, self.service.machine.is_leaving());
        }
        if self.supervised(role).is_some_and(Supervised::has_unpublished_want) {
            self.publish();
        }
    }

    /// Starts a script of the service, or the logger.
    #[inline(never)]
    fn spawn(&mut self, role: Role, script: Script) -> Result<Pid> {
        let is_service = (role, script) == (Role::Service, Script::Run);
        let runtime = self.runtime.as_mut().filter(|_| is_service);
        let descriptor = runtime.as_ref().and_then(|it| it.config.options.ready.descriptor);
        let (reader, writer) = match descriptor {
            Some(_) => fd::pipe().map(|(reader, writer)| (Some(reader), Some(writer)))?,
            None => (None, None),
        };
        match process::fork()? {
            Forked::Parent(pid) => {
                if let Some(runtime) = runtime {
                    runtime.readiness.set_pipe(reader);
                    let leads_group = runtime.config.leads_group();
                    runtime.orphans.begin_run(Some(pid).filter(|_| leads_group));
                }
                if let Some(supervised) = self.supervised_mut(role) {
                    supervised.set_adopted(None);
                }
                Ok(pid)
            }
            Forked::Child => {
                unsent::forget();
                let code = self.become_child(role, script, writer);
                unsent::finish();
                process::exit(code)
            }
        }
    }

    /// The child between fork and exec. `readiness` is the pipe on which the service says that it is
    /// ready. Returns the exit code if exec fails.
    fn become_child(&self, role: Role, script: Script, readiness: Option<OwnedFd>) -> i32 {
        // The record comes first: it names the process before exec makes it the service. After the
        // limit of the file size is set below, SIGXFSZ could kill this process at the write.
        if let Some(supervised) = self.supervised(role) {
            supervised.record.write_new_process(&self.files, process::id(), script);
        }
        self.signals.restore_mask();
        match (role, &self.logger) {
            (Role::Logger, None) => return diag::TEMPORARY,
            (Role::Logger, Some(logger)) => {
                let config = self.runtime.as_ref().map(|runtime| &*runtime.config);
                return child::become_logger(self.dir, config, logger.reader());
            }
            (Role::Service, logger) => {
                if let Some(pipe) = logger.as_ref().and_then(|logger| logger.writer())
                    && let Err(error) = fd::place(pipe, 1)
                {
                    let what = [b"unable to set up descriptors for ", self.dir.to_bytes()];
                    return diag::fatal("supervise", &what, error);
                }
            }
        }
        let Some(runtime) = &self.runtime else {
            return child::become_plain(self.dir, script);
        };
        let how = self.service.machine.last_end();
        child::become_script(self.dir, script, runtime, how, &self.files, readiness)
    }

    /// Sends the signal of an effect, or lets runit's `control/` script do it.
    fn perform_signal(
        &mut self,
        role: Role,
        pid: Pid,
        signal: Signal,
        scope: Scope,
        requested: bool,
    ) {
        // It accompanies each stop signal.
        if signal == Signal::Cont && role == Role::Service {
            self.thaw();
        }
        let requested = requested && role == Role::Service;
        if requested && self.start_control_script(pid, signal, scope) {
            return;
        }
        // ESRCH: already gone.
        if let Err(error) = self.signal(role, pid, signal.number().into(), scope)
            && requested
            && error != Errno::SRCH
        {
            diag::warning("supervise", &[b"unable to signal ", self.dir.to_bytes()], error);
        }
    }

    /// Thaws the control group of the service, if it has one.
    fn thaw(&self) {
        let group = self.runtime.as_ref().and_then(|runtime| runtime.cgroup.as_ref());
        if group.is_some_and(Cgroup::thaw) {
            let dir = self.dir.to_bytes();
            diag::say(&[b"supervise: info: thawing the frozen control group of ", dir]);
        }
    }

    /// Sends a signal to the process, its group, or to all that it has started.
    pub(super) fn signal(&mut self, role: Role, pid: Pid, number: i32, scope: Scope) -> Result<()> {
        if let (Role::Service, Scope::Tree, Some(runtime)) = (role, scope, &mut self.runtime) {
            runtime.signal_below(pid, number);
        }
        let supervised = self.supervised(role).ok_or(Errno::SRCH)?;
        supervised.signal(pid, number, scope)
    }

    /// Sends a signal to the processes that the service left behind. Returns whether there are none.
    pub(super) fn sweep(&mut self, signal: Signal) -> bool {
        let number = i32::from(signal.number());
        if number != KILL {
            self.thaw();
        }
        let Some(runtime) = &mut self.runtime else {
            return true;
        };
        let left = runtime.signal_leftovers(number);
        if number == KILL {
            print_killed(self.dir.to_bytes(), &left);
        }
        left.is_empty()
    }

    /// Starts `check`. Returns the answer of a check that cannot be started.
    fn start_check(&mut self) -> Option<Event> {
        let report = self.runtime.as_mut().and_then(|runtime| runtime.report_pipe());
        match helpers::start(&self.signals, self.dir, c"./check", &[], None, report) {
            Ok(pid) => {
                if let Some(runtime) = &mut self.runtime {
                    runtime.helpers.add_check(pid);
                }
                None
            }
            Err(error) => {
                let what = [b"unable to fork for ", self.dir.to_bytes()];
                diag::warning("supervise", &what, error);
                Some(Event::CheckEnded { passed: false })
            }
        }
    }

    /// Starts the `control/` script for a signal. Returns whether there is one: if it exits nonzero,
    /// the signal is sent.
    fn start_control_script(&mut self, process: Pid, signal: Signal, scope: Scope) -> bool {
        let request = Some(SignalRequest { process, signal, scope });
        helpers::control_for_signal(signal).is_some_and(|path| self.start_control(path, request))
    }

    /// A `control/` script has ended: sends the signal that it leaves to supervise, and starts it once
    /// more if its letter came again.
    pub(super) fn control_ended(
        &mut self,
        declined: Option<SignalRequest>,
        next: Option<(&'static CStr, Option<SignalRequest>)>,
    ) {
        // The process that was to get the signal may have ended meanwhile.
        let main = self.service.machine.pid();
        let lives = |request: &SignalRequest| main == Some(request.process);
        if let Some(SignalRequest { process, signal, scope }) = declined.filter(lives) {
            let _ = self.signal(Role::Service, process, signal.number().into(), scope);
        }
        let Some((path, request)) = next else { return };
        if request.as_ref().is_none_or(lives)
            && !self.start_control(path, request)
            && let Some(SignalRequest { process, signal, scope }) = request
        {
            let _ = self.signal(Role::Service, process, signal.number().into(), scope);
        }
    }

    /// Starts the `control/` script for a command that changes the wanted state.
    ///
    /// Unlike runit, supervise does not wait for it: the command is obeyed whatever the script
    /// returns, and it may take its time.
    pub(super) fn start_control_for(&mut self, command: Command) {
        let path = helpers::control_for_command(command);
        if let Some(path) = path {
            self.start_control(path, None);
        }
    }

    /// Starts a `control/` script, now or when the one that runs for the same letter has ended. Returns
    /// whether there is one.
    fn start_control(&mut self, path: &'static CStr, request: Option<SignalRequest>) -> bool {
        let Some(runtime) = &mut self.runtime else { return false };
        if !runtime.config.control {
            return false;
        }
        if runtime.helpers.defer_control(path, request) {
            return true;
        }
        if !fs::is_executable(fs::HERE, path) {
            return false;
        }
        let report = runtime.report_pipe();
        let Ok(pid) = helpers::start(&self.signals, self.dir, path, &[], None, report) else {
            return false;
        };
        runtime.helpers.add_control(pid, path, request);
        true
    }

    /// Runs encore's `notify` when a script has started or ended, or the service has become ready.
    /// `before` is the process before the event, and what it ran.
    fn notify(&mut self, role: Role, event: Event, before: (Option<Pid>, Script)) {
        let Some(notifies) = self.runtime.as_ref().map(|runtime| runtime.config.notify) else {
            return;
        };
        let Some(supervised) = self.supervised_mut(role) else {
            return;
        };
        let phase = supervised.machine.phase();
        let (pid, script, change) = match (event, before, supervised.process()) {
            (Event::Spawned(pid), _, (_, script)) => (pid, script, Change::Start),
            (Event::Ended(how), (Some(pid), script), _) if how != Ended::Unknown => {
                (pid, script, Change::End(how))
            }
            (_, _, (Some(pid), script))
                if phase == Phase::Ready && supervised.notified_phase != phase =>
            {
                (pid, script, Change::Ready)
            }
            _ => return,
        };
        let old_phase = core::mem::replace(&mut supervised.notified_phase, phase);
        if !notifies {
            return;
        }
        let script: &[u8] = match (role, script) {
            (Role::Logger, _) => b"log",
            (Role::Service, Script::Start) => b"start",
            (Role::Service, Script::Run) => b"run",
            (Role::Service, Script::Stop) => b"stop",
            (Role::Service, Script::Finish) => b"finish",
        };
        let call = NotifyCall { script, change, pid, phases: [old_phase, phase] };
        let report = self.runtime.as_mut().and_then(|runtime| runtime.report_pipe());
        match call.start(&self.signals, self.dir, report) {
            Ok(pid) => {
                if let Some(runtime) = &mut self.runtime {
                    runtime.helpers.add_other(pid);
                }
            }
            Err(error) => {
                let what = [b"unable to fork for ", self.dir.to_bytes(), b"/notify"];
                diag::warning("supervise", &what, error);
            }
        }
    }

    /// The runtime has to know the logger: it is no process of the service.
    pub(super) fn show_logger_to_runtime(&mut self) {
        let logger = self.logger.as_ref().and_then(|logger| logger.process.machine.pid());
        if let Some(runtime) = &mut self.runtime {
            runtime.helpers.logger = logger;
        }
    }
}
