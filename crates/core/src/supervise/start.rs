//! The start of a service: from the wanted state to the process.

use super::effect::{Effect, EffectList, PUBLISH, sequence};
use super::health::Health;
use super::process_timers::Timers;
use super::stopping::Sender;
use super::{Machine, State, Stopping};
use crate::Pid;
use crate::state_dir::Script;
use crate::state_dir::control::Scope;
use crate::state_dir::phase::Reason;
use crate::state_dir::status::Want;
use crate::time::{Instant, Now};
use core::time::Duration;

/// The time until a service directory with a mistake is read again.
pub const REFUSED_RETRY: Duration = Duration::from_secs(5);

impl Machine {
    /// The supervision begins, without a process.
    pub(super) fn begin(&mut self, now: Now) -> EffectList {
        if let Some(how) = self.scripts.last_end {
            if core::mem::take(&mut self.scripts.end_uncounted) {
                return self.after_exit(how, None, now);
            }
            // The predecessor may have died during its sweep.
            if self.policy().stop.scope != Scope::Process {
                return self.sweep(None, now);
            }
            if self.policy().scripts.finish {
                return self.run_finish(None);
            }
        }
        match self.want {
            // The predecessor was told to exit, and had only to sweep or to run a script before.
            Want::Down if self.leaving => self.go_down(),
            _ if self.leaving => self.leave(),
            Want::Up => self.start(PUBLISH, now),
            // After a resumption, `once` has been started already.
            Want::Down | Want::Once => sequence([PUBLISH]),
        }
    }

    /// The rest of a restart delay that a predecessor recorded is at most the longest one of the policy.
    /// The wall clock, in which it was recorded, may have been set back since.
    pub(super) fn limit_resumed_delay(&mut self, now: Instant) {
        let restart = self.policy().restart;
        let longest = restart.map_or(REFUSED_RETRY, |restart| restart.longest());
        self.backoff.not_before = self.backoff.not_before.min(now + longest);
    }

    /// Starts now, or waits until the next start is allowed. The returned effects begin with `first`.
    #[inline(never)]
    pub(super) fn start(&mut self, first: Option<Effect>, now: Now) -> EffectList {
        let due = self.backoff.next_start(now.instant);
        if due > now.instant {
            self.state = State::Waiting { due };
            return sequence([first]);
        }
        self.state = State::Preparing;
        sequence([first, Some(Effect::Prepare)])
    }

    /// The service may start.
    pub(super) fn prepared(&mut self, now: Now) -> EffectList {
        // What was wrong with the option files is right now.
        self.reason =
            self.reason.filter(|reason| !matches!(reason, Reason::Options | Reason::Setup));
        // Commands that came in this state were only noted.
        if self.leaving {
            return self.leave();
        }
        if self.want == Want::Down {
            return self.go_down();
        }
        let scripts = self.policy().scripts;
        if scripts.start && self.scripts.start_due {
            return self.spawn(None, Script::Start);
        }
        self.run(None, now)
    }

    /// The service directory has a mistake, or its options cannot be set up.
    pub(super) fn refused(&mut self, reason: Reason, now: Now) -> EffectList {
        if self.leaving {
            return self.leave();
        }
        if reason == Reason::Cycle {
            return self.fail(reason);
        }
        self.reason = Some(reason);
        self.state = State::Waiting { due: now.instant + REFUSED_RETRY };
        self.wait_if_wanted()
    }

    /// A dependency or the first connection is missing.
    pub(super) fn block(&mut self) -> EffectList {
        if self.leaving {
            return self.leave();
        }
        self.state = State::Blocked;
        self.wait_if_wanted()
    }

    /// The fork of `start` or `run` failed.
    pub(super) fn start_failed(&mut self, now: Now) -> EffectList {
        self.backoff.add_fork_failure();
        self.state = State::Waiting { due: now.instant + self.backoff.fork_pause() };
        self.wait_if_wanted()
    }

    /// Stays in a waiting state, unless a command has made the service wanted down meanwhile.
    fn wait_if_wanted(&mut self) -> EffectList {
        if self.want == Want::Down { self.go_down() } else { sequence([PUBLISH]) }
    }

    /// Starts `run`. Without a file `run` the service is started without a process. The effects of
    /// a start begin with `first`.
    #[inline(never)]
    pub(super) fn run(&mut self, first: Option<Effect>, now: Now) -> EffectList {
        if !self.policy().scripts.runless {
            return self.spawn(first, Script::Run);
        }
        self.state = State::Started;
        self.scripts.start_due = false;
        self.scripts.stop_done = false;
        self.once_pending = false;
        self.want = Want::Once;
        self.since = now.label;
        self.health.ready_since = Some(now.label);
        sequence([PUBLISH])
    }

    /// Starts a script. The returned effects begin with `first`.
    #[inline(never)]
    pub(super) fn spawn(&mut self, first: Option<Effect>, script: Script) -> EffectList {
        self.state = State::Spawning(script);
        sequence([first, Some(Effect::Spawn(script))])
    }

    /// The process of a script exists.
    pub(super) fn spawned(&mut self, script: Script, pid: Pid, now: Now) -> EffectList {
        self.timers = Timers::DISARMED;
        self.backoff.clear_fork_failures();
        self.stopping.cause = None;
        self.state = match script {
            Script::Run => State::Up { pid, paused: false },
            Script::Start | Script::Stop | Script::Finish => State::RunningScript { script, pid },
        };
        // While `finish` runs, the service is down since its end.
        if script != Script::Finish {
            self.since = now.label;
        }
        match script {
            Script::Run => {
                self.backoff.last_start = Some(now.instant);
                self.once_pending = false;
                self.stopping = Stopping::NO;
                self.health = Health::UNKNOWN;
                if self.want != Want::Down {
                    self.arm_health_timers(now);
                }
            }
            Script::Start => {
                self.backoff.last_start = Some(now.instant);
                self.stopping = Stopping::NO;
            }
            Script::Stop => {}
            Script::Finish => self.timers.kill.set(self.policy().finish_timeout, now.instant),
        }
        // A command to go down was only noted while there was no process.
        let [stop, cont] = match (self.want, script) {
            (Want::Down, Script::Run | Script::Start) => {
                self.stop_as_wanted(pid, Scope::Process, Sender::Machine, now)
            }
            _ => [None; 2],
        };
        sequence([stop, cont, PUBLISH])
    }
}
