//! The life of a supervising program in a scenario: what is done to it, and what happens to its calls.
//!
//! Its text form is its patience, its events, such as `200:kill`, and its faults.

use crate::fault::{PlannedFault, Role};
use crate::notation::{NotAScenario, number};
use crate::simulation::{Candidates, Scenario};
use std::fmt;
use std::str::FromStr;

/// An action at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<A> {
    /// Milliseconds after the start of the program.
    pub after: u64,
    /// What happens.
    pub action: A,
}

/// One start of the program. The role is the process that a fault hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetime<R, A> {
    /// Milliseconds after which it is killed, if it still runs.
    pub patience: u64,
    /// The faults.
    pub faults: Vec<PlannedFault<R>>,
    /// The events, in order.
    pub events: Vec<Event<A>>,
}

impl<R: Role, A: fmt::Display> fmt::Display for Lifetime<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.patience)?;
        self.events.iter().try_for_each(|it| write!(f, " {}:{}", it.after, it.action))?;
        self.faults.iter().try_for_each(|fault| write!(f, " {fault}"))
    }
}

impl<R: Role, A: FromStr<Err = NotAScenario>> FromStr for Lifetime<R, A> {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let mut words = text.split_whitespace();
        let patience = number(words.next())?;
        let (mut faults, mut events) = (Vec::new(), Vec::new());
        for word in words {
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                let (after, action) = word.split_once(':').ok_or(NotAScenario)?;
                events.push(Event { after: number(Some(after))?, action: action.parse()? });
            } else {
                faults.push(word.parse()?);
            }
        }
        Ok(Self { patience, faults, events })
    }
}

/// The lifetimes of a scenario.
pub(crate) type Lifetimes<S, R, A> = fn(&mut S) -> &mut Vec<Lifetime<R, A>>;

/// Adds scenarios without one of the lifetimes, which are not the last.
pub(crate) fn leave_out_whole<S: Scenario, R, A>(
    found: &mut Candidates<S>,
    all: &[Lifetime<R, A>],
    of: Lifetimes<S, R, A>,
) {
    for n in 0..all.len().saturating_sub(1) {
        found.add(|it| drop(of(it).remove(n)));
    }
}

/// Adds scenarios without one of the faults and events.
pub(crate) fn leave_out<S: Scenario, R, A>(
    found: &mut Candidates<S>,
    all: &[Lifetime<R, A>],
    of: Lifetimes<S, R, A>,
) {
    for (n, lifetime) in all.iter().enumerate() {
        for fault in 0..lifetime.faults.len() {
            found.add(|it| drop(of(it)[n].faults.remove(fault)));
        }
        for event in 0..lifetime.events.len() {
            found.add(|it| drop(of(it)[n].events.remove(event)));
        }
    }
}

/// Adds scenarios with a simpler or an earlier fault.
pub(crate) fn simplify_faults<S: Scenario, R, A>(
    found: &mut Candidates<S>,
    all: &[Lifetime<R, A>],
    of: Lifetimes<S, R, A>,
) {
    for (n, lifetime) in all.iter().enumerate() {
        for (number, fault) in lifetime.faults.iter().enumerate() {
            for kind in fault.kind.smaller() {
                found.add(|it| of(it)[n].faults[number].kind = kind);
            }
            found.add(|it| of(it)[n].faults[number].call /= 2);
        }
    }
}
