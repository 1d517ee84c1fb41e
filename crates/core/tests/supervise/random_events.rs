//! Random events.

use crate::cases::config;
use crate::kernel::{Act, Kernel};
use daemontools_core::Ended;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::supervise::{MAX_FORK_PAUSE, START_INTERVAL, State};
use proptest::prelude::*;

fn act() -> impl Strategy<Value = Act> {
    let letter = proptest::sample::select(&b"udopchaitkxq12w"[..]);
    let scope = proptest::sample::select(&[Scope::Process, Scope::Group][..]);
    let ended =
        prop_oneof![any::<u8>().prop_map(Ended::Exited), (1..65_u8).prop_map(Ended::Killed)];
    prop_oneof![
        // `x` is rare, because it ends the story.
        8 => (letter, scope, 0..4).prop_map(|(letter, scope, n)| {
            Act::Command(if letter == b'x' && n > 0 { b'u' } else { letter }, scope)
        }),
        4 => ended.prop_map(Act::Die),
        4 => Just(Act::Reap),
        4 => (0..3_000_u64, any::<bool>()).prop_map(|(ms, ticking)| Act::Pass { ms, ticking }),
        1 => (0..200_000_u64).prop_map(|ms| Act::Pass { ms, ticking: true }),
        2 => Just(Act::Tick),
        1 => prop::bool::weighted(0.7).prop_map(Act::Forks),
        1 => prop::bool::weighted(0.3).prop_map(Act::Slow),
        3 => Just(Act::Answer),
        2 => Just(Act::KillSupervise),
    ]
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn the_rules_hold_after_any_events(
        normally_up: bool,
        acts in prop::collection::vec(act(), 0..80),
    ) {
        let mut kernel = Kernel::new(normally_up);
        kernel.check();
        for act in acts {
            kernel.act(act);
        }
    }

    #[test]
    fn the_wanted_state_is_reached_once_forks_succeed(
        normally_up: bool,
        acts in prop::collection::vec(act(), 0..60),
        last in proptest::sample::select(&b"udx"[..]),
    ) {
        let mut kernel = Kernel::new(normally_up);
        for act in acts {
            kernel.act(act);
        }
        let was_gone = kernel.machine.state() == State::Gone;
        kernel.act(Act::Forks(true));
        kernel.act(Act::Slow(false));
        kernel.act(Act::Answer);
        kernel.act(Act::Reap);
        kernel.act(Act::Command(last, Scope::Process));
        if last != b'u' {
            // The service obeys.
            kernel.act(Act::Command(b'd', Scope::Process));
            kernel.act(Act::Die(Ended::Killed(15)));
            kernel.act(Act::Reap);
        }
        let longest = u64::try_from(MAX_FORK_PAUSE.as_millis()).unwrap();
        kernel.act(Act::Pass { ms: longest, ticking: true });
        match (last, kernel.machine.state()) {
            (_, State::Gone) => prop_assert!(was_gone || kernel.leaving),
            (b'u', state) => prop_assert!(matches!(state, State::Up { .. }), "{state:?}"),
            (b'd', state) => prop_assert_eq!(state, State::Down),
            (_, state) => prop_assert!(false, "{:?} after x", state),
        }
    }

    #[test]
    fn a_service_that_always_dies_starts_once_a_second(
        lives in prop::collection::vec(0..2_500_u64, 1..40),
    ) {
        let mut kernel = Kernel::new(true);
        for life in lives {
            let started = kernel.ms;
            kernel.act(Act::Pass { ms: life, ticking: true });
            kernel.act(Act::Die(Ended::Exited(1)));
            kernel.act(Act::Reap);
            kernel.act(Act::Pass { ms: 1_000_u64.saturating_sub(life), ticking: true });
            // Not later. The kernel of the test checks that it is not sooner.
            let second = u64::try_from(START_INTERVAL.as_millis()).unwrap();
            prop_assert_eq!(kernel.last_start, Some(started + second.max(life)));
        }
    }
}
