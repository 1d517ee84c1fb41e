//! `restart-limit`: after how many deaths within a time a service has failed.

use super::{MOST_DEATHS, duration, syntax};
use core::time::Duration;

/// A service with this many deaths within this time has failed, and is not restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimit {
    /// 1 to 4096.
    pub deaths: u16,
    /// Longer than zero.
    pub within: Duration,
}

pub(super) const EXPECTED: &str = "a number from 1 to 4096, the word in and a time, as in 5 in 60s";

impl RestartLimit {
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut words = syntax::words(line);
        let deaths = super::number(words.next()?, 1..=MOST_DEATHS)?;
        if words.next()? != b"in" {
            return None;
        }
        let within = duration::parse(words.next()?).filter(|time| !time.is_zero())?;
        words.next().is_none().then_some(Self { deaths, within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn limits_are_read_back(deaths in 1_u16..=4096, within in 1_u64..) {
            let text = alloc::format!(" {deaths}  in {within}ms");
            let expected = RestartLimit { deaths, within: Duration::from_millis(within) };
            prop_assert_eq!(RestartLimit::parse(text.as_bytes()), Some(expected));
        }
    }
}
