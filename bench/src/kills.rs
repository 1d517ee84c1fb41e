//! The damage by random kills of supervises and svscans: ours beside the original.

use harness::original;
use system::random_kills::{Plan, run_original, run_ours, seed};

/// Runs the same kills on both suites, and prints the damage. Ours also gets live upgrades, which
/// the original does not have. The descriptors of the original are not counted.
pub(crate) fn compare(long: bool, machine: &str) {
    let plan = if long { Plan::LONG } else { Plan::SHORT };
    eprintln!("ours");
    let ours = run_ours(plan);
    eprintln!("daemontools");
    let original_outcome = run_original(plan, original());
    println!(
        "{} services with loggers, {} kills of a supervise, {} of svscan, {} of all of them; seed {}\n",
        plan.services,
        plan.supervises,
        plan.svscans,
        plan.trees,
        seed()
    );
    println!("| | ours | daemontools |\n|---|---:|---:|");
    for ((what, ours), (_, damage)) in ours.rows().into_iter().zip(original_outcome.rows()) {
        println!("| {what} | {ours} | {damage} |");
    }
    println!("\n{machine}");
}
