//! Starts again after deaths, failed starts and failed looks.

use crate::KILLED;
use crate::roster_story::{A, B, BARE, EXITED, FAILED, LOGGED, MINUTE, PLAIN, Story};
use daemontools_core::svscan::slot::{SETTLE_INTERVAL, UNLINK_GRACE};
use daemontools_core::svscan::supervise_process::SuperviseRole::{Log, Main};
use daemontools_core::svscan::supervise_process::{
    EXIT_RESTART_DELAY, MAX_RESTART_DELAY, QUICK_DEATH,
};
use std::time::Duration;

#[test]
fn a_supervise_that_ran_for_a_second_restarts_at_once() {
    for how in [KILLED, FAILED] {
        for role in [Main, Log] {
            let mut story = Story::running();
            assert_eq!(story.ended(0, role, how), "0 look");
            let spawn = if role == Main { "0 spawn main" } else { "0 spawn log" };
            assert_eq!(story.seen("a", A, LOGGED), spawn, "{role:?} {how:?}");
        }
    }
}

#[test]
fn a_supervise_that_exited_0_restarts_after_five_seconds() {
    // Its age does not matter: scripts run `svc -x` and then remove the link.
    for age in [Duration::ZERO, MINUTE] {
        let mut story = Story::running();
        story.ended(0, Main, KILLED);
        story.seen("a", A, LOGGED);
        story.spawned(0, Main);
        story.pass(age);
        assert_eq!(story.ended(0, Main, EXITED), "");
        assert_eq!(story.due_in(), Some(EXIT_RESTART_DELAY));
        assert_eq!(story.tick(EXIT_RESTART_DELAY / 2), "");
        assert_eq!(story.seen("a", A, LOGGED), "", "a look starts nothing that is not due");
        assert_eq!(story.tick(EXIT_RESTART_DELAY / 2), "0 look");
        assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
    }
}

#[test]
fn the_restart_delay_grows_with_each_quick_death() {
    for how in [KILLED, FAILED] {
        let mut story = Story::running();
        story.ended(0, Main, how);
        for pause in [1, 2, 4, 5, 5] {
            assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
            story.spawned(0, Main);
            story.pass(QUICK_DEATH / 2);
            assert_eq!(story.ended(0, Main, how), "");
            assert_eq!(story.due_in(), Some(Duration::from_secs(pause)));
            assert_eq!(story.tick(Duration::from_secs(pause)), "0 look");
        }
        // A supervise that ran for a second resets the delay.
        story.seen("a", A, LOGGED);
        story.spawned(0, Main);
        story.pass(QUICK_DEATH);
        assert_eq!(story.ended(0, Main, how), "0 look");
        story.seen("a", A, LOGGED);
        story.spawned(0, Main);
        assert_eq!(story.ended(0, Main, how), "");
        assert_eq!(story.due_in(), Some(Duration::from_secs(1)));
    }
}

#[test]
fn the_restart_delay_grows_with_each_failed_start() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    for pause in [1, 2, 4, 5, 5] {
        assert_eq!(story.failed(0, Main), "");
        assert_eq!(story.due_in(), Some(Duration::from_secs(pause)));
        assert_eq!(story.tick(Duration::from_secs(pause)), "0 look");
        assert_eq!(story.seen("a", A, PLAIN), "0 spawn main");
    }
}

#[test]
fn a_failed_look_before_a_restart_is_repeated_after_five_seconds() {
    let mut story = Story::running();
    assert_eq!(story.unsure("a"), "", "running processes stay");
    assert_eq!(story.due_in(), None);
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.unsure("a"), "");
    assert_eq!(story.due_in(), Some(MAX_RESTART_DELAY));
    assert_eq!(story.tick(MAX_RESTART_DELAY), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
}

#[test]
fn a_supervise_whose_directory_is_gone_does_not_restart() {
    let mut story = Story::running();
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.tick(UNLINK_GRACE), "0 finish log, 0 end input");
}

#[test]
fn a_look_at_a_name_that_is_gone_tries_the_next_name() {
    let mut story = Story::running();
    story.seen("b", A, LOGGED);
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    // The look is the first to notice that `b` is gone.
    assert_eq!(story.lost("b"), "0 look");
    assert_eq!(story.name(0), "a");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
}

#[test]
fn a_look_that_finds_another_directory_tries_the_next_name() {
    let mut story = Story::running();
    story.seen("b", A, LOGGED);
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    let done = story.seen("b", B, PLAIN);
    assert!(done.contains("0 look"), "{done}");
    assert!(done.contains("1 spawn main"), "{done}");
}

#[test]
fn a_start_uses_the_name_of_the_latest_look() {
    // The other name may lead elsewhere by now.
    let mut story = Story::running();
    story.seen("b", A, LOGGED);
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.unsure("b"), "");
    story.pass(MAX_RESTART_DELAY);
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
    assert_eq!(story.name(0), "a");
}

#[test]
fn a_settling_directory_that_loses_one_name_is_looked_at_by_the_other() {
    let mut story = Story::new();
    story.seen("a", A, BARE);
    story.seen("b", A, BARE);
    assert_eq!(story.tick(SETTLE_INTERVAL), "0 look");
    assert_eq!(story.lost("b"), "0 look");
    assert_eq!(story.seen("a", A, BARE), "");
    assert_eq!(story.due_in(), Some(SETTLE_INTERVAL));
}
