//! `restart-delay`: the delay before a restart, which grows with every failure (back-off).

use super::option_error::Mismatch;
use super::{OptionError, OptionFile, duration, syntax};
use crate::text::decimal;
use core::time::Duration;

/// The delay before a restart, and how it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartDelay {
    /// The delay after the first failure.
    pub min: Duration,
    /// The longest delay, without jitter.
    pub max: Duration,
    /// The factor by which every further failure lengthens the delay: 1 to 100.
    pub factor: u32,
    /// The most percent that chance adds to a delay: 0 to 100. Services that failed together then
    /// restart at different times.
    pub jitter: u32,
    /// A service that ran for this time starts again at `min`.
    pub reset: Duration,
}

impl RestartDelay {
    /// The longest delay after a first failure.
    pub(crate) fn longest_first_delay(&self) -> Duration {
        self.delay(1, u32::MAX)
    }

    /// The longest delay after any number of failures.
    pub(crate) fn longest(&self) -> Duration {
        self.max.saturating_add(self.max.saturating_mul(self.jitter) / 100)
    }

    /// The delay after `failures` failures in a row. `chance` is a random number.
    #[must_use]
    pub fn delay(&self, failures: u32, chance: u32) -> Duration {
        let mut delay = self.min.min(self.max);
        for _ in 1..failures {
            let next = delay.saturating_mul(self.factor).min(self.max);
            if next == delay {
                break;
            }
            delay = next;
        }
        let jitter = delay.saturating_mul(self.jitter) / 100;
        delay.saturating_add(jitter.saturating_mul(chance) / u32::MAX)
    }
}

/// The words of a `restart-delay` that were read so far.
#[derive(Default)]
struct Draft {
    constant: Option<Duration>,
    min: Option<Duration>,
    max: Option<Duration>,
    factor: Option<u32>,
    jitter: Option<u32>,
    reset: Option<Duration>,
}

pub(super) fn parse(text: &[u8]) -> Result<RestartDelay, OptionError> {
    let mut draft = Draft::default();
    let mut max_at = (1, &b""[..]);
    for (line, content) in syntax::lines(text) {
        for word in syntax::words(content) {
            if word.starts_with(b"max=") {
                max_at = (line, word);
            }
            draft
                .parse_word(word)
                .map_err(|mismatch| OptionError::new(OptionFile::RestartDelay, line, mismatch))?;
        }
    }
    let min = draft.constant.or(draft.min).unwrap_or(Duration::from_secs(1));
    let max = draft.constant.or(draft.max).unwrap_or(min.max(Duration::from_secs(60)));
    if max < min {
        let expected =
            "a max that is not less than min, which is 1s if not given, as in min=1s max=1m";
        let (line, word) = max_at;
        return Err(OptionError::new(OptionFile::RestartDelay, line, (word, expected)));
    }
    Ok(RestartDelay {
        min,
        max,
        factor: draft.factor.unwrap_or(2),
        jitter: draft.jitter.unwrap_or(0),
        reset: draft.reset.unwrap_or(Duration::from_secs(60)),
    })
}

impl Draft {
    /// Parses a word; the error is a description of correct text.
    fn parse_word<'a>(&mut self, word: &'a [u8]) -> Result<(), Mismatch<'a>> {
        let (key, text) = syntax::key_and_value(word);
        if self.constant.is_some() || (key.is_empty() && !self.is_empty()) {
            return Err((word, "one time and nothing else, or words as in min=1s max=1m"));
        }
        match key {
            b"" => {
                let expected = "a time of at least 10 ms, or words as in min=1s max=1m factor=2 \
                             jitter=10% reset=1m";
                set(&mut self.constant, word, duration::repeatable(text), expected)
            }
            b"min=" => {
                let expected = "a time of at least 10 ms, as in min=1s";
                set(&mut self.min, word, duration::repeatable(text), expected)
            }
            b"max=" => {
                let expected = "a time of at least 10 ms, as in max=1m";
                set(&mut self.max, word, duration::repeatable(text), expected)
            }
            b"factor=" => {
                let factor = super::number(text, 1..=100).map(u32::from);
                set(&mut self.factor, word, factor, "a number from 1 to 100, as in factor=2")
            }
            b"jitter=" => {
                let jitter = text.strip_suffix(b"%").and_then(decimal::parse);
                let jitter = jitter.and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= 100);
                set(&mut self.jitter, word, jitter, "from 0% to 100%, as in jitter=10%")
            }
            b"reset=" => {
                let expected = "a time, as in reset=1m";
                set(&mut self.reset, word, duration::parse(text), expected)
            }
            _ => Err((word, "min=, max=, factor=, jitter= or reset=, as in min=1s max=1m")),
        }
    }

    const fn is_empty(&self) -> bool {
        let Self { constant: _, min, max, factor, jitter, reset } = self;
        min.is_none() && max.is_none() && factor.is_none() && jitter.is_none() && reset.is_none()
    }
}

/// Sets a field from the value of a word, once.
fn set<'a, T>(
    field: &mut Option<T>,
    word: &'a [u8],
    value: Option<T>,
    expected: &'static str,
) -> Result<(), Mismatch<'a>> {
    if field.is_some() {
        return Err((word, "each word once, as in min=1s max=1m"));
    }
    *field = Some(value.ok_or((word, expected))?);
    Ok(())
}

#[cfg(test)]
#[path = "restart_delay_tests.rs"]
mod tests;
