//! Seeds of multilog: new ones with every run, and those that have found a fault.

use simulator::multilog::{Scenario, run, shrink};
use std::time::{SystemTime, UNIX_EPOCH};

/// The number of new seeds; the long form is `cargo run -- run 100000`.
const NEW_SEEDS: u64 = 500;

/// Seeds that have found a fault of multilog, with the fault.
const FOUND: [(u64, &str); 0] = [];

#[track_caller]
fn check(seed: u64, what: &str) {
    let scenario = Scenario::new(seed);
    if let Some(violation) = run(&scenario, false).violation {
        let (shorter, report) = shrink(&scenario, &violation);
        let story = shorter.describe().into_iter().chain(report.story);
        let story: Vec<String> = story.collect();
        panic!("seed {seed} {what}: {violation}\n{}", story.join("\n"));
    }
}

#[test]
fn new_seeds_pass() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let first = now.as_secs() * 1000;
    (first..first + NEW_SEEDS).for_each(|seed| check(seed, ""));
}

#[test]
fn seeds_that_found_a_fault_pass() {
    FOUND.iter().for_each(|(seed, fault)| check(*seed, fault));
}

/// The same seed gives the same system calls.
#[test]
fn a_seed_decides_everything() {
    for seed in 0..20 {
        let stories = [(), ()].map(|()| run(&Scenario::new(seed), true).story);
        assert_eq!(stories[0], stories[1], "seed {seed}");
    }
}
