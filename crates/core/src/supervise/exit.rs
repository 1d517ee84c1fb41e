//! The end of a process, and what follows: the next start, `Down`, `Failed`, or the end of the
//! supervision.

use super::effect::{Effect, EffectList, PUBLISH, Report, prepend, report, sequence};
use super::process_timers::Timers;
use super::stopping::{DEFAULT_KILL_TIMEOUT, StopCause};
use super::{Machine, State};
use crate::Ended;
use crate::options::Personality;
use crate::state_dir::Script;
use crate::state_dir::control::{Scope, Signal};
use crate::state_dir::counters::DeathCause;
use crate::state_dir::phase::Reason;
use crate::state_dir::status::{StateCode, Want};
use crate::time::Now;

/// What is left to do for the scripts around `run`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScriptProgress {
    /// encore: `start` runs before the next `run`.
    pub(super) start_due: bool,
    /// encore: `stop` has run since the service was last told to stop.
    pub(super) stop_done: bool,
    /// How `run` ended last: the arguments of `finish`.
    pub(super) last_end: Option<Ended>,
    /// `run` ended while there was no supervisor, and its end still has to be counted.
    pub(super) end_uncounted: bool,
}

impl ScriptProgress {
    pub(super) const NEW: Self =
        Self { start_due: true, stop_done: false, last_end: None, end_uncounted: false };
}

impl Machine {
    /// Why `run` ends, if it ends now in this way.
    #[must_use]
    pub fn death_cause(&self, how: Ended) -> DeathCause {
        match self.stopping.cause {
            Some(StopCause::Outside) => DeathCause::Stop,
            Some(StopCause::Unhealthy) => DeathCause::Unhealthy,
            None if self.stopping.is_by_signal_command(how) => DeathCause::Stop,
            None => match how {
                Ended::Exited(_) => DeathCause::Exit,
                Ended::Killed(_) => DeathCause::Signal,
                Ended::Unknown => DeathCause::Unknown,
            },
        }
    }

    /// How `run` ended while no supervisor ran, before [`Event::Begin`](super::Event::Begin) counts it.
    #[must_use]
    pub fn uncounted_end(&self) -> Option<Ended> {
        self.scripts.last_end.filter(|_| self.scripts.end_uncounted)
    }

    /// `run` has ended.
    pub(super) fn run_ended(&mut self, how: Ended, now: Now) -> EffectList {
        let check = self.health.stop_check();
        self.since = now.label;
        self.health.ready_since = None;
        // The time of the leftovers runs from the stop signal.
        self.timers = Timers { kill: self.timers.kill, ..Timers::DISARMED };
        self.scripts.start_due = false;
        self.scripts.last_end = Some(how);
        self.run_end = Some(how);
        self.after_exit(how, check, now)
    }

    /// Counts the end of `run`, and sweeps its scope or takes the next step. The returned effects
    /// begin with `first`.
    pub(super) fn after_exit(&mut self, how: Ended, first: Option<Effect>, now: Now) -> EffectList {
        let decided = self.count_end(how, now);
        let fails = matches!(decided, Some(Report::Failed(_)));
        self.note_essential_exit(how, fails);
        if let Some(Report::Failed(reason)) = decided {
            self.reason = Some(reason);
            self.want = Want::Down;
            self.fail_pending = true;
        }
        // A service that ends for good has no next start.
        let decided = decided.filter(|_| fails || self.essential_end.is_none()).and_then(report);
        if self.policy().stop.scope == Scope::Process {
            self.timers = Timers::DISARMED;
            let effects = self.run_finish_or_continue(first, now);
            return prepend(decided, effects);
        }
        let [first, publish, sweep, ..] = self.sweep(first, now);
        sequence([first, publish, sweep, decided])
    }

    /// Kills the leftovers of `run` before the next step. The returned effects begin with `first`.
    pub(super) fn sweep(&mut self, first: Option<Effect>, now: Now) -> EffectList {
        let stop = self.policy().stop;
        self.state = State::Sweeping;
        // A stop signal for the whole scope has reached the leftovers already.
        let signal = if self.is_ending() { Signal::Cont } else { stop.signal };
        if !self.timers.kill.is_armed() {
            let timeout = stop.timeout.unwrap_or(DEFAULT_KILL_TIMEOUT);
            self.timers.kill.set(Some(timeout), now.instant);
        }
        [first, PUBLISH, Some(Effect::Sweep(signal)), None, None, None]
    }

    /// Counts the end of `run`, and sets the restart delay. Returns whether the service fails,
    /// starts later than after its first failure, or exits again and again.
    fn count_end(&mut self, how: Ended, now: Now) -> Option<Report> {
        let policy = *self.policy();
        self.backoff.end_run(&policy, now.instant);
        // A service that is stopped and started again may exit with code 100, too.
        let comes_back = self.stopping.cause == Some(StopCause::Outside) && self.want == Want::Up;
        let encore = policy.personality == Personality::Encore;
        if encore && how == Ended::Exited(100) && !comes_back {
            return Some(Report::Failed(Reason::Code100));
        }
        let is_failure = match self.stopping.cause {
            None => self.want == Want::Up && !self.stopping.is_by_signal_command(how),
            Some(StopCause::Outside) => false,
            Some(StopCause::Unhealthy) => true,
        };
        if !is_failure {
            return None;
        }
        let exits = Some(how).filter(|how| *how == Ended::Exited(0));
        let exits = exits.and_then(|_| self.backoff.note_exit(now.instant));
        if self.backoff.add_failure(&policy, now.instant) {
            return Some(Report::Failed(Reason::Deaths));
        }
        let delay = self.backoff.not_before.duration_since(now.instant);
        let is_longer = policy.restart.is_some_and(|restart| delay > restart.longest_first_delay());
        if let Some(exits) = exits {
            return Some(Report::QuickExits(exits));
        }
        (is_longer && self.want == Want::Up).then_some(Report::Delayed(delay))
    }

    /// Runs `finish` if there is one, or takes the step after it. The effects begin with `first`.
    fn run_finish_or_continue(&mut self, first: Option<Effect>, now: Now) -> EffectList {
        if self.policy().scripts.finish {
            return self.run_finish(first);
        }
        let effects = self.continue_after_end(now);
        prepend(first, effects)
    }

    /// Runs `finish`. The returned effects begin with `first`.
    pub(super) fn run_finish(&mut self, first: Option<Effect>) -> EffectList {
        let effects = self.spawn(PUBLISH, Script::Finish);
        prepend(first, effects)
    }

    /// A helper script has ended.
    pub(super) fn script_ended(&mut self, script: Script, how: Ended, now: Now) -> EffectList {
        self.timers = Timers::DISARMED;
        if self.policy().personality == Personality::Encore {
            self.since = now.label;
            if how == Ended::Exited(100) {
                self.note_essential_failure(how);
                return self.fail(Reason::Code100);
            }
        }
        match script {
            Script::Start => self.start_script_ended(how, now),
            Script::Finish
                if self.policy().personality == Personality::S6 && how == Ended::Exited(125) =>
            {
                self.note_essential_failure(self.scripts.last_end.unwrap_or(how));
                self.fail(Reason::Finish125)
            }
            Script::Run | Script::Stop | Script::Finish => self.continue_after_end(now),
        }
    }

    /// `start` has ended.
    fn start_script_ended(&mut self, how: Ended, now: Now) -> EffectList {
        let succeeded = how == Ended::Exited(0);
        // A `start` that was interrupted runs again.
        self.scripts.start_due = !succeeded;
        if self.want == Want::Down {
            return self.continue_after_end(now);
        }
        if !succeeded && !self.is_ending() {
            if !self.stopping.is_by_signal_command(how) {
                self.note_essential_failure(how);
            }
            return self.fail(Reason::StartScript);
        }
        if self.leaving {
            return self.leave();
        }
        // Without its policy, the supervisor has adopted `start`, and could not read the option files.
        if succeeded && self.policy().scripts.start {
            return self.run(PUBLISH, now);
        }
        // Or it was told to stop, and the service is wanted up again.
        self.start(PUBLISH, now)
    }

    /// All leftovers of `run` have ended.
    pub(super) fn swept(&mut self, now: Now) -> EffectList {
        self.timers = Timers::DISARMED;
        self.run_finish_or_continue(None, now)
    }

    /// No process is left: starts again, fails, goes down or exits.
    #[inline(never)]
    pub(super) fn continue_after_end(&mut self, now: Now) -> EffectList {
        self.timers = Timers::DISARMED;
        let leaves = self.leaving && (self.fail_pending || self.want != Want::Down);
        if leaves || self.essential_end.is_some() {
            return self.leave();
        }
        if self.fail_pending {
            self.state = State::Failed;
            return sequence([PUBLISH]);
        }
        match self.want {
            Want::Up => self.start(PUBLISH, now),
            Want::Once if self.once_pending => self.start(PUBLISH, now),
            Want::Down | Want::Once => self.go_down(),
        }
    }

    /// Goes down for good. Runs `stop` before that, once for each stop.
    #[inline(never)]
    pub(super) fn go_down(&mut self) -> EffectList {
        self.health.ready_since = None;
        if self.policy().scripts.stop && !self.scripts.stop_done {
            // Set before the fork: a `stop` that cannot be forked is left out.
            self.scripts.stop_done = true;
            return self.spawn(PUBLISH, Script::Stop);
        }
        if self.leaving {
            return self.leave();
        }
        self.state = State::Down;
        sequence([PUBLISH])
    }

    /// Fails: only a command starts the service again.
    #[inline(never)]
    pub(super) fn fail(&mut self, reason: Reason) -> EffectList {
        self.reason = Some(reason);
        self.want = Want::Down;
        self.state = State::Failed;
        let leaves = self.leaving || self.essential_end.is_some();
        let effects = if leaves { self.leave() } else { sequence([PUBLISH]) };
        // The program names the cycle itself.
        let is_named = reason == Reason::Cycle;
        prepend(report(Report::Failed(reason)).filter(|_| !is_named), effects)
    }

    /// Ends the supervision.
    #[inline(never)]
    pub(super) fn leave(&mut self) -> EffectList {
        self.final_code = match self.state {
            State::Failed | State::Started => self.state_code(),
            _ if self.fail_pending => StateCode::Failed,
            _ => StateCode::Stopped,
        };
        self.state = State::Gone;
        sequence([PUBLISH, Some(Effect::Exit)])
    }
}
