//! `restart-delay` and `restart-limit`: when a service that has failed is started again, and when
//! not any more.

use super::mistake::Wrong;
use super::{File, MOST_DEATHS, Mistake, duration, text};
use crate::decimal;
use core::time::Duration;

/// How long a service that fails again and again has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// After the first failure.
    pub min: Duration,
    /// At most, jitter apart.
    pub max: Duration,
    /// How many times longer after each further one: 1 to 100.
    pub factor: u32,
    /// By how many percent more it may be, by chance, so that services which failed together do
    /// not come back together: 0 to 100.
    pub jitter: u32,
    /// After a run of this length the next failure is the first one again.
    pub reset: Duration,
}

impl Restart {
    /// The wait after so many failures in a row; `chance` is any number.
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

/// With so many deaths within such a time, a service has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many: 1 to 4096.
    pub deaths: u16,
    /// Within what time.
    pub within: Duration,
}

pub(super) const LIMIT_RIGHT: &str =
    "a number from 1 to 4096, the word in and a time, as in 5 in 60s";

impl Limit {
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut words = text::words(line);
        let deaths = super::number(words.next()?, 1..=MOST_DEATHS)?;
        if words.next()? != b"in" {
            return None;
        }
        let within = duration::parse(words.next()?).filter(|time| !time.is_zero())?;
        words.next().is_none().then_some(Self { deaths, within })
    }
}

/// What has been read of a `restart-delay`.
#[derive(Default)]
struct Draft {
    only: Option<Duration>,
    min: Option<Duration>,
    max: Option<Duration>,
    factor: Option<u32>,
    jitter: Option<u32>,
    reset: Option<Duration>,
}

pub(super) fn parse(text: &[u8]) -> Result<Restart, Mistake> {
    let mut draft = Draft::default();
    let mut max_at = (1, &b""[..]);
    for (line, content) in text::lines(text) {
        for word in text::words(content) {
            if word.starts_with(b"max=") {
                max_at = (line, word);
            }
            draft.take(word).map_err(|wrong| Mistake::new(File::RestartDelay, line, wrong))?;
        }
    }
    let min = draft.only.or(draft.min).unwrap_or(Duration::from_secs(1));
    let max = draft.only.or(draft.max).unwrap_or(min.max(Duration::from_secs(60)));
    if max < min {
        let right =
            "a max that is not less than min, which is 1s if not given, as in min=1s max=1m";
        let (line, word) = max_at;
        return Err(Mistake::new(File::RestartDelay, line, (word, right)));
    }
    Ok(Restart {
        min,
        max,
        factor: draft.factor.unwrap_or(2),
        jitter: draft.jitter.unwrap_or(0),
        reset: draft.reset.unwrap_or(Duration::from_secs(60)),
    })
}

impl Draft {
    fn take<'a>(&mut self, word: &'a [u8]) -> Result<(), Wrong<'a>> {
        let equal = word.iter().position(|&c| c == b'=').map_or(0, |at| at + 1);
        let (key, text) = word.split_at(equal);
        if self.only.is_some() || (key.is_empty() && !self.is_empty()) {
            return Err((word, "one time and nothing else, or words as in min=1s max=1m"));
        }
        match key {
            b"" => {
                let right = "a time of at least 10 ms, or words as in min=1s max=1m factor=2 \
                             jitter=10% reset=1m";
                set(&mut self.only, word, duration::noticeable(text), right)
            }
            b"min=" => {
                let right = "a time of at least 10 ms, as in min=1s";
                set(&mut self.min, word, duration::noticeable(text), right)
            }
            b"max=" => {
                let right = "a time of at least 10 ms, as in max=1m";
                set(&mut self.max, word, duration::noticeable(text), right)
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
                let right = "a time, as in reset=1m";
                set(&mut self.reset, word, duration::parse(text), right)
            }
            _ => Err((word, "min=, max=, factor=, jitter= or reset=, as in min=1s max=1m")),
        }
    }

    const fn is_empty(&self) -> bool {
        let Self { only: _, min, max, factor, jitter, reset } = self;
        min.is_none() && max.is_none() && factor.is_none() && jitter.is_none() && reset.is_none()
    }
}

fn set<'a, T>(
    place: &mut Option<T>,
    word: &'a [u8],
    value: Option<T>,
    right: &'static str,
) -> Result<(), Wrong<'a>> {
    if place.is_some() {
        return Err((word, "each word once, as in min=1s max=1m"));
    }
    *place = Some(value.ok_or((word, right))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn words_in_any_order_and_what_is_left_out() {
        let full = Restart { min: s(2), max: s(90), factor: 3, jitter: 10, reset: s(60) };
        assert_eq!(parse(b"max=90s  reset=1m\tjitter=10% factor=3 min=2000\n"), Ok(full));
        assert_eq!(parse(b"# slow\n\n max=90s factor=3\nmin=2s jitter=10%"), Ok(full));
        let default = Restart { min: s(1), max: s(60), factor: 2, jitter: 0, reset: s(60) };
        assert_eq!(parse(b""), Ok(default));
        assert_eq!(parse(b"min=2m"), Ok(Restart { min: s(120), max: s(120), ..default }));
        assert_eq!(parse(b"10s\n"), Ok(Restart { min: s(10), max: s(10), ..default }));
    }

    #[test]
    fn waits_grow_up_to_the_longest() {
        let restart = Restart { min: s(1), max: s(10), factor: 3, jitter: 50, reset: s(60) };
        let waits = [0, 1, 2, 3, 4, u32::MAX].map(|n| restart.delay(n, 0).as_secs());
        assert_eq!(waits, [1, 1, 3, 9, 10, 10]);
        assert_eq!(restart.delay(4, u32::MAX), s(15));
        assert_eq!(restart.delay(4, u32::MAX / 2).as_millis(), 12_499);
        let endless = Restart { max: Duration::MAX, factor: 100, ..restart };
        assert_eq!(endless.delay(u32::MAX, u32::MAX), Duration::MAX);
        let constant = Restart { factor: 1, ..restart };
        assert_eq!(constant.delay(u32::MAX, 0), s(1));
        let none = Restart { min: s(0), ..restart };
        assert_eq!(none.delay(u32::MAX, 7), s(0));
    }

    proptest! {
        #[test]
        fn words_are_read_back(
            min in 10_u64..u64::from(u32::MAX), more in 0_u64..1 << 50,
            factor in 1_u32..=100, jitter in 0_u32..=100, reset in any::<u64>(),
        ) {
            let text = format!(
                "min={min} max={}ms factor={factor} jitter={jitter}% reset={reset}", min + more,
            );
            let ms = Duration::from_millis;
            let expected =
                Restart { min: ms(min), max: ms(min + more), factor, jitter, reset: ms(reset) };
            prop_assert_eq!(parse(text.as_bytes()), Ok(expected));
        }

        #[test]
        fn limits_are_read_back(deaths in 1_u16..=4096, within in 1_u64..) {
            let text = format!(" {deaths}  in {within}ms");
            let expected = Limit { deaths, within: Duration::from_millis(within) };
            prop_assert_eq!(Limit::parse(text.as_bytes()), Some(expected));
        }

        #[test]
        fn a_wait_is_between_the_shortest_and_the_longest_with_jitter(
            min in 0_u64..1 << 40, more in 0_u64..1 << 40, factor in 1_u32..=100,
            jitter in 0_u32..=100, failures in any::<u32>(), chance in any::<u32>(),
        ) {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(min + more));
            let restart = Restart { min, max, factor, jitter, reset: s(60) };
            let wait = restart.delay(failures, chance);
            prop_assert!(min <= wait && wait <= max + max * jitter / 100);
            prop_assert!(restart.delay(failures, 0) <= restart.delay(failures.saturating_add(1), 0));
        }
    }
}
