//! Services survive random kills of real supervises and svscans, while they count and their loggers
//! write the numbers down.
//!
//! The short form is a test like any other. The long form shows its outcome as a table:
//!
//! ```text
//! cargo test -p system --test random_kills -- --ignored --nocapture
//! ```
//!
//! `DAEMONTOOLS_SEED` chooses another course of events. `bench/run kills` shows the damage of the same
//! kills under the original.

use harness::note;
use system::random_kills::{Outcome, Plan, run_ours, seed};

#[track_caller]
fn assert_no_damage(plan: Plan) -> Outcome {
    let outcome = run_ours(plan);
    let wanted = Outcome { lines: outcome.lines, ..Outcome::default() };
    assert_eq!(outcome, wanted, "seed {}", seed());
    outcome
}

#[test]
fn services_survive_random_kills_of_supervision() {
    assert_no_damage(Plan::SHORT);
}

#[test]
#[ignore = "takes minutes"]
fn services_survive_random_kills_of_supervision_long() {
    let outcome = assert_no_damage(Plan::LONG);
    note(&format!("ours, seed {}\n{outcome}", seed()));
}
