//! Random events under random policies.

use crate::cases::config;
use crate::kernel::{Act, Directory, Kernel};
use crate::{PLAIN, ms};
use daemontools_core::Ended;
use daemontools_core::options::{HealthCheck, Personality, RestartDelay, RestartLimit, StopPolicy};
use daemontools_core::state_dir::control::Scope;
use daemontools_core::state_dir::phase::Reason;
use daemontools_core::supervise::{Notification, Policy, Script, Scripts, State};
use proptest::prelude::*;
use std::time::Duration;

fn times() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of((10..4_000_u64).prop_map(ms))
}

fn policy() -> impl Strategy<Value = Policy> {
    use Personality::{Daemontools, Encore, Runit, S6};
    let personality = prop::sample::select(&[Daemontools, Encore, S6, Runit][..]);
    let scope = prop::sample::select(&[Scope::Process, Scope::Group, Scope::Tree][..]);
    let stop = (times(), scope, any::<bool>()).prop_map(|(timeout, scope, kill_group)| {
        StopPolicy { timeout, scope, kill_group, ..PLAIN.stop }
    });
    let check =
        (10..2_000_u64, 10..2_000_u64, 0..3_u32).prop_map(|(interval, timeout, failures)| {
            HealthCheck { interval: ms(interval), timeout: ms(timeout), failures }
        });
    let restart = (10..3_000_u64, 1..4_u32, 0..100_u32, 0..9_000_u64).prop_map(
        |(min, factor, jitter, reset)| RestartDelay {
            min: ms(min),
            max: ms(8_000),
            factor,
            jitter,
            reset: ms(reset),
        },
    );
    let limit = (1..4_u16, 1..20_000_u64)
        .prop_map(|(deaths, within)| RestartLimit { deaths, within: ms(within) });
    let scripts = prop::array::uniform4(any::<bool>());
    let some = (prop::option::of(check), prop::option::of(restart), prop::option::of(limit));
    let health = (any::<bool>(), times(), times(), times());
    (personality, scripts, stop, some, health).prop_map(
        |(personality, [start, runless, stops, finish], stop, some, health)| {
            let encore = personality == Encore;
            let (check, restart, limit) = some;
            let (notifies_readiness, ready_timeout, watchdog, finish_timeout) = health;
            let scripts = Scripts {
                start: encore && start,
                runless: encore && runless,
                stop: encore && stops,
                finish: matches!(personality, S6 | Runit) && finish,
            };
            Policy {
                personality,
                scripts,
                stop,
                finish_timeout,
                notifies_readiness,
                ready_timeout,
                watchdog,
                check,
                restart,
                limit,
                // Its end is an exit that no command asks for: `essential.rs` has its scenarios.
                essential: None,
            }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let letter = prop::sample::select(&b"uuddoopchaitkqx"[..]);
    let scope = prop::sample::select(&[Scope::Process, Scope::Group][..]);
    let ended = prop_oneof![
        2 => Just(Ended::Exited(0)),
        1 => prop::sample::select(&[1, 100, 125][..]).prop_map(Ended::Exited),
        1 => (1..65_u8).prop_map(Ended::Killed),
        1 => Just(Ended::Unknown),
    ];
    let notification = prop_oneof![
        Just(Notification::Ready),
        Just(Notification::Reloading),
        Just(Notification::Stopping),
        Just(Notification::KeepAlive),
        Just(Notification::WatchdogTrigger),
        (0..4_000_u64).prop_map(|n| Notification::WatchdogTimeout(ms(n))),
        (0..4_000_u64).prop_map(|n| Notification::ExtendTimeout(ms(n))),
    ];
    let directory = prop_oneof![
        3 => Just(Directory::Good),
        1 => Just(Directory::Refused(Reason::Options)),
        1 => Just(Directory::Refused(Reason::Cycle)),
        1 => Just(Directory::Lacking),
    ];
    prop_oneof![
        8 => (letter, scope, 0..6).prop_map(|(letter, scope, n)| {
            Act::Command(if letter == b'x' && n > 0 { b'u' } else { letter }, scope)
        }),
        8 => ended.prop_map(Act::Die),
        3 => Just(Act::Sweep),
        6 => (0..3_000_u64).prop_map(Act::Pass),
        1 => (0..100_000_u64).prop_map(Act::Pass),
        1 => Just(Act::Tick),
        3 => notification.prop_map(Act::Notify),
        3 => any::<bool>().prop_map(Act::Check),
        1 => Just(Act::Available),
        1 => Just(Act::DependencyLost),
        1 => Just(Act::Move),
        1 => prop::bool::weighted(0.7).prop_map(Act::Forks),
        1 => prop::bool::weighted(0.3).prop_map(Act::Slow),
        2 => directory.prop_map(Act::Directory),
        4 => Just(Act::Answer),
    ]
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn the_rules_hold_under_any_policy(
        first in policy(),
        then in policy(),
        normally_up: bool,
        acts in prop::collection::vec(act(), 0..80),
        change in 0..80_usize,
    ) {
        let mut kernel = Kernel::new(first, normally_up);
        kernel.check();
        for (n, act) in acts.into_iter().enumerate() {
            if n == change {
                kernel.policy = then;
            }
            kernel.act(act);
        }
    }

    #[test]
    fn a_supervisor_that_was_told_to_exit_does_so_once_all_processes_have_ended(
        policy in policy(),
        normally_up: bool,
        acts in prop::collection::vec(act(), 0..60),
        down: bool,
    ) {
        let mut kernel = Kernel::new(policy, normally_up);
        for act in acts {
            kernel.act(act);
        }
        if down {
            kernel.act(Act::Command(b'd', Scope::Process));
        }
        kernel.act(Act::Command(b'x', Scope::Process));
        kernel.act(Act::Slow(false));
        // The service, its leftovers, its `finish` or `stop`: one of each, with an answer.
        for _ in 0..4 {
            kernel.act(Act::Answer);
            kernel.act(Act::Die(Ended::Exited(0)));
            kernel.act(Act::Sweep);
        }
        prop_assert_eq!(kernel.machine.state(), State::Gone);
        prop_assert_eq!(kernel.machine.deadline(), None);
    }

    #[test]
    fn the_wanted_state_is_reached_once_nothing_fails(
        policy in policy(),
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let mut kernel = Kernel::new(policy, true);
        for act in acts {
            kernel.act(act);
        }
        if kernel.leaving {
            return Ok(());
        }
        for act in [Act::Slow(false), Act::Forks(true), Act::Directory(Directory::Good)] {
            kernel.act(act);
        }
        kernel.act(Act::Answer);
        // Everything is stopped, and then the service is wanted up.
        kernel.act(Act::Command(b'd', Scope::Process));
        for _ in 0..4 {
            kernel.act(Act::Die(Ended::Exited(0)));
            kernel.act(Act::Sweep);
        }
        prop_assert_eq!(kernel.machine.state(), State::Down);
        kernel.act(Act::Command(b'u', Scope::Process));
        kernel.act(Act::Pass(1_000));
        if kernel.policy.scripts.start {
            prop_assert_eq!(kernel.machine.script(), Script::Start);
            kernel.act(Act::Die(Ended::Exited(0)));
        }
        match kernel.machine.state() {
            State::Started => prop_assert!(kernel.policy.scripts.runless),
            state => prop_assert!(matches!(state, State::Up { .. }), "{:?}", state),
        }
    }
}
