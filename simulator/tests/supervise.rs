//! Scenarios of supervise that have found a fault.

use simulator::simulation::{Scenario as _, assert_passes};
use simulator::supervise::Scenario;

/// Scenarios that have found a fault of supervise, in their text form, with the fault.
const FOUND: [(&str, &str); 12] = [
    (
        "32 d runs | ends | 3000 | 2200 S36:error/0 | 2901",
        "a process record of which fstat(2) fails is replaced, and the service started again",
    ),
    (
        "183 u runs | ends | 2300 | 3000 S38:short/32 | 7001",
        "a process record that is read in parts counts as none, and the service is started again",
    ),
    (
        "1936 u runs | ends | 1 S34:error/0 | 6910 S53:error/0 | 7001",
        "a process that only the status names is started again if a look at the status fails",
    ),
    (
        "1454 d runs | ends | 1001 0:-p 0:-d | 3202",
        "a new process that is paused before its exec keeps the lock from every next supervise",
    ),
    (
        "10229 d runs | | 1022 | 9000 | 1021 10:-o 1010:-d 1010:-o 1020:-p",
        "the same, with another order of commands",
    ),
    (
        "1040415 d runs | ends pids/12 | 1200 0:-p | 1120 0:-o 900:-d 1100:-d | \
         201 0:-d 200:stranger | 1401 1:-d 201:-d",
        "the same, and the number of the dead supervise is that of another process",
    ),
    (
        "846 dx runs | ends | 8010 2000:-d 2010:-x | 5000 0:stranger 0:-p S32:kill | 1 S91:kill | 1200",
        "the same after a KILL before the status",
    ),
    (
        "1796145446013522 u runs | ends personality=encore nosetsid= notification-fd=3 essential=any \
         start=#!/bin/script_start_1200_0 | 1 | 3200 S81:error/0 | 30",
        "after a KILL while start runs, and an option file that cannot be read, run begins without options",
    ),
    (
        "2581 u forks 0 1 | ends stop-scope=tree | 10001 1001:-dx 2001:upgrade | 1221",
        "a live upgrade during the sweep of a supervise that leaves ends the sweep",
    ),
    (
        "5361 d forks 0 1 | ends stop-scope=group | 4030 1010:term | 1",
        "after a KILL during the sweep of a supervise that leaves, the next one starts the service",
    ),
    (
        "4 dx runs | ends timeout-finish=500ms | 1 C0:kill | 2110 S1:clock/-36000 | 6000",
        "after a KILL and a clock that is set back, the next start is an hour away",
    ),
    (
        "111516 d readies 0 | ends personality=s6 down-signal=USR1 notification-fd=3 timeout-ready=2s \
         check-interval=50ms timeout-check=300ms check-failures=2 check=#!/bin/script_check_1000_1 \
         finish=#!/bin/script_finish_10_125 | 3400 200:kill S260:kill C15:kill | 8000",
        "after a KILL before the status of a failed service, it is wanted up and does not run",
    ),
];

#[test]
fn scenarios_that_found_a_fault_pass() {
    for (scenario, fault) in FOUND {
        assert_passes(&scenario.parse::<Scenario>().expect("a scenario"), fault);
    }
}

/// The scenarios of the seeds contain what they are meant to contain.
#[test]
fn the_scenarios_are_eventful() {
    let stories: Vec<String> =
        (0..200).map(|seed| Scenario::new(seed).run(false).story.join("\n")).collect();
    let count = |what: &str| stories.iter().filter(|story| story.contains(what)).count();
    for (what, least) in [
        ("killed before it", 60),
        ("fails with", 50),
        ("while it waits", 60),
        ("the child of supervise", 8),
        ("gets TERM", 15),
        ("svc -", 110),
        ("supervise is upgraded", 30),
        ("the power fails", 8),
        ("the wall clock jumps", 20),
        ("a second supervise", 10),
        ("gets no new memory", 8),
        ("is removed", 8),
        ("another process", 10),
        ("the service runs", 150),
    ] {
        assert!(count(what) >= least, "{what}: {}", count(what));
    }
}
