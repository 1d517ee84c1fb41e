//! `supervise/death_tally`: the list of deaths that `s6-svdt` shows.
//!
//! A death has 14 bytes: a TAI64N label, the exit code, and the signal; one of the last two is 0. s6
//! counts leap seconds, so its labels are 27 seconds ahead of ours.

use crate::Ended;
use crate::time::tai::Tai64n;
use alloc::vec::Vec;

/// The length of a death in the list.
pub const DEATH_LEN: usize = 14;

/// The leap seconds from 1972 to 2017. None has followed, and none is announced.
const LEAP_SECONDS: u64 = 27;

/// Appends a death to `list`, and keeps the last `most` deaths.
///
/// An incomplete death at the end of `list` is dropped. `None` if it is unknown how the process ended:
/// the format has no value for that.
#[must_use]
pub fn with_death(list: &[u8], when: Tai64n, how: Ended, most: u16) -> Option<Vec<u8>> {
    let (code, signal) = match how {
        Ended::Exited(code) => (code, 0),
        Ended::Killed(signal) => (0, signal),
        Ended::Unknown => return None,
    };
    let label = Tai64n { seconds: when.seconds.saturating_add(LEAP_SECONDS), ..when };
    let complete = list.len() - list.len() % DEATH_LEN;
    let mut deaths = list.get(..complete).unwrap_or_default().to_vec();
    deaths.extend_from_slice(&label.to_bytes());
    deaths.extend_from_slice(&[code, signal]);
    let most = usize::from(most) * DEATH_LEN;
    deaths.drain(..deaths.len().saturating_sub(most));
    Some(deaths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deaths_are_kept() {
        let when = Tai64n::from_unix(1_700_000_000, 123_456_500);
        let mut list = Vec::new();
        for code in 1..=5 {
            list = with_death(&list, when, Ended::Exited(code), 3).unwrap();
        }
        assert_eq!(list.len(), 3 * DEATH_LEN);
        assert_eq!(list.chunks(DEATH_LEN).map(|death| death[12]).collect::<Vec<_>>(), [3, 4, 5]);
        // The label that s6-svdt shows as 2023-11-14 22:13:20.123456500.
        assert_eq!(list[..8], 0x4000_0000_6553_f125_u64.to_be_bytes());
        assert_eq!(list[8..12], 123_456_500_u32.to_be_bytes());
        list = with_death(&list, when, Ended::Killed(9), 1).unwrap();
        assert_eq!(list[12..], [0, 9]);
    }

    #[test]
    fn incomplete_and_unknown_deaths_are_dropped() {
        let when = Tai64n::from_unix(0, 0);
        let list = with_death(&[1; 20], when, Ended::Exited(7), 100).unwrap();
        assert_eq!((list.len(), list[27 - 1], list[0]), (28, 7, 1));
        assert_eq!(with_death(&[1; 20], when, Ended::Exited(7), 0).unwrap(), []);
        assert_eq!(with_death(&[1; 20], when, Ended::Unknown, 9), None);
    }
}
