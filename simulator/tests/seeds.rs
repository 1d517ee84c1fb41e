//! Seeds of all programs: new ones with every run, and that a seed decides everything.

use simulator::simulation::ALL;
use std::time::{SystemTime, UNIX_EPOCH};

/// The number of new seeds of a program; the long form is `cargo run -- run 100000`.
const NEW_SEEDS: [(&str, u64); 3] = [("multilog", 2000), ("supervise", 500), ("svscan", 200)];

#[test]
fn new_seeds_pass() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let first = now.as_secs() * 1000;
    for program in ALL {
        let count = NEW_SEEDS.iter().find(|it| it.0 == program.name).expect("a number of seeds").1;
        for seed in first..first + count {
            if let Some(violation) = (program.run)(seed).violation {
                let (shorter, outcome) = (program.show)(&seed.to_string()).expect("a scenario");
                let (name, story) = (program.name, outcome.story.join("\n"));
                panic!("the new seed {seed} of {name}: {violation}\n{shorter}\n{story}");
            }
        }
    }
}

/// The same seed gives the same system calls.
#[test]
fn a_seed_decides_everything() {
    for program in ALL {
        for seed in 0..20 {
            let story = || (program.trace)(&seed.to_string()).expect("a seed").1.story;
            assert_eq!(story(), story(), "seed {seed} of {}", program.name);
        }
    }
}
