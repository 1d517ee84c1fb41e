//! The table: each state against each event.
//!
//! Each group of states has one function, and each function matches every event, so that a new
//! event does not compile before it has a meaning everywhere. `docs/state-table.md` shows the
//! result.

use super::effect::{Effect, EffectList, Effects, NONE, PUBLISH, sequence};
use super::event::Event;
use super::stopping::{DEFAULT_KILL_TIMEOUT, Sender, StopCause};
use super::{Machine, State};
use crate::Pid;
use crate::state_dir::Script;
use crate::state_dir::control::{Command, Scope, Signal};
use crate::state_dir::phase::Reason;
use crate::state_dir::status::Want;
use crate::time::{Instant, Now};

use Command as C;
use Event as E;

impl Machine {
    /// Takes one event at this time, and returns what the program has to do.
    pub fn step(&mut self, event: Event, now: Now) -> Effects {
        if let E::Command(command, _) = event {
            self.note_command(command);
        }
        if event == E::Begin {
            self.limit_resumed_delay(now.instant);
        }
        let effects = match self.state {
            State::Down | State::Failed | State::Started => self.at_rest(event, now),
            State::Waiting { due } => self.waiting(due, event, now),
            State::Blocked => self.blocked(event, now),
            State::Preparing => self.preparing(event, now),
            State::Spawning(script) => self.spawning(script, event, now),
            State::Up { pid, paused } => self.up(pid, paused, event, now),
            State::RunningScript { script, pid } => self.running_script(script, pid, event, now),
            State::Sweeping => self.sweeping(event, now),
            // The end is final.
            State::Gone => NONE,
        };
        effects.into_iter().flatten()
    }

    /// Notes what a command wants from now on, in every state but the last.
    fn note_command(&mut self, command: Command) {
        if self.state == State::Gone {
            return;
        }
        match command {
            C::Up => {
                // A service in `Started` has had its `start`.
                self.scripts.start_due |= self.want != Want::Up && self.state != State::Started;
                self.want = Want::Up;
                self.reset_backoff();
            }
            C::Down => {
                self.want = Want::Down;
                self.fail_pending = false;
                self.essential_end = None;
            }
            C::Once => {
                self.want = Want::Once;
                self.once_pending = !matches!(self.state, State::Up { .. });
                self.reset_backoff();
            }
            C::AtMostOnce if self.want != Want::Down => {
                self.want = Want::Once;
                self.once_pending = false;
            }
            C::AtMostOnce => {}
            C::Exit => self.leaving = true,
            C::Pause | C::Continue | C::Signal(_) => {}
        }
    }

    /// A command wants the service to run: its earlier failures do not count any more.
    fn reset_backoff(&mut self) {
        self.backoff.reset();
        self.fail_pending = false;
        self.essential_end = None;
        self.reason = None;
    }

    // Idle: no process, and no answer is due.

    /// [`State::Down`], [`State::Failed`] and [`State::Started`].
    fn at_rest(&mut self, event: Event, now: Now) -> EffectList {
        match event {
            E::Begin if self.state == State::Down => self.begin(now),
            E::Begin if self.leaving => self.leave(),
            // Resumed in this state.
            E::Begin => sequence([PUBLISH]),
            E::Command(command, _) => self.command_while_idle(command, now),
            // Late.
            E::Tick | E::Unblocked | E::DependencyLost | E::StopHeld => NONE,
            E::MainPidChanged(_) | E::Notified(_) | E::CheckEnded { .. } => NONE,
            // Impossible: not requested.
            E::Prepared | E::Refused(_) | E::Blocked | E::Spawned(_) | E::SpawnFailed => NONE,
            E::Ended(_) | E::Swept => NONE,
        }
    }

    /// [`State::Waiting`].
    fn waiting(&mut self, due: Instant, event: Event, now: Now) -> EffectList {
        match event {
            E::Tick if due <= now.instant => self.start(None, now),
            // The pause after a failed fork is for the sake of the whole machine.
            E::Command(C::Up | C::Once, _) if self.backoff.is_fork_failing() => sequence([PUBLISH]),
            E::Command(command, _) => self.command_while_idle(command, now),
            // Early or late.
            E::Tick | E::Unblocked | E::DependencyLost | E::StopHeld => NONE,
            E::MainPidChanged(_) | E::Notified(_) | E::CheckEnded { .. } => NONE,
            // Impossible: not requested.
            E::Prepared | E::Refused(_) | E::Blocked | E::Spawned(_) | E::SpawnFailed => NONE,
            E::Begin | E::Ended(_) | E::Swept => NONE,
        }
    }

    /// [`State::Blocked`].
    fn blocked(&mut self, event: Event, now: Now) -> EffectList {
        match event {
            E::Unblocked => self.start(None, now),
            E::Command(command, _) => self.command_while_idle(command, now),
            // Late.
            E::Tick | E::DependencyLost | E::StopHeld => NONE,
            E::MainPidChanged(_) | E::Notified(_) | E::CheckEnded { .. } => NONE,
            // Impossible: not requested.
            E::Prepared | E::Refused(_) | E::Blocked | E::Spawned(_) | E::SpawnFailed => NONE,
            E::Begin | E::Ended(_) | E::Swept => NONE,
        }
    }

    fn command_while_idle(&mut self, command: Command, now: Now) -> EffectList {
        match command {
            // While blocked, the service may need something else by now.
            C::Up | C::Once => self.start(PUBLISH, now),
            C::Down => self.go_down(),
            C::AtMostOnce if matches!(self.state, State::Waiting { .. } | State::Blocked) => {
                self.go_down()
            }
            C::AtMostOnce => sequence([PUBLISH]),
            C::Exit => self.leave(),
            C::Pause | C::Continue => sequence([PUBLISH]),
            // There is no process.
            C::Signal(_) => NONE,
        }
    }

    // Pending: the program answers before it reads the next command. Commands are noted, and obeyed
    // at the answer.

    /// [`State::Preparing`].
    fn preparing(&mut self, event: Event, now: Now) -> EffectList {
        match event {
            E::Prepared => self.prepared(now),
            E::Refused(reason) => self.refused(reason, now),
            E::Blocked => self.block(),
            E::Command(..) => sequence([PUBLISH]),
            // Late.
            E::Tick | E::Unblocked | E::DependencyLost | E::StopHeld => NONE,
            E::MainPidChanged(_) | E::Notified(_) | E::CheckEnded { .. } => NONE,
            // Impossible: not requested.
            E::Begin | E::Spawned(_) | E::SpawnFailed | E::Ended(_) | E::Swept => NONE,
        }
    }

    /// [`State::Spawning`].
    fn spawning(&mut self, script: Script, event: Event, now: Now) -> EffectList {
        match event {
            E::Spawned(pid) => self.spawned(script, pid, now),
            E::SpawnFailed if self.leaving => self.leave(),
            E::SpawnFailed => match script {
                Script::Start | Script::Run => self.start_failed(now),
                // These two scripts are not essential: the next step follows without them.
                Script::Stop | Script::Finish => self.continue_after_end(now),
            },
            E::Command(..) => sequence([PUBLISH]),
            // Late.
            E::Tick | E::Unblocked | E::DependencyLost | E::StopHeld => NONE,
            E::MainPidChanged(_) | E::Notified(_) | E::CheckEnded { .. } => NONE,
            // Impossible: not requested.
            E::Begin | E::Prepared | E::Refused(_) | E::Blocked | E::Ended(_) | E::Swept => NONE,
        }
    }

    // Running: there is a process.

    /// [`State::Up`].
    fn up(&mut self, pid: Pid, paused: bool, event: Event, now: Now) -> EffectList {
        match event {
            E::Begin => self.adopt(now),
            E::Ended(how) => self.run_ended(how, now),
            E::MainPidChanged(pid) => self.main_pid_changed(pid, paused, now),
            E::Notified(notification) => self.notified(pid, notification, now),
            E::CheckEnded { passed } => self.check_ended(pid, passed, now),
            E::DependencyLost => self.restart(pid, Reason::Needs, now),
            E::StopHeld => {
                self.want = Want::Down;
                self.fail_pending = false;
                sequence([PUBLISH])
            }
            E::Tick => self.take_due_timer(pid, now),
            E::Command(command, scope) => self.command_while_up(pid, paused, command, scope, now),
            // Late.
            E::Unblocked => NONE,
            // Impossible: not requested.
            E::Prepared | E::Refused(_) | E::Blocked | E::Spawned(_) | E::SpawnFailed => NONE,
            E::Swept => NONE,
        }
    }

    fn command_while_up(
        &mut self,
        pid: Pid,
        paused: bool,
        command: Command,
        scope: Scope,
        now: Now,
    ) -> EffectList {
        match command {
            C::Up | C::Once | C::AtMostOnce | C::Exit => sequence([PUBLISH]),
            C::Down => {
                self.state = State::Up { pid, paused: false };
                let check = self.disarm_health_timers();
                let [stop, cont] = self.stop_as_wanted(pid, scope, Sender::Command, now);
                sequence([check, stop, cont, PUBLISH])
            }
            C::Pause => {
                self.state = State::Up { pid, paused: true };
                let check = self.disarm_health_timers();
                sequence([check, PUBLISH, Some(requested(pid, Signal::Stop, scope))])
            }
            C::Continue => {
                self.state = State::Up { pid, paused: false };
                if paused && !self.is_ending() {
                    self.arm_health_timers(now);
                }
                sequence([PUBLISH, Some(requested(pid, Signal::Cont, scope))])
            }
            C::Signal(signal) => {
                self.note_signal(signal);
                sequence([Some(requested(pid, signal, scope))])
            }
        }
    }

    /// Another process is the service from now on.
    fn main_pid_changed(&mut self, pid: Pid, paused: bool, now: Now) -> EffectList {
        self.state = State::Up { pid, paused };
        // The new process has not got the stop signal.
        let [stop, cont] = if self.is_ending() {
            self.send_stop_signal(pid, Scope::Process, Sender::Machine, None, now)
        } else {
            [None; 2]
        };
        sequence([stop, cont, PUBLISH])
    }

    /// [`State::RunningScript`].
    fn running_script(&mut self, script: Script, pid: Pid, event: Event, now: Now) -> EffectList {
        match event {
            E::Begin => self.adopt(now),
            E::Ended(how) => self.script_ended(script, how, now),
            E::Tick if self.timers.kill.take_due(now.instant) => {
                // A `start` got its stop signal as the service does. `finish` is killed alone.
                let scope = match script {
                    Script::Start => self.kill_scope(),
                    Script::Run | Script::Stop | Script::Finish => Scope::Process,
                };
                Self::kill(script, pid, scope)
            }
            E::Command(C::Down, scope) if script == Script::Start => {
                let [stop, cont] = self.stop_as_wanted(pid, scope, Sender::Command, now);
                sequence([stop, cont, PUBLISH])
            }
            E::Command(C::Signal(signal), scope) => {
                if script == Script::Start {
                    self.note_signal(signal);
                }
                sequence([Some(requested(pid, signal, scope))])
            }
            // The script runs to its end; the command is noted for the time after it.
            E::Command(..) => sequence([PUBLISH]),
            // Early or late.
            E::Tick | E::Unblocked | E::DependencyLost | E::StopHeld => NONE,
            E::MainPidChanged(_) | E::Notified(_) | E::CheckEnded { .. } => NONE,
            // Impossible: not requested.
            E::Prepared | E::Refused(_) | E::Blocked | E::Spawned(_) | E::SpawnFailed => NONE,
            E::Swept => NONE,
        }
    }

    /// Arms the timers of a process that a predecessor started.
    fn adopt(&mut self, now: Now) -> EffectList {
        match self.state {
            // It has got its stop signal.
            State::Up { .. } | State::RunningScript { script: Script::Start, .. }
                if self.want == Want::Down =>
            {
                self.stopping.cause = Some(StopCause::Outside);
                self.timers.kill.set(self.policy().stop.timeout, now.instant);
            }
            State::Up { paused: false, .. } => self.arm_health_timers(now),
            State::RunningScript { script: Script::Finish, .. } => {
                self.timers.kill.set(self.policy().finish_timeout, now.instant);
            }
            _ => {}
        }
        NONE
    }

    /// [`State::Sweeping`].
    fn sweeping(&mut self, event: Event, now: Now) -> EffectList {
        match event {
            E::Swept => self.swept(now),
            E::Tick if self.timers.kill.take_due(now.instant) => {
                // The program reports a process that survives KILL at each attempt.
                self.timers.kill.set(Some(DEFAULT_KILL_TIMEOUT), now.instant);
                sequence([Some(Effect::Sweep(Signal::Kill))])
            }
            E::Command(C::Signal(signal), _) => sequence([Some(Effect::Sweep(signal))]),
            E::Command(..) => sequence([PUBLISH]),
            // Early or late.
            E::Tick | E::Unblocked | E::DependencyLost | E::StopHeld => NONE,
            E::MainPidChanged(_) | E::Notified(_) | E::CheckEnded { .. } => NONE,
            // Impossible: not requested.
            E::Prepared | E::Refused(_) | E::Blocked | E::Spawned(_) | E::SpawnFailed => NONE,
            E::Begin | E::Ended(_) => NONE,
        }
    }
}

/// A signal that a command asks for.
const fn requested(pid: Pid, signal: Signal, scope: Scope) -> Effect {
    Effect::Signal { pid, signal, scope, requested: true }
}
