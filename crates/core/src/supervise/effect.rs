//! What the program has to do: the effects of a step.

use crate::Pid;
use crate::state_dir::Script;
use crate::state_dir::control::{Scope, Signal};
use crate::state_dir::phase::Reason;
use core::time::Duration;

/// An effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read the service directory. Answer with [`Event::Prepared`](super::Event::Prepared),
    /// [`Event::Refused`](super::Event::Refused) or [`Event::Blocked`](super::Event::Blocked).
    Prepare,
    /// Start this script. Answer with [`Event::Spawned`](super::Event::Spawned) or
    /// [`Event::SpawnFailed`](super::Event::SpawnFailed).
    Spawn(Script),
    /// Send a signal to the process.
    Signal {
        /// The process, not yet reaped.
        pid: Pid,
        /// The signal.
        signal: Signal,
        /// Which processes get it.
        scope: Scope,
        /// A command asks for this signal: runit's `control/` script may send it instead, and a
        /// failure is reported. The machine's own signals, and the CONT that accompanies a stop
        /// signal, are sent silently.
        requested: bool,
    },
    /// Start a health check. Answer with [`Event::CheckEnded`](super::Event::CheckEnded).
    StartCheck,
    /// End the running check. Its answer is not expected any more.
    StopCheck,
    /// Send a signal to all leftovers of the service. Answer with
    /// [`Event::Swept`](super::Event::Swept) once there are none.
    Sweep(Signal),
    /// The status has changed: write it before the next wait. Several of these effects cause one write.
    Publish,
    /// Print a line: the machine has decided this without a command.
    Report(Report),
    /// Exit.
    Exit,
}

/// A decision that no command asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The service gets its stop signal, for this reason.
    Stopped(Reason),
    /// The service has failed, for this reason. Only a command starts it again.
    Failed(Reason),
    /// The process of this script has not ended in time, and gets KILL.
    Killed(Script, Pid),
    /// The next start comes this long after the death: longer than the least restart delay.
    Delayed(Duration),
    /// `run` has exited with code 0 right after its start, so many times in a row (2 or 3). A program
    /// does that which goes into the background. The program that reports looks whether one is left
    /// after the third time.
    QuickExits(u8),
}

/// The most effects of one step.
const MAX_EFFECTS: usize = 6;

/// The effects of one step, in order.
pub type Effects = core::iter::Flatten<core::array::IntoIter<Option<Effect>, MAX_EFFECTS>>;

/// The same while they are collected: the plain path allocates nothing.
pub(super) type EffectList = [Option<Effect>; MAX_EFFECTS];

pub(super) const NONE: EffectList = [None; MAX_EFFECTS];
pub(super) const PUBLISH: Option<Effect> = Some(Effect::Publish);

/// The effects that are present, in this order.
pub(super) fn sequence<const N: usize>(effects: [Option<Effect>; N]) -> EffectList {
    let mut list = NONE;
    for (place, effect) in list.iter_mut().zip(effects.into_iter().filter(Option::is_some)) {
        *place = effect;
    }
    list
}

/// The effect `first`, if there is one, before a list of at most five.
pub(super) const fn prepend(first: Option<Effect>, list: EffectList) -> EffectList {
    if first.is_none() {
        return list;
    }
    let [a, b, c, d, e, _] = list;
    [first, a, b, c, d, e]
}

/// The effect that reports a decision.
pub(super) const fn report(report: Report) -> Option<Effect> {
    Some(Effect::Report(report))
}
