//! The counters of a service: its starts, and its deaths by cause.
//!
//! They are the last word of a line in the [history](super::history), `n=` and decimal numbers with commas
//! between them: the starts, and then the deaths in the order of [`DeathCause::ALL`]. So the write of a
//! change also writes the counters, and the next supervisor continues them.

use crate::text::decimal::{self, Decimal};

/// Why a process of `run` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathCause {
    /// It exited by itself.
    Exit,
    /// A signal killed it that no command has sent.
    Signal,
    /// A command ended it, or a lost dependency.
    Stop,
    /// Its watchdog, its health check or its readiness timeout ended it.
    Unhealthy,
    /// Its end was not seen.
    Unknown,
}

impl DeathCause {
    /// All causes, in the order of the counters.
    pub const ALL: [Self; 5] =
        [Self::Exit, Self::Signal, Self::Stop, Self::Unhealthy, Self::Unknown];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Stop => "stop",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// The counters of a service. They stay at the largest number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The starts of `run`.
    pub starts: u32,
    /// The deaths of `run`, in the order of [`DeathCause::ALL`].
    pub deaths: [u32; 5],
}

impl Counters {
    /// The longest word.
    pub(super) const MOST_BYTES: usize = 2 + 6 * 10 + 5;

    /// Counts a start.
    pub const fn add_start(&mut self) {
        self.starts = self.starts.saturating_add(1);
    }

    /// Counts a death.
    pub fn add_death(&mut self, cause: DeathCause) {
        if let Some(count) = self.deaths.get_mut(cause as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Writes the word to `room`, and returns the part of `room` that it fills.
    pub(super) fn to_word(self, room: &mut [u8; Self::MOST_BYTES]) -> &[u8] {
        let mut used = 0;
        let mut push = |bytes: &[u8]| {
            if let Some(place) = room.get_mut(used..used + bytes.len()) {
                place.copy_from_slice(bytes);
                used += bytes.len();
            }
        };
        push(b"n=");
        push(Decimal::new(self.starts.into()).as_bytes());
        for count in self.deaths {
            push(b",");
            push(Decimal::new(count.into()).as_bytes());
        }
        room.get(..used).unwrap_or_default()
    }

    /// Parses the value behind `n=`. Numbers of a later version may follow.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut numbers = value.split(|&c| c == b',').map(|digits| {
            let number = decimal::parse(digits)?;
            u32::try_from(number).ok()
        });
        let mut counters = Self { starts: numbers.next()??, deaths: [0; 5] };
        for count in &mut counters.deaths {
            *count = numbers.next()??;
        }
        Some(counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_a_word() {
        let mut counters = Counters::default();
        counters.add_start();
        for cause in [DeathCause::Exit, DeathCause::Unknown, DeathCause::Unknown] {
            counters.add_death(cause);
        }
        let mut room = [0; Counters::MOST_BYTES];
        assert_eq!(counters.to_word(&mut room), b"n=1,1,0,0,0,2");
        let most = Counters { starts: u32::MAX, deaths: [u32::MAX; 5] };
        let mut full = most;
        full.add_start();
        full.add_death(DeathCause::Stop);
        assert_eq!(full, most);
        let mut room = [0; Counters::MOST_BYTES];
        let word = full.to_word(&mut room);
        assert_eq!((word.len(), Counters::parse(&word[2..])), (Counters::MOST_BYTES, Some(most)));
    }

    #[test]
    fn incomplete_words_are_refused() {
        let expected = Counters { starts: 7, deaths: [1, 2, 3, 4, 5] };
        assert_eq!(Counters::parse(b"7,1,2,3,4,5"), Some(expected));
        assert_eq!(Counters::parse(b"7,1,2,3,4,5,6"), Some(expected));
        for wrong in ["", "7", "7,1,2,3,4", "7,1,2,3,4,", "7,1,2,3,4,-5", "7,1,2,3,4,4294967296"] {
            assert_eq!(Counters::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn each_cause_has_a_place() {
        for (place, cause) in DeathCause::ALL.into_iter().enumerate() {
            let mut counters = Counters::default();
            counters.add_death(cause);
            assert_eq!(counters.deaths[place], 1, "{}", cause.word());
        }
    }
}
