//! Readiness, watchdog and health checks of a running service.

use super::effect::{Effect, EffectList, NONE, PUBLISH, prepend, sequence};
use super::event::Notification;
use super::{Machine, State};
use crate::Pid;
use crate::state_dir::Script;
use crate::state_dir::phase::Reason;
use crate::time::Now;
use crate::time::tai::Tai64n;
use core::time::Duration;

/// What a ready service says that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Reloading,
    Stopping,
}

/// What is known about the health of the running process. It ends with the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    /// When the service became ready.
    pub(super) ready_since: Option<Tai64n>,
    /// What the service said last, until the next [`Notification::Ready`].
    pub(super) activity: Option<Activity>,
    /// The watchdog timeout that the service chose itself.
    watchdog: Option<Duration>,
    /// Whether a check runs.
    checking: bool,
    /// Failed checks in a row since the service is ready.
    failed_checks: u32,
}

impl Health {
    /// Nothing is known about a new process.
    pub(super) const UNKNOWN: Self = Self {
        ready_since: None,
        activity: None,
        watchdog: None,
        checking: false,
        failed_checks: 0,
    };

    /// Ends the running check, if there is one.
    pub(super) fn stop_check(&mut self) -> Option<Effect> {
        core::mem::take(&mut self.checking).then_some(Effect::StopCheck)
    }
}

impl Machine {
    /// Arms the health timers of a process that is new, continued or adopted.
    pub(super) fn arm_health_timers(&mut self, now: Now) {
        let is_ready = self.health.ready_since.is_some();
        if self.policy().reports_readiness() && !is_ready {
            self.timers.ready.set(self.policy().ready_timeout, now.instant);
        }
        if !self.policy().notifies_readiness || is_ready {
            self.rearm_watchdog(now);
        }
        let check = self.policy().check.filter(|check| check.failures > 0 || !is_ready);
        self.timers.check.set(check.map(|check| check.interval), now.instant);
    }

    /// Disarms the health timers of a process that is paused or told to stop. Returns the effect
    /// that ends the running check.
    pub(super) fn disarm_health_timers(&mut self) -> Option<Effect> {
        self.timers.ready.disarm();
        self.timers.watchdog.disarm();
        self.timers.check.disarm();
        self.health.stop_check()
    }

    /// Starts the watchdog timeout again.
    fn rearm_watchdog(&mut self, now: Now) {
        if matches!(self.state, State::Up { paused: false, .. }) && !self.is_ending() {
            let timeout = self.health.watchdog.or(self.policy().watchdog);
            self.timers.watchdog.set(timeout, now.instant);
        }
    }

    /// The service is ready. Only the first time counts.
    fn become_ready(&mut self, now: Now) {
        if self.health.ready_since.is_none() {
            self.health.ready_since = Some(now.label);
            self.timers.ready.disarm();
            self.rearm_watchdog(now);
        }
    }

    /// The service that runs as `pid` sent a notification.
    pub(super) fn notified(
        &mut self,
        pid: Pid,
        notification: Notification,
        now: Now,
    ) -> EffectList {
        match notification {
            Notification::Ready => {
                self.health.activity = None;
                self.become_ready(now);
            }
            Notification::Reloading => self.health.activity = Some(Activity::Reloading),
            Notification::Stopping => self.health.activity = Some(Activity::Stopping),
            Notification::KeepAlive => {
                // The record does not show it.
                self.rearm_watchdog(now);
                return NONE;
            }
            Notification::WatchdogTrigger => return self.restart(pid, Reason::Watchdog, now),
            Notification::WatchdogTimeout(timeout) => {
                self.health.watchdog = Some(timeout);
                self.rearm_watchdog(now);
            }
            Notification::ExtendTimeout(time) => {
                let earliest = now.instant + time;
                self.timers.kill.extend(earliest);
                self.timers.ready.extend(earliest);
                return NONE;
            }
        }
        sequence([PUBLISH])
    }

    /// The health check of the service that runs as `pid` has ended.
    pub(super) fn check_ended(&mut self, pid: Pid, passed: bool, now: Now) -> EffectList {
        let Some(check) = self.policy().check.filter(|_| self.health.checking) else {
            return NONE;
        };
        self.health.checking = false;
        if self.is_ending() {
            return NONE;
        }
        let was_ready = self.health.ready_since.is_some();
        // With `failures` 0, checks only find out when the service is ready.
        let goes_on = check.failures > 0 || (!passed && !was_ready);
        self.timers.check.set(goes_on.then_some(check.interval), now.instant);
        if passed {
            self.health.failed_checks = 0;
            if was_ready {
                return NONE;
            }
            self.become_ready(now);
            return sequence([PUBLISH]);
        }
        // Checks count only once ready; the readiness timeout covers the time before.
        if !was_ready || !goes_on {
            return NONE;
        }
        self.health.failed_checks += 1;
        if self.health.failed_checks >= check.failures {
            self.restart(pid, Reason::Check, now)
        } else {
            NONE
        }
    }

    /// Handles the first timer that is due for the service that runs as `pid`.
    pub(super) fn take_due_timer(&mut self, pid: Pid, now: Now) -> EffectList {
        if self.timers.kill.take_due(now.instant) {
            return Self::kill(Script::Run, pid, self.kill_scope());
        }
        if self.timers.ready.take_due(now.instant) {
            return self.restart(pid, Reason::NotReady, now);
        }
        if self.timers.watchdog.take_due(now.instant) {
            return self.restart(pid, Reason::Watchdog, now);
        }
        if let Some(check) = self.policy().check
            && self.timers.check.take_due(now.instant)
        {
            if self.health.checking {
                let effects = self.check_ended(pid, false, now);
                return prepend(Some(Effect::StopCheck), effects);
            }
            self.health.checking = true;
            self.timers.check.set(Some(check.timeout), now.instant);
            return sequence([Some(Effect::StartCheck)]);
        }
        NONE
    }
}
