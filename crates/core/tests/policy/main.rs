//! The supervise machine under policies beyond the original's: scenarios for each option, and
//! properties over random policies and events with a small kernel.

#[path = "../common/cases.rs"]
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod essential;
mod health;
#[path = "../common/policy_kernel.rs"]
mod kernel;
mod preparation;
mod random_policies;
mod recovered;
mod restarts;
mod scripts;
mod stop;

use common::{Story, at, in_words};
use daemontools_core::Ended;
use daemontools_core::options::{HealthCheck, Personality, RestartDelay, RestartLimit, StopPolicy};
use daemontools_core::state_dir::control::{Command, Scope};
use daemontools_core::state_dir::status::StateCode;
use daemontools_core::supervise::{Event, Notification, Policy, Scripts};
use std::time::Duration;

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) const PLAIN: Policy = Policy::ORIGINAL;

/// KILL follows three seconds after the stop signal.
pub(crate) const PATIENT: Policy =
    Policy { stop: StopPolicy { timeout: Some(ms(3_000)), ..PLAIN.stop }, ..PLAIN };

pub(crate) const ANNOUNCING: Policy = Policy {
    notifies_readiness: true,
    ready_timeout: Some(ms(10_000)),
    watchdog: Some(ms(2_000)),
    ..PLAIN
};

pub(crate) const CHECKED: Policy = Policy {
    check: Some(HealthCheck { interval: ms(1_000), timeout: ms(500), failures: 2 }),
    ..PLAIN
};

pub(crate) const SLOWER: Policy = Policy {
    restart: Some(RestartDelay {
        min: ms(2_000),
        max: ms(10_000),
        factor: 3,
        jitter: 0,
        reset: ms(60_000),
    }),
    ..PLAIN
};

pub(crate) const LIMITED: Policy =
    Policy { limit: Some(RestartLimit { deaths: 3, within: ms(20_000) }), ..PLAIN };

pub(crate) const S6: Policy = Policy {
    personality: Personality::S6,
    scripts: Scripts { finish: true, ..PLAIN.scripts },
    finish_timeout: Some(ms(5_000)),
    ..PLAIN
};

pub(crate) const RUNIT: Policy =
    Policy { personality: Personality::Runit, finish_timeout: None, ..S6 };

pub(crate) const ENCORE: Policy = Policy {
    personality: Personality::Encore,
    scripts: Scripts { start: true, stop: true, ..PLAIN.scripts },
    ..PLAIN
};

pub(crate) const ONE_SHOT: Policy =
    Policy { scripts: Scripts { runless: true, ..ENCORE.scripts }, ..ENCORE };

pub(crate) const fn stopping(scope: Scope) -> Policy {
    Policy { stop: StopPolicy { scope, ..PATIENT.stop }, ..PATIENT }
}

pub(crate) const fn exited(code: u8) -> Event {
    Event::Ended(Ended::Exited(code))
}

pub(crate) const fn command(command: Command) -> Event {
    Event::Command(command, Scope::Process)
}

pub(crate) const TERMINATED: Event = Event::Ended(Ended::Killed(15));

impl Story {
    /// A story of a service with this policy, after `Begin`.
    pub(crate) fn of(policy: Policy, normally_up: bool) -> Self {
        let mut story = Self::new(normally_up);
        story.machine.configure(policy, 0);
        story.event(Event::Begin);
        story
    }

    /// A story whose `run` runs since the beginning.
    pub(crate) fn running(policy: Policy) -> Self {
        let mut story = Self::of(policy, true);
        story.spawned();
        if policy.scripts.start {
            story.event(exited(0));
            story.spawned();
        }
        assert_eq!(story.shown_state(), "up u");
        story
    }

    /// One step without the answer to `Prepare`.
    pub(crate) fn one_step(&mut self, event: Event) -> String {
        in_words(self.machine.step(event, at(self.ms)))
    }

    pub(crate) fn tick(&mut self) -> String {
        self.event(Event::Tick)
    }

    /// Moves the clock to the deadline, and ticks.
    pub(crate) fn tick_when_due(&mut self) -> String {
        self.ms = self.due().expect("a deadline");
        self.tick()
    }

    pub(crate) fn notify(&mut self, notification: Notification) -> String {
        self.event(Event::Notified(notification))
    }

    pub(crate) fn code(&self) -> StateCode {
        self.machine.record().state.expect("a state code")
    }
}
