//! Restart delay and restart limit.

use crate::common::{EXITED, Story, at};
use crate::{LIMITED, PLAIN, S6, SLOWER, TERMINATED, exited, ms};
use daemontools_core::options::{RestartLimit, StopPolicy};
use daemontools_core::state_dir::control::Signal;
use daemontools_core::state_dir::phase::{Phase, Reason};
use daemontools_core::supervise::Policy;

#[test]
fn the_restart_delay_grows_with_each_failure() {
    let mut story = Story::running(SLOWER);
    for (pause, done) in [
        (2_000, "publish"),
        (6_000, "report-delay-6000 publish"),
        (10_000, "report-delay-10000 publish"),
        (10_000, "report-delay-10000 publish"),
    ] {
        story.ms += 1_500;
        let due = story.ms + pause;
        assert_eq!(story.event(EXITED), done);
        assert_eq!(story.machine.phase(), Phase::Waiting);
        assert_eq!(story.machine.next_start(at(story.ms)), Some(at(due).label));
        assert_eq!(story.due(), Some(due));
        assert_eq!(story.tick_when_due(), "spawn");
        story.spawned();
    }
    assert_eq!(story.machine.failures(), 4);
    // After a long run, the next failure counts as the first.
    story.ms += 60_000;
    story.event(EXITED);
    assert_eq!(story.machine.failures(), 1);
    assert_eq!(story.due(), Some(story.ms + 2_000));
}

#[test]
fn a_command_overrides_the_restart_delay_but_not_the_second() {
    let mut story = Story::running(SLOWER);
    story.at(5_000).event(EXITED);
    assert_eq!(story.at(5_100).svc(b"u"), "publish spawn");
    assert_eq!(story.machine.failures(), 0);
    story.spawned();
    story.at(5_300).event(EXITED);
    assert_eq!(story.due(), Some(7_300));
    assert_eq!(story.at(5_400).svc(b"o"), "publish");
    assert_eq!(story.due(), Some(6_100));
    assert_eq!(story.tick_when_due(), "spawn");
}

#[test]
fn an_end_after_a_fatal_signal_command_is_no_failure() {
    let usr1 = Policy { stop: StopPolicy { signal: Signal::Usr1, ..PLAIN.stop }, ..SLOWER };
    for (policy, asked) in [
        (SLOWER, &b"t"[..]),
        (SLOWER, b"k"),
        (SLOWER, b"i"),
        (SLOWER, b"q"),
        (SLOWER, b"du"),
        (usr1, b"1"),
    ] {
        let mut story = Story::running(policy);
        story.at(5_000).svc(asked);
        assert_eq!(story.event(TERMINATED), "publish spawn", "{asked:?}");
        assert_eq!(story.machine.failures(), 0);
        story.spawned();
        story.at(9_000).event(TERMINATED);
        assert_eq!(story.machine.failures(), 1, "the signal does not excuse the next process");
    }
    for other in [&b"h"[..], b"a", b"1", b"2", b"w", b"pc"] {
        let mut story = Story::running(SLOWER);
        story.at(5_000).svc(other);
        story.event(EXITED);
        assert_eq!(story.machine.failures(), 1, "{other:?}");
    }
}

#[test]
fn without_a_restart_delay_a_minute_up_ends_the_failures_in_a_row() {
    let mut story = Story::running(LIMITED);
    story.at(2_000).event(EXITED);
    story.spawned();
    story.at(40_000).event(EXITED);
    assert_eq!(story.machine.failures(), 2);
    story.spawned();
    story.at(100_000).event(EXITED);
    assert_eq!(story.machine.failures(), 1);
}

#[test]
fn a_service_that_reaches_the_restart_limit_fails_until_a_command() {
    let mut story = Story::running(LIMITED);
    for end in [2_000, 4_000] {
        assert_eq!(story.at(end).event(EXITED), "publish spawn");
        story.spawned();
    }
    assert_eq!(story.at(21_900).event(EXITED), "report-failed-deaths publish");
    assert_eq!(story.shown_state(), "failed d");
    assert_eq!(story.machine.reason(), Some(Reason::Deaths));
    assert_eq!(story.at(900_000).tick(), "");
    assert_eq!(story.svc(b"u"), "publish spawn");
    assert_eq!(story.machine.reason(), None);
    story.spawned();
    assert_eq!(story.at(902_000).event(EXITED), "publish spawn", "the limit counts from one again");
}

#[test]
fn deaths_outside_the_time_of_the_limit_do_not_count() {
    let mut story = Story::running(LIMITED);
    for end in [2_000, 4_000, 22_000, 24_000, 42_000] {
        assert_eq!(story.at(end).event(EXITED), "publish spawn", "{end}");
        story.spawned();
    }
}

#[test]
fn d_turns_a_failed_service_into_one_that_is_down() {
    let mut story =
        Story::running(Policy { limit: Some(RestartLimit { deaths: 1, within: ms(1) }), ..S6 });
    story.at(2_000).event(EXITED);
    story.spawned();
    assert_eq!(story.machine.phase(), Phase::Finishing);
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.shown_state(), "failed d");
    assert_eq!(story.svc(b"d"), "publish");
    assert_eq!(story.shown_state(), "down d");
    assert_eq!(story.svc(b"x"), "publish exit");
}

#[test]
fn quick_exits_with_code_0_are_reported_twice() {
    let mut story = Story::running(PLAIN);
    story.at(500).event(exited(0));
    for n in 2..=5 {
        story.tick_when_due();
        story.spawned();
        let ms = story.ms + 300;
        let did = story.at(ms).event(exited(0));
        let reports = n <= 3;
        assert_eq!(did.contains(&format!("report-exits-{n}")), reports, "{n}: {did}");
        assert_eq!(did.contains("report"), reports, "{n}: {did}");
    }
    // A longer run begins anew.
    let mut story = Story::running(PLAIN);
    for n in 1..=6 {
        let ms = story.ms + if n % 3 == 0 { 1_500 } else { 300 };
        let did = story.at(ms).event(exited(0));
        assert!(!did.contains("report-exits-3"), "{n}: {did}");
        if story.due().is_some() {
            story.tick_when_due();
        }
        story.spawned();
    }
}
