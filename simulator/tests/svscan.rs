//! Scenarios of svscan that have found a fault.

use simulator::simulation::{Scenario as _, assert_passes};
use simulator::svscan::Scenario;

/// Scenarios that have found a fault of svscan, in their text form, with the fault.
const FOUND: [(&str, &str); 2] = [
    (
        "1 ends | steady | 3000 | 6000 4500:remove/0 4520:upgrade",
        "an upgrade forgets a service that a next svscan has adopted, and whose name has just gone",
    ),
    (
        "1 ends | steady+log | 3000 | 6000 4500:remove/0 4520:upgrade",
        "the same, and the supervise of its logger upgrades at the same time",
    ),
];

#[test]
fn scenarios_that_found_a_fault_pass() {
    for (text, fault) in FOUND {
        let scenario: Scenario = text.parse().expect("a scenario");
        assert_passes(&scenario, fault);
    }
}

/// The scenarios of the seeds contain what they are meant to contain.
#[test]
fn the_scenarios_are_eventful() {
    let stories: Vec<String> =
        (0..150).map(|seed| Scenario::new(seed).run(false).story.join("\n")).collect();
    let count = |what: &str| stories.iter().filter(|story| story.contains(what)).count();
    for (what, least) in [
        ("killed before it", 50),
        ("fails with", 20),
        ("while it waits", 20),
        ("a child of svscan", 5),
        ("svscan -u", 20),
        ("another svscan", 8),
        ("many names", 8),
        ("gets a name", 20),
        ("goes", 20),
        ("changes", 15),
        ("the service runs", 120),
    ] {
        assert!(count(what) >= least, "{what}: {}", count(what));
    }
}
