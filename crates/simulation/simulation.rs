//! Runs a million schedules on the fake kernel; see the library.
//!
//! SIMULATION_SCHEDULES is the number of schedules, SIMULATION_FROM the first seed. SIMULATION_SEED
//! replays the failing schedule of one seed and prints every step.

use simulation::{Protection, Stats, run};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Takes about half a minute on two processors.
const SCHEDULES: u64 = 1_000_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs the schedules `from..to`; returns their counts, or the lowest seed that fails.
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
    // The caller prints the failure; without this hook every panic would be printed too.
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
#[expect(clippy::print_stdout, reason = "shown with --nocapture")]
fn no_kill_doubles_loses_or_blocks_a_service() {
    if let Some(seed) = number("SIMULATION_SEED") {
        panic!("{}", run(seed, None, true).expect_err("this schedule passes"));
    }
    let from = number("SIMULATION_FROM").unwrap_or(0);
    let schedules = number("SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    match try_all(from, from + schedules, None) {
        Ok(stats) => println!("{schedules} schedules: {stats:#?}"),
        Err(seed) => {
            let why = run(seed, None, true).expect_err("this schedule fails");
            let last = why.lines().rev().take(60).collect::<Vec<_>>();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
            panic!(
                "{last}\nseed {seed}; the whole trace: SIMULATION_SEED={seed} cargo test -p simulation"
            );
        }
    }
}

/// The schedules are hard enough: without any one of the protections, one fails.
#[test]
fn without_a_protection_schedules_fail() {
    for without in Protection::ALL {
        let found = try_all(0, SCHEDULES, Some(without));
        assert!(found.is_err(), "nothing shows that {without:?} is needed");
    }
}
