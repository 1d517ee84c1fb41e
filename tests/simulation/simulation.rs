//! Hundreds of thousands of small worlds, each made from a seed, in which everything dies at some
//! time; see the library.
//!
//! SIMULATION_SCHEDULES says how many, SIMULATION_FROM with which seed to begin. SIMULATION_SEED
//! replays a single one, and prints every step.

use simulation::{Protection, Stats, run};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// As many as take about half a minute on two processors.
const SCHEDULES: u64 = 1_000_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The first schedule of a range that fails, or what was in all of them.
fn try_all(from: u64, to: u64, without: Option<Protection>) -> Result<Stats, u64> {
    let next = AtomicU64::new(from);
    let failed = AtomicU64::new(u64::MAX);
    let work = || {
        let mut total = Stats::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= to || seed > failed.load(Ordering::Relaxed) {
                return total;
            }
            match run(seed, without, false) {
                Ok(stats) => total += stats,
                Err(_) => _ = failed.fetch_min(seed, Ordering::Relaxed),
            }
        }
    };
    // The failure is told once, by us.
    panic::set_hook(Box::new(|_| ()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut total = Stats::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            total += worker.join().expect("only schedules fail");
        }
    });
    drop(panic::take_hook());
    match failed.into_inner() {
        u64::MAX => Ok(total),
        seed => Err(seed),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "for those who ask with --nocapture")]
fn whatever_dies_nothing_is_doubled_lost_or_stuck() {
    if let Some(seed) = number("SIMULATION_SEED") {
        panic!("{}", run(seed, None, true).expect_err("this one is in order"));
    }
    let from = number("SIMULATION_FROM").unwrap_or(0);
    let schedules = number("SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    match try_all(from, from + schedules, None) {
        Ok(stats) => println!("{schedules} schedules: {stats:#?}"),
        Err(seed) => {
            let why = run(seed, None, true).expect_err("it has failed");
            let last = why.lines().rev().take(60).collect::<Vec<_>>();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
            panic!(
                "{last}\nseed {seed}; all of it: SIMULATION_SEED={seed} cargo test -p simulation"
            );
        }
    }
}

/// That what would go wrong does go wrong here.
#[test]
fn without_a_protection_schedules_fail() {
    for without in Protection::ALL {
        let found = try_all(0, SCHEDULES, Some(without));
        assert!(found.is_err(), "nothing shows that {without:?} is needed");
    }
}
