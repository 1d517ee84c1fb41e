//! Faults that a scenario plans: which process, at which of its system calls, and what happens. Their text form is
//! the letter of the process, the number of the call, and what happens: `S85:error/0`.

use crate::notation::{NotAScenario, number};
use crate::random::Random;
use crate::world::Fault;
use linux_raw_sys::general::{__NR_read, __NR_write, SIGALRM, SIGTERM};
use machine::Call;
use std::fmt;
use std::str::FromStr;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// KILL.
    Kill,
    /// TERM.
    Terminate,
    /// ALRM, which asks multilog for a rotation.
    Alarm,
    /// The call fails with one of its errors, which this number selects.
    Error(u64),
    /// It transfers at most this many bytes.
    Short(usize),
    /// The power fails.
    Power,
    /// The wall clock jumps by so many seconds.
    Clock(i64),
    /// From now on the process gets no new memory.
    Memory,
}

impl Kind {
    /// What it does to a call that can have these errors; `None` if it does not fit.
    pub(crate) fn at(self, call: Call, errors: &[u32]) -> Option<Fault> {
        match self {
            Self::Kill => Some(Fault::Kill),
            Self::Terminate => Some(Fault::Signal(SIGTERM)),
            Self::Alarm => Some(Fault::Signal(SIGALRM)),
            Self::Power => Some(Fault::Power),
            Self::Clock(seconds) => Some(Fault::Clock(seconds)),
            Self::Memory => Some(Fault::Memory),
            Self::Error(choice) => {
                let choice = choice.checked_rem(errors.len() as u64)?;
                errors.get(usize::try_from(choice).ok()?).copied().map(Fault::Error)
            }
            Self::Short(most) => {
                // Not pwrite: Linux overwrites a page of a file as a whole, also if a KILL comes.
                let transfers = [__NR_read, __NR_write].map(|number| number as usize);
                let is_longer = call.arguments[2] > most;
                (transfers.contains(&call.number) && is_longer).then_some(Fault::Short(most))
            }
        }
    }

    /// The same with a smaller number of the error among those of the call.
    pub(crate) fn smaller(self) -> impl Iterator<Item = Self> {
        let choice = if let Self::Error(choice) = self { choice } else { 0 };
        (0..choice.min(6)).map(Self::Error)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::Terminate => f.write_str("term"),
            Self::Alarm => f.write_str("alarm"),
            Self::Error(choice) => write!(f, "error/{choice}"),
            Self::Short(most) => write!(f, "short/{most}"),
            Self::Power => f.write_str("power"),
            Self::Clock(seconds) => write!(f, "clock/{seconds}"),
            Self::Memory => f.write_str("memory"),
        }
    }
}

impl FromStr for Kind {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let (kind, value) =
            text.split_once('/').map_or((text, None), |(kind, it)| (kind, Some(it)));
        Ok(match kind {
            "kill" => Self::Kill,
            "term" => Self::Terminate,
            "alarm" => Self::Alarm,
            "error" => Self::Error(number(value)?),
            "short" => Self::Short(number(value)?),
            "power" => Self::Power,
            "clock" => Self::Clock(number(value)?),
            "memory" => Self::Memory,
            _ => return Err(NotAScenario),
        })
    }
}

/// A jump of the clock in seconds.
pub(crate) fn jump(random: &mut Random) -> i64 {
    const DAY: i64 = 86_400;
    let length = random.one_of(&[1, 10, 3600, 10 * 3600, 2 * DAY, 4000 * DAY]);
    if random.one_in(2) { length } else { -length }
}

/// Which of the processes of a scenario a fault hits.
pub trait Role: Copy + Eq + 'static {
    /// All of them, each with its letter in the text form.
    const LETTERS: &'static [(char, Self)];
}

/// A fault at a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedFault<R> {
    /// The process that it hits.
    pub role: R,
    /// The number of the call.
    pub call: u64,
    /// What happens.
    pub kind: Kind,
}

impl<R: Role> fmt::Display for PlannedFault<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = R::LETTERS.iter().find(|(_, role)| *role == self.role);
        write!(f, "{}{}:{}", letter.map_or('?', |it| it.0), self.call, self.kind)
    }
}

impl<R: Role> FromStr for PlannedFault<R> {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let (place, kind) = text.split_once(':').ok_or(NotAScenario)?;
        let role = R::LETTERS.iter().find(|(letter, _)| place.starts_with(*letter));
        let role = role.ok_or(NotAScenario)?.1;
        Ok(Self { role, call: number(place.get(1..))?, kind: kind.parse()? })
    }
}

/// The faults that are due at the calls of a process that runs. Each of them happens once.
pub(crate) struct DueFaults<R> {
    faults: Vec<PlannedFault<R>>,
}

impl<R: Role> DueFaults<R> {
    pub(crate) const fn none() -> Self {
        Self { faults: Vec::new() }
    }

    pub(crate) const fn new(faults: Vec<PlannedFault<R>>) -> Self {
        Self { faults }
    }

    /// Takes the first fault that fits the call with this number; `at` tells what a kind does to it.
    pub(crate) fn take(
        &mut self,
        role: R,
        number: u64,
        at: impl Fn(Kind) -> Option<Fault>,
    ) -> Option<Fault> {
        let is_due = |it: &PlannedFault<R>| it.role == role && it.call == number;
        let mut due = self.faults.iter().enumerate().filter(|(_, it)| is_due(it));
        let (n, fault) = due.find_map(|(n, it)| Some((n, at(it.kind)?)))?;
        self.faults.remove(n);
        Some(fault)
    }
}
