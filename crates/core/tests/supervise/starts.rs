//! When the machine starts the service: a second apart, and again after a failed fork.

use crate::common::{EXITED, Story, at};
use daemontools_core::Ended;
use daemontools_core::supervise::Event;

#[test]
fn the_exit_status_does_not_matter() {
    for how in [
        Ended::Exited(0),
        Ended::Exited(100),
        Ended::Exited(111),
        Ended::Killed(15),
        Ended::Unknown,
    ] {
        let mut story = Story::up(0);
        assert_eq!(story.at(2_000).event(Event::Ended(how)), "publish spawn", "{how:?}");
    }
}

#[test]
fn o_is_tried_again_after_a_failed_fork() {
    let mut story = Story::new(false);
    story.event(Event::Begin);
    story.svc(b"o");
    assert_eq!(story.event(Event::SpawnFailed), "publish");
    assert_eq!(story.due(), Some(1_000));
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
    assert_eq!(story.event(Event::SpawnFailed), "publish");
    assert_eq!(story.at(3_000).event(Event::Tick), "spawn");
    assert_eq!(story.spawned(), "publish");
    assert_eq!(story.at(4_500).event(EXITED), "publish");
    assert_eq!(story.shown_state(), "down o");
}

#[test]
fn after_a_failed_fork_u_starts_one_process_only() {
    // With Debian's patch, the next event of any kind starts a second process.
    let mut story = Story::new(false);
    story.event(Event::Begin);
    story.svc(b"o");
    story.event(Event::SpawnFailed);
    assert_eq!(story.at(500).svc(b"u"), "publish");
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
    story.spawned();
    assert_eq!(story.at(1_001).event(Event::Tick), "");
    assert_eq!(story.svc(b"ud"), "publish; TERM CONT publish");
    assert_eq!(story.event(Event::Tick), "");
}

#[test]
fn starts_are_a_second_apart() {
    let mut story = Story::up(0);
    assert_eq!(story.at(100).event(EXITED), "publish");
    assert_eq!(story.due(), Some(1_000));
    assert_eq!(story.at(999).event(Event::Tick), "");
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
    story.spawned();
    // Counted from the last start, not from the death.
    assert_eq!(story.at(1_900).event(EXITED), "publish");
    assert_eq!(story.due(), Some(2_000));
    assert_eq!(story.at(2_700).event(Event::Tick), "spawn");
    story.spawned();
    assert_eq!(story.at(3_700).event(EXITED), "publish spawn", "the second is over");
}

#[test]
fn the_second_counts_from_the_end_of_the_fork() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    // A slow fork.
    story.at(700).spawned();
    story.at(800).event(EXITED);
    assert_eq!(story.due(), Some(1_700));
}

#[test]
fn u_within_the_second_neither_hurries_nor_doubles_the_start() {
    let mut story = Story::up(0);
    story.at(200).event(EXITED);
    assert_eq!(story.at(300).svc(b"uuu"), "publish; publish; publish");
    assert_eq!(story.due(), Some(1_000));
    // Down and up again: the start stays due at the same time.
    assert_eq!(story.at(400).svc(b"d"), "publish");
    assert_eq!(story.due(), None);
    assert_eq!(story.at(500).svc(b"u"), "publish");
    assert_eq!(story.due(), Some(1_000));
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
}

#[test]
fn d_within_the_second_cancels_the_start() {
    let mut story = Story::up(0);
    story.at(200).event(EXITED);
    assert_eq!(story.at(300).svc(b"d"), "publish");
    assert_eq!(story.at(5_000).event(Event::Tick), "");
    assert_eq!(story.shown_state(), "down d");
    assert_eq!(story.svc(b"u"), "publish spawn");
}

#[test]
fn commands_are_obeyed_in_the_second_after_a_start() {
    let mut story = Story::new(false);
    story.event(Event::Begin);
    assert_eq!(story.svc(b"u"), "publish spawn");
    story.spawned();
    assert_eq!(story.at(1).svc(b"d"), "TERM CONT publish");
}

#[test]
fn failed_forks_are_tried_again_after_1_2_4_and_at_most_60_seconds() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(story.event(Event::SpawnFailed), "publish");
        assert_eq!(story.machine.fork_pause().as_secs(), pause);
        let due = story.ms + pause * 1000;
        assert_eq!(story.due(), Some(due));
        assert_eq!(story.at(due - 1).event(Event::Tick), "");
        assert_eq!(story.at(due).event(Event::Tick), "spawn");
    }
    // After a fork that succeeds, the next failure counts as the first.
    story.spawned();
    let later = story.ms + 5_000;
    assert_eq!(story.at(later).event(EXITED), "publish spawn");
    story.event(Event::SpawnFailed);
    assert_eq!(story.due(), Some(later + 1_000));
}

#[test]
fn many_thousand_failed_forks_keep_the_pause_at_60_seconds() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    for _ in 0..70_000 {
        story.event(Event::SpawnFailed);
        let due = story.due().unwrap();
        assert!(due - story.ms <= 60_000);
        assert_eq!(story.at(due).event(Event::Tick), "spawn");
    }
}

#[test]
fn commands_are_obeyed_in_the_pause_after_a_failed_fork() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    story.event(Event::SpawnFailed);
    assert_eq!(story.at(500).svc(b"d"), "publish");
    assert_eq!(story.due(), None);
    assert_eq!(story.at(9_000).event(Event::Tick), "");
    assert_eq!(story.svc(b"x"), "publish exit");
}

#[test]
fn the_record_has_the_time_of_the_last_start_or_end() {
    let mut story = Story::up(3_000);
    assert_eq!(story.machine.record().since, at(3_000).label);
    story.at(4_500).svc(b"pcduoah");
    assert_eq!(story.machine.record().since, at(3_000).label);
    story.at(5_000).svc(b"d");
    story.event(EXITED);
    assert_eq!(story.machine.record().since, at(5_000).label);
    story.at(8_000).svc(b"dcp");
    assert_eq!(story.machine.record().since, at(5_000).label);
}
