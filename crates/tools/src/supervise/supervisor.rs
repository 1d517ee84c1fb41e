//! The event loop of supervise: waits, and passes what happens to the machine that it concerns.

use super::held_stop::HeldStop;
use super::performer::Performer;
use super::supervised::Role;
use crate::common::children::reap;
use crate::common::clock::instant;
use crate::common::diag::TEMPORARY;
use crate::common::unsent;
use core::time::Duration;
use daemontools_core::state_dir::control::{Command, Decoder};
use daemontools_core::supervise::{Event, State};
use daemontools_core::time::Instant;

/// A status that could not be written, or a helper process that could not be started, is tried again
/// after this time.
const RETRY: Duration = Duration::from_secs(5);

/// A running supervise.
pub(super) struct Supervisor {
    pub(super) performer: Performer,
    /// What the last bytes of `control` chose, while the rest of the same message may follow.
    pub(super) decoder: Decoder,
    /// After QUIT: when the supervisor exits although the service still runs.
    pub(super) exit_due: Option<Instant>,
    /// The stop that waits for the services which need this one.
    pub(super) held_stop: Option<HeldStop>,
    /// The command that follows that stop, up or once.
    pub(super) next_command: Option<Command>,
}

impl Supervisor {
    /// Runs until the service and its logger are gone. Returns the exit code.
    #[inline(never)]
    pub(super) fn run(&mut self) -> i32 {
        // The service writes to the logger.
        self.performer.step(Role::Logger, Event::Begin);
        self.performer.step(Role::Service, Event::Begin);
        self.catch_up_on_stop();
        // A child can have ended during a live upgrade.
        self.reap();
        while !self.is_over() {
            if self.exit_due.is_some() && self.kill_and_exit() {
                return TEMPORARY;
            }
            // Before the wait: a command can have begun the time of a claim.
            self.performer.step_claims();
            if self.performer.unpublished {
                self.performer.publish();
            }
            let performer = &self.performer;
            let runtime = performer.runtime.as_deref();
            // The readiness messages of a service are handled before its end.
            let events = [
                Some(performer.signals.fd()),
                Some(performer.files.control()),
                performer.service.end_fd(),
                runtime.and_then(|runtime| runtime.readiness.pipe()),
                runtime.and_then(|runtime| runtime.readiness.socket()),
                runtime.and_then(|runtime| {
                    runtime.prerequisites_fd(performer.service.machine.state())
                }),
                performer.logger.as_ref().and_then(|logger| logger.process.end_fd()),
                runtime.and_then(|runtime| runtime.orphans_fd(performer.service.machine.state())),
                self.held_stop.as_ref().and_then(HeldStop::fd),
                runtime.and_then(|runtime| runtime.helpers.reports_fd()),
            ];
            // Whether each descriptor is readable.
            let [
                signals,
                control,
                service_end,
                ready_pipe,
                notify_socket,
                prerequisites,
                logger_end,
                orphan_end,
                dependent_end,
                helper_report,
            ] = unsent::wait(events, self.timeout());
            if ready_pipe || notify_socket || self.performer.waits_for_helper() {
                self.performer.read_readiness(ready_pipe);
            }
            if helper_report {
                self.performer.take_reports();
            }
            if signals {
                self.take_signals();
            }
            if service_end {
                self.performer.adopted_ended(Role::Service);
            }
            if logger_end {
                self.performer.adopted_ended(Role::Logger);
            }
            if orphan_end {
                self.performer.check_swept();
            }
            // After the signals: a supervisor that leaves restarts nothing for a lost dependency.
            if prerequisites
                || self.performer.prerequisites_due().is_some_and(|due| due <= instant())
            {
                self.performer.check_prerequisites();
            }
            self.step_held_stop(dependent_end);
            self.obey_next_command();
            for role in [Role::Service, Role::Logger] {
                let supervised = self.performer.supervised(role);
                if supervised.is_some_and(|it| it.machine.deadline().is_some()) {
                    self.performer.step(role, Event::Tick);
                }
            }
            if control {
                self.take_commands();
            }
        }
        self.performer.publish();
        if let Some(runtime) = &mut self.performer.runtime {
            runtime.remove_cgroup();
            runtime.readiness.remove_socket_file();
        }
        self.performer.exit_code()
    }

    /// Whether the service is gone, and its logger as well.
    fn is_over(&mut self) -> bool {
        self.performer.service.machine.state() == State::Gone && self.performer.end_logger()
    }

    /// How long to wait for events; `None` if nothing is due.
    fn timeout(&self) -> Option<Duration> {
        let now = instant();
        let performer = &self.performer;
        let service = performer.service.machine.deadline();
        let logger = performer.logger.as_ref().and_then(|logger| logger.deadline());
        let held = self.held_stop.as_ref().map(HeldStop::deadline);
        let claim = performer.claim_deadline();
        let look = performer.prerequisites_due();
        let due = service.into_iter().chain(logger).chain(self.exit_due).chain(held);
        let due = due.chain(claim).chain(look);
        let retry = (performer.unpublished || performer.waits_for_helper()).then_some(RETRY);
        due.map(|deadline| deadline.duration_since(now)).chain(retry).min()
    }

    /// Reaps all children that have ended.
    pub(super) fn reap(&mut self) {
        while let Some((pid, how)) = reap() {
            self.performer.child_ended(pid, how);
        }
        self.performer.check_swept();
    }
}
