//! The roster against random events: links come and go, and svscan notices some of them late or never;
//! directories change; supervise processes obey or die; forks fail. Invariants hold after each event,
//! and when the events end, exactly the linked directories have their supervise processes.

#[path = "../common/cases.rs"]
mod cases;
mod world;

use cases::config;
use daemontools_core::svscan::slot::SlotPhase;
use daemontools_core::svscan::supervise_process::SuperviseRole;
use daemontools_core::{Ended, Pid};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use world::{Act, DIRS, Kind, NAMES, OBEYED, OWN, World};

fn act() -> impl Strategy<Value = Act> {
    let name = || 0..NAMES.len();
    let dir = || 0..DIRS;
    let often = || prop::bool::weighted(0.75);
    let how = prop_oneof![
        3 => Just(Ended::Killed(9)),
        2 => Just(Ended::Exited(111)),
        1 => Just(Ended::Exited(0)),
    ];
    prop_oneof![
        16 => (name(), dir(), often())
            .prop_map(|(name, dir, announced)| Act::Link { name, dir, announced }),
        8 => (name(), often()).prop_map(|(name, announced)| Act::Unlink { name, announced }),
        4 => name().prop_map(|name| Act::Announce { name }),
        6 => Just(Act::Scan),
        3 => (dir(), often()).prop_map(|(dir, exists)| Act::Run { dir, exists }),
        2 => (dir(), any::<bool>()).prop_map(|(dir, exists)| Act::Log { dir, exists }),
        2 => (name(), any::<bool>()).prop_map(|(name, fail)| Act::FailLooks { name, fail }),
        10 => (0..20_usize, how).prop_map(|(which, how)| Act::Die { which, how }),
        16 => (0..20_usize).prop_map(|which| Act::Obey { which }),
        12 => (0..2_500_u64, often()).prop_map(|(ms, ticking)| Act::Pass { ms, ticking }),
        4 => (0..20_000_u64).prop_map(|ms| Act::Pass { ms, ticking: true }),
        3 => often().prop_map(|work| Act::Forks { work }),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 0..70)
}

fn kind() -> impl Strategy<Value = Kind> {
    let stop_timeout = prop::option::of((0..10_u64).prop_map(Duration::from_secs));
    (prop::bool::weighted(0.2), any::<bool>(), any::<bool>(), stop_timeout).prop_map(
        |(keep, own_logger, orderly, stop_timeout)| Kind {
            keep,
            own_logger,
            orderly,
            stop_timeout,
        },
    )
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn in_the_end_exactly_the_linked_directories_have_a_supervise(
        kind in kind(),
        acts in acts(),
    ) {
        let mut world = World::new(kind);
        for act in acts {
            world.act(act);
        }
        world.calm_down();
        let linked: BTreeSet<u32> = world.links.values().copied().collect();
        for &dir in &linked {
            prop_assert_eq!(world.count(dir, SuperviseRole::Main), 1, "directory {}", dir);
            if world.dirs[&dir].log {
                prop_assert_eq!(world.count(dir, SuperviseRole::Log), 1, "logger of {}", dir);
            }
        }
        for (no, slot) in world.roster.slots() {
            if slot.has_logger() && slot.phase() == SlotPhase::Active {
                prop_assert!(world.running(no, SuperviseRole::Log).is_some(), "the logger of {no:?}");
            }
        }
        prop_assert_eq!(world.count(OWN, SuperviseRole::Log), usize::from(kind.own_logger));
        if !kind.keep {
            let others = world.processes.values().find(|p| p.dir != OWN && !linked.contains(&p.dir));
            prop_assert!(others.is_none(), "{others:?} still runs");
            let expected = linked.len() + usize::from(kind.own_logger);
            prop_assert_eq!(world.roster.slots().count(), expected);
        }
    }

    #[test]
    fn without_names_no_service_is_left(kind in kind(), acts in acts()) {
        let mut world = World::new(kind);
        for act in acts {
            world.act(act);
        }
        world.links.clear();
        world.calm_down();
        if kind.keep {
            // `svc -dx` ends a kept service.
            let all: Vec<Pid> = world.processes.iter()
                .filter(|(_, p)| p.dir != OWN)
                .map(|(&pid, _)| pid)
                .collect();
            for pid in all {
                world.end(pid, OBEYED);
                world.check();
            }
        }
        let own = usize::from(kind.own_logger);
        prop_assert_eq!(world.roster.slots().count(), own);
        prop_assert_eq!(world.processes.len(), own);
        prop_assert_eq!(world.pipes.len(), own);
        prop_assert_eq!(world.roster.deadline(), None);
    }

    #[test]
    fn a_stop_ends_everything_and_then_svscan(
        kind in kind(),
        before in acts(),
        meanwhile in prop::collection::vec((act(), prop::bool::weighted(0.1)), 0..20),
    ) {
        let mut world = World::new(kind);
        for act in before {
            world.act(act);
        }
        world.act(Act::Stop);
        for (act, again) in meanwhile {
            world.act(if again { Act::Stop } else { act });
        }
        world.calm_down();
        prop_assert_eq!(world.exits, 1);
        prop_assert_eq!(world.roster.slots().count(), 0);
        prop_assert!(world.processes.is_empty(), "{:?}", world.processes);
        prop_assert!(world.pipes.is_empty());
        prop_assert_eq!(world.roster.deadline(), None);
    }
}
