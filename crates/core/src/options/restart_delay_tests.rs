use super::*;
use alloc::format;
use proptest::prelude::*;

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn words_in_any_order_and_defaults() {
    let full = RestartDelay { min: s(2), max: s(90), factor: 3, jitter: 10, reset: s(60) };
    assert_eq!(parse(b"max=90s  reset=1m\tjitter=10% factor=3 min=2000\n"), Ok(full));
    assert_eq!(parse(b"# slow\n\n max=90s factor=3\nmin=2s jitter=10%"), Ok(full));
    let default = RestartDelay { min: s(1), max: s(60), factor: 2, jitter: 0, reset: s(60) };
    assert_eq!(parse(b""), Ok(default));
    assert_eq!(parse(b"min=2m"), Ok(RestartDelay { min: s(120), max: s(120), ..default }));
    assert_eq!(parse(b"10s\n"), Ok(RestartDelay { min: s(10), max: s(10), ..default }));
}

#[test]
fn delays_grow_up_to_the_longest() {
    let restart = RestartDelay { min: s(1), max: s(10), factor: 3, jitter: 50, reset: s(60) };
    let delays = [0, 1, 2, 3, 4, u32::MAX].map(|n| restart.delay(n, 0).as_secs());
    assert_eq!(delays, [1, 1, 3, 9, 10, 10]);
    assert_eq!(restart.delay(4, u32::MAX), s(15));
    assert_eq!(restart.delay(4, u32::MAX / 2).as_millis(), 12_499);
    let endless = RestartDelay { max: Duration::MAX, factor: 100, ..restart };
    assert_eq!(endless.delay(u32::MAX, u32::MAX), Duration::MAX);
    let constant = RestartDelay { factor: 1, ..restart };
    assert_eq!(constant.delay(u32::MAX, 0), s(1));
    let none = RestartDelay { min: s(0), ..restart };
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
            RestartDelay { min: ms(min), max: ms(min + more), factor, jitter, reset: ms(reset) };
        prop_assert_eq!(parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_delay_is_between_the_shortest_and_the_longest_with_jitter(
        min in 0_u64..1 << 40, more in 0_u64..1 << 40, factor in 1_u32..=100,
        jitter in 0_u32..=100, failures in any::<u32>(), chance in any::<u32>(),
    ) {
        let (min, max) = (Duration::from_millis(min), Duration::from_millis(min + more));
        let restart = RestartDelay { min, max, factor, jitter, reset: s(60) };
        let delay = restart.delay(failures, chance);
        prop_assert!(min <= delay && delay <= max + max * jitter / 100);
        prop_assert!(restart.delay(failures, 0) <= restart.delay(failures.saturating_add(1), 0));
    }
}
