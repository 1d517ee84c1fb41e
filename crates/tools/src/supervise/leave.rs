//! How supervise leaves: in order when the service is gone, or in haste after QUIT.

use super::performer::Performer;
use super::supervised::Role;
use super::supervisor::Supervisor;
use crate::common::clock::instant;
use crate::common::diag;
use daemontools_core::state_dir::control::{Command, Scope, Signal};
use daemontools_core::supervise::{Event, State};
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::signal::KILL;

impl Performer {
    /// The service is gone: ends its logger too. Returns whether the logger is gone.
    pub(super) fn end_logger(&mut self) -> bool {
        let Some(logger) = &mut self.logger else {
            return true;
        };
        logger.close_writer();
        let state = logger.process.machine.state();
        // A logger that died before it had read everything is started once more.
        if matches!(state, State::Waiting { .. }) && !logger.has_read_all() {
            return false;
        }
        let stop_due = logger.take_stop_due(instant());
        if !logger.process.machine.is_leaving() {
            if matches!(state, State::Up { paused: true, .. }) {
                self.step(Role::Logger, Event::Command(Command::Continue, Scope::Process));
            }
            self.step(Role::Logger, Event::Command(Command::Exit, Scope::Process));
        } else if stop_due && logger.has_read_all() {
            self.step(Role::Logger, Event::Command(Command::Down, Scope::Process));
        }
        let logger = self.supervised(Role::Logger);
        logger.is_none_or(|logger| logger.machine.state() == State::Gone)
    }

    /// Kills the process of the service, or its leftovers.
    fn kill_service(&mut self) {
        match (self.service.machine.state(), self.service.machine.pid()) {
            (State::Sweeping, _) if self.sweep(Signal::Kill) => {
                self.step(Role::Service, Event::Swept);
            }
            (_, Some(pid)) => {
                let scope = self.service.machine.policy().stop.scope;
                let _ = self.signal(Role::Service, pid, KILL, scope);
            }
            _ => {}
        }
    }

    /// Kills the logger, whatever there is left to read.
    fn kill_logger(&mut self) {
        if let Some(pid) = self.supervised(Role::Logger).and_then(|logger| logger.machine.pid()) {
            let _ = self.signal(Role::Logger, pid, KILL, Scope::Process);
        }
    }
}

impl Supervisor {
    /// Kills the service and its scripts. Returns whether the supervisor exits now without having
    /// seen their end, as after a KILL: the process record names them to the next supervisor.
    #[inline(never)]
    pub(super) fn kill_and_exit(&mut self) -> bool {
        self.performer.kill_service();
        let is_due = self.exit_due.is_some_and(|due| due <= instant());
        if is_due && let Some(pid) = self.performer.service.machine.pid() {
            let digits = Decimal::new(pid.get().cast_unsigned().into());
            let dir = self.performer.dir.to_bytes();
            let what = [b"process ", digits.as_bytes(), b" of ", dir, b" refuses to die"];
            diag::say(&[b"supervise: warning: leaving, although ", &what.concat()]);
        }
        if is_due {
            self.performer.kill_logger();
        }
        is_due
    }
}
