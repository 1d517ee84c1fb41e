//! Stopping a process: the stop signal, its scope, and the KILL that follows.

use super::effect::{Effect, EffectList, NONE, PUBLISH, Report, report, sequence};
use super::{Machine, State};
use crate::state_dir::Script;
use crate::state_dir::control::{Scope, Signal};
use crate::state_dir::phase::Reason;
use crate::time::Now;
use crate::{Ended, Pid};
use core::time::Duration;

/// How long a process may take before KILL, if supervise stops it by itself and the policy has no
/// timeout. Also the time between two attempts to kill leftovers.
pub const DEFAULT_KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a process was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopCause {
    /// A command, or a lost dependency: the death is no failure of the service.
    Outside,
    /// Its watchdog, readiness or health check: the death is a failure.
    Unhealthy,
}

/// The sender of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Command,
    Machine,
}

/// What was sent to the process to end it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    /// Why it was told to stop, if it was.
    pub(super) cause: Option<StopCause>,
    /// A signal command was sent that usually ends a process: the death is no failure.
    pub(super) fatal_signal: bool,
    /// The signals that commands have sent: bit N for signal N + 1. One of these that kills the process
    /// makes the death no failure.
    sent: u64,
}

impl Stopping {
    pub(super) const NO: Self = Self { cause: None, fatal_signal: false, sent: 0 };

    /// Whether a signal command has ended the process; `how` it ended.
    pub(super) fn is_by_signal_command(&self, how: Ended) -> bool {
        let was_sent = |signal: u8| self.sent & bit(signal) != 0;
        self.fatal_signal || matches!(how, Ended::Killed(signal) if was_sent(signal))
    }
}

/// The bit of a signal in a set of signals; 0 for a number that no signal has.
fn bit(signal: u8) -> u64 {
    1_u64.checked_shl(u32::from(signal).wrapping_sub(1)).unwrap_or(0)
}

impl Machine {
    /// Stops a process because the service is wanted down. Returns the stop signal and CONT.
    #[inline(never)]
    pub(super) fn stop_as_wanted(
        &mut self,
        pid: Pid,
        scope: Scope,
        sender: Sender,
        now: Now,
    ) -> [Option<Effect>; 2] {
        self.stopping.cause = Some(StopCause::Outside);
        self.scripts.stop_done = false;
        self.send_stop_signal(pid, scope, sender, self.policy().stop.timeout, now)
    }

    /// Stops a service that is wanted up. Its end lets it start again.
    #[inline(never)]
    pub(super) fn restart(&mut self, pid: Pid, reason: Reason, now: Now) -> EffectList {
        if self.is_ending() {
            return NONE;
        }
        self.state = State::Up { pid, paused: false };
        let cause = if reason == Reason::Needs { StopCause::Outside } else { StopCause::Unhealthy };
        self.stopping.cause = Some(cause);
        self.reason = Some(reason);
        let timeout = self.policy().stop.timeout.unwrap_or(DEFAULT_KILL_TIMEOUT);
        let check = self.disarm_health_timers();
        let [stop, cont] =
            self.send_stop_signal(pid, Scope::Process, Sender::Machine, Some(timeout), now);
        // The program names the lost dependency itself.
        let decided = report(Report::Stopped(reason)).filter(|_| reason != Reason::Needs);
        sequence([check, stop, cont, PUBLISH, decided])
    }

    /// The stop signal, and CONT so that a stopped process notices it. `timeout` is the time until
    /// KILL; a kill timer that is armed already stays as it is.
    #[inline(never)]
    pub(super) fn send_stop_signal(
        &mut self,
        pid: Pid,
        scope: Scope,
        sender: Sender,
        timeout: Option<Duration>,
        now: Now,
    ) -> [Option<Effect>; 2] {
        if !self.timers.kill.is_armed() {
            self.timers.kill.set(timeout, now.instant);
        }
        let stop = self.policy().stop;
        let scope = scope.max(stop.scope);
        let requested = sender == Sender::Command;
        [
            Some(Effect::Signal { pid, signal: stop.signal, scope, requested }),
            Some(Effect::Signal { pid, signal: Signal::Cont, scope, requested: false }),
        ]
    }

    /// The KILL for the process of a script that has not ended in time.
    pub(super) fn kill(script: Script, pid: Pid, scope: Scope) -> EffectList {
        let kill = Effect::Signal { pid, signal: Signal::Kill, scope, requested: false };
        sequence([Some(kill), report(Report::Killed(script, pid))])
    }

    /// The scope of KILL, which may be larger than that of the stop signal.
    pub(super) fn kill_scope(&self) -> Scope {
        let stop = self.policy().stop;
        let least = if stop.kill_group { Scope::Group } else { Scope::Process };
        least.max(stop.scope)
    }

    /// Notes a signal command, and whether it usually ends the process.
    pub(super) fn note_signal(&mut self, signal: Signal) {
        use Signal::{Abrt, Int, Kill, Quit, Term};
        self.stopping.sent |= bit(signal.number());
        self.stopping.fatal_signal |= matches!(signal, Term | Kill | Int | Quit | Abrt)
            || signal == self.policy().stop.signal;
    }
}
