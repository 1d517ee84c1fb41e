//! Labels of s6: s6-log counts the leap seconds that the family ignores.

/// The leap seconds since 1972 from a moment on (seconds since 1970 UTC). s6-log is younger than the
/// first entry.
const LEAP_SECONDS: [(i64, i64); 5] = [
    (i64::MIN, 23),
    (1_230_768_000, 24),
    (1_341_100_800, 25),
    (1_435_708_800, 26),
    (1_483_228_800, 27),
];

/// The Unix time of a label of s6, from the time that the label has in the family.
pub(crate) fn from_s6(seconds: i64) -> i64 {
    let corrected = LEAP_SECONDS.iter().rev().find_map(|&(from, ahead)| {
        let corrected = seconds.saturating_sub(ahead);
        (corrected >= from).then_some(corrected)
    });
    corrected.unwrap_or(seconds)
}

#[cfg(test)]
mod tests {
    use super::from_s6;

    #[test]
    fn labels_of_s6_are_ahead_by_the_leap_seconds_of_their_time() {
        for (label, unix) in [
            (1_800_000_027, 1_800_000_000),
            (1_483_228_827, 1_483_228_800),
            (1_483_228_825, 1_483_228_799),
            (1_435_708_826, 1_435_708_800),
            (1_400_000_025, 1_400_000_000),
        ] {
            assert_eq!(from_s6(label), unix, "{label}");
        }
    }
}
