//! The order of a stop: a service that others need gets its stop signal after they have ended.
//!
//! The supervisor of a service that needs another one, the dependent, claims that service while its
//! own service runs. The supervisor of the needed service holds its stop signal back while there
//! are claims. A dependent gives its claim up if its service keeps running or does not end in time,
//! so no stop waits for ever.

use super::{Machine, State};
use crate::state_dir::status::Want;
use crate::time::Instant;
use core::time::Duration;

/// How long a dependent keeps its claim while it is not told to stop itself: the commands of one stop
/// come one after the other.
pub const CLAIM_GRACE: Duration = Duration::from_millis(500);

/// How long a dependent keeps its claim after its stop signal, if it never gets KILL.
pub const CLAIM_PATIENCE: Duration = Duration::from_secs(5);

/// How much longer than its kill timeout it keeps it.
pub const CLAIM_MARGIN: Duration = Duration::from_secs(2);

/// When the needed service names what it waits for.
pub const HOLD_REPORT: Duration = Duration::from_secs(5);

/// The longest time for which a stop signal is held back.
pub const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// The held stop of a needed service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopHold {
    since: Instant,
    reported: bool,
}

/// What the supervisor of a needed service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldStep {
    /// It waits.
    Wait,
    /// It prints that it waits.
    Report,
    /// It sends the stop signal.
    Stop,
    /// It prints a warning and sends the stop signal.
    GiveUp,
}

impl StopHold {
    /// The stop is held back from now on.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { since: now, reported: false }
    }

    /// Decides; `claimed` says whether a dependent still claims the service.
    pub fn step(&mut self, claimed: bool, now: Instant) -> HoldStep {
        if !claimed {
            return HoldStep::Stop;
        }
        if self.since + LONGEST_HOLD <= now {
            return HoldStep::GiveUp;
        }
        if !self.reported && self.since + HOLD_REPORT <= now {
            self.reported = true;
            return HoldStep::Report;
        }
        HoldStep::Wait
    }

    /// When the next step is due.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.since + if self.reported { LONGEST_HOLD } else { HOLD_REPORT }
    }
}

/// The claims of a dependent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Since when a needed service has been wanted down.
    needed_down: Option<Instant>,
    /// The time of the first look after the stop signal was sent.
    ending: Option<Instant>,
    /// The claim was given up.
    is_over: bool,
}

/// What a dependent does with its claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimStep {
    /// It keeps them.
    Keep,
    /// Its service has ended: it gives them up.
    Release,
    /// Its service has not ended in time: it prints a warning and gives them up.
    GiveUp,
    /// A needed service is to stop, and this one was not told to: it stops and starts again with
    /// the needed one, or keeps running and gives the claims up.
    FollowOrRelease,
}

impl Claim {
    /// Notes whether a needed service is wanted down.
    pub fn note_needed_down(&mut self, is_down: bool, now: Instant) {
        self.needed_down = is_down.then(|| self.needed_down.unwrap_or(now));
    }

    /// Decides, by the state of the dependent's own service.
    pub fn step(&mut self, machine: &Machine, now: Instant) -> ClaimStep {
        let is_idle = matches!(
            machine.state(),
            State::Down | State::Failed | State::Waiting { .. } | State::Blocked | State::Gone
        );
        if is_idle {
            *self = Self::default();
            return ClaimStep::Release;
        }
        if self.is_over {
            return ClaimStep::Keep;
        }
        if machine.is_ending() {
            self.ending.get_or_insert(now);
        }
        match self.deadline(machine) {
            Some(due) if due <= now => {
                self.is_over = true;
                if self.ending.is_some() { ClaimStep::GiveUp } else { ClaimStep::FollowOrRelease }
            }
            _ => ClaimStep::Keep,
        }
    }

    /// When the next step is due.
    #[must_use]
    pub fn deadline(&self, machine: &Machine) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        if let Some(ending) = self.ending {
            let timeout = machine.policy().stop.timeout.map(|timeout| timeout + CLAIM_MARGIN);
            return Some(ending + timeout.unwrap_or(CLAIM_PATIENCE));
        }
        // Its own stop signal is held back for its own dependents.
        if machine.is_leaving() || machine.record().want == Want::Down {
            return None;
        }
        self.needed_down.map(|since| since + CLAIM_GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pid;
    use crate::state_dir::control::{Command, Scope};
    use crate::supervise::{Event, Policy};
    use crate::time::Now;
    use crate::time::tai::Tai64n;

    fn at(ms: u64) -> Now {
        Now { instant: Instant(ms * 1_000_000), label: Tai64n::default() }
    }

    fn running(timeout: Option<Duration>) -> Machine {
        let mut machine = Machine::new(true, at(0));
        let mut policy = Policy::ORIGINAL;
        policy.stop.timeout = timeout;
        machine.configure(policy, 0);
        for event in [Event::Begin, Event::Prepared, Event::Spawned(Pid::new(7).unwrap())] {
            let _ = machine.step(event, at(0));
        }
        machine
    }

    const DOWN: Event = Event::Command(Command::Down, Scope::Process);

    #[test]
    fn a_held_stop_waits_reports_once_and_gives_up() {
        let mut hold = StopHold::new(at(1_000).instant);
        assert_eq!(hold.step(true, at(1_000).instant), HoldStep::Wait);
        assert_eq!(hold.deadline(), at(6_000).instant);
        assert_eq!(hold.step(true, at(6_000).instant), HoldStep::Report);
        assert_eq!(hold.step(true, at(6_500).instant), HoldStep::Wait);
        assert_eq!(hold.deadline(), at(61_000).instant);
        assert_eq!(hold.step(true, at(61_000).instant), HoldStep::GiveUp);
        assert_eq!(hold.step(false, at(2_000).instant), HoldStep::Stop);
    }

    #[test]
    fn a_dependent_that_ends_keeps_its_claim_for_its_timeout() {
        for (timeout, most) in [(None, 5_000), (Some(Duration::from_secs(30)), 32_000)] {
            let mut machine = running(timeout);
            let mut claim = Claim::default();
            assert_eq!(claim.step(&machine, at(1_000).instant), ClaimStep::Keep);
            assert_eq!(claim.deadline(&machine), None);
            let _ = machine.step(DOWN, at(2_000));
            assert_eq!(claim.step(&machine, at(2_000).instant), ClaimStep::Keep);
            let due = at(2_000 + most).instant;
            assert_eq!(claim.deadline(&machine), Some(due));
            assert_eq!(claim.step(&machine, due), ClaimStep::GiveUp);
            assert_eq!(claim.step(&machine, due), ClaimStep::Keep, "once");
            let _ = machine.step(Event::Ended(crate::Ended::Exited(0)), at(90_000));
            assert_eq!(claim.step(&machine, at(90_000).instant), ClaimStep::Release);
        }
    }

    #[test]
    fn a_dependent_that_keeps_running_claims_for_a_moment_only() {
        let mut machine = running(None);
        let mut claim = Claim::default();
        claim.note_needed_down(true, at(1_000).instant);
        claim.note_needed_down(true, at(1_200).instant);
        assert_eq!(claim.deadline(&machine), Some(at(1_500).instant));
        assert_eq!(claim.step(&machine, at(1_500).instant), ClaimStep::FollowOrRelease);
        // It was told to stop in that moment.
        let mut claim = Claim::default();
        claim.note_needed_down(true, at(1_000).instant);
        let _ = machine.step(Event::StopHeld, at(1_100));
        assert_eq!(claim.deadline(&machine), None, "its own stop is held back");
        let _ = machine.step(DOWN, at(1_200));
        assert_eq!(claim.step(&machine, at(1_500).instant), ClaimStep::Keep);
    }
}
