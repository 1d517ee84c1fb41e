//! The stop of everything, and the logger of svscan's own messages.

use crate::KILLED;
use crate::roster_story::{A, B, BARE, EXITED, LOGGED, MINUTE, OWN, PLAIN, Story};
use daemontools_core::svscan::roster::{KILL_INTERVAL, RosterEvent, STOP_REPORT};
use daemontools_core::svscan::slot::{DRAIN_INTERVAL, SlotNo, UNLINK_GRACE};
use daemontools_core::svscan::supervise_process::EXIT_RESTART_DELAY;
use daemontools_core::svscan::supervise_process::SuperviseRole::{Log, Main};

// Stop.

#[test]
fn an_empty_roster_exits_at_a_stop() {
    assert_eq!(Story::new().stop(), "exit");
}

#[test]
fn a_stop_ends_services_then_their_loggers_and_then_exits() {
    let mut story = Story::running();
    story.seen("b", B, PLAIN);
    story.spawned(1, Main);
    assert_eq!(story.stop(), "0 terminate main, 1 terminate main");
    assert!(story.roster.is_stopping());
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    assert_eq!(story.ended(1, Main, EXITED), "1 forget");
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
    assert_eq!(story.count(), 0);
}

#[test]
fn the_end_of_an_essential_service_stops_the_others() {
    let mut story = Story::running();
    story.seen("b", B, PLAIN);
    story.spawned(1, Main);
    // Its logger reads the rest, and is not ended as at a second stop.
    assert_eq!(story.ended_for_good(0), "0 finish log, 0 end input, 1 terminate main");
    assert!(story.roster.is_stopping());
    assert_eq!(story.ended(0, Log, EXITED), "0 forget");
    assert_eq!(story.ended(1, Main, EXITED), "1 forget, exit");
    let mut story = Story::new();
    story.seen("b", B, PLAIN);
    story.spawned(0, Main);
    assert!(story.ended_for_good(0).starts_with("0 forget, exit"));
}

#[test]
fn no_new_service_starts_after_a_stop() {
    let mut story = Story::running();
    story.stop();
    assert_eq!(story.seen("b", B, PLAIN), "");
    assert_eq!(story.seen("a", A, LOGGED), "");
    assert_eq!(story.count(), 1);
    story.ended(0, Main, EXITED);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit", "although it has a name");
}

#[test]
fn a_logger_that_ends_before_its_service_at_a_stop_starts_once_more() {
    let mut story = Story::running();
    story.stop();
    assert_eq!(story.ended(0, Log, EXITED), "0 spawn log");
    story.spawned(0, Log);
    // One that ends again does not start a third time.
    assert_eq!(story.ended(0, Log, KILLED), "");
    assert_eq!(story.tick(MINUTE), "report stop");
    assert_eq!(story.ended(0, Main, KILLED), "0 forget, exit");
}

#[test]
fn a_logger_that_ended_just_before_a_stop_reads_the_last_words() {
    let mut story = Story::running();
    assert_eq!(story.ended(0, Log, EXITED), "");
    assert_eq!(story.stop(), "0 terminate main, 0 spawn log");
    story.spawned(0, Log);
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
}

#[test]
fn a_pipe_whose_both_ends_have_ended_before_a_stop_is_read_to_its_end() {
    let both_ended = || {
        let mut story = Story::running();
        story.ended(0, Log, EXITED);
        story.ended(0, Main, EXITED);
        assert_eq!(story.stop(), "0 check input");
        story
    };
    let mut story = both_ended();
    assert_eq!(story.step(RosterEvent::AllRead(SlotNo(0))), "0 forget, exit");
    let mut story = both_ended();
    assert_eq!(story.step(RosterEvent::Unread(SlotNo(0))), "0 end input, 0 spawn log");
    assert_eq!(story.spawned(0, Log), "0 finish log");
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
    // A start that fails is not repeated.
    let mut story = both_ended();
    story.step(RosterEvent::Unread(SlotNo(0)));
    assert_eq!(story.step(RosterEvent::SpawnFailed(SlotNo(0), Log)), "0 forget, exit");
}

#[test]
fn a_logger_that_ends_in_the_same_moment_as_its_service_starts_once_more_for_the_rest() {
    // Both were told to end, and svscan learns of the end of the service first.
    let mut story = Story::running();
    assert_eq!(story.stop(), "0 terminate main");
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    assert_eq!(story.ended_before_check(0, Log, EXITED), "0 check input");
    assert_eq!(story.step(RosterEvent::Unread(SlotNo(0))), "0 end input, 0 spawn log");
    assert_eq!(story.spawned(0, Log), "0 finish log");
    // Only once.
    assert_eq!(story.ended_before_check(0, Log, EXITED), "0 forget, exit");
}

#[test]
fn a_logger_that_was_told_to_end_does_not_start_again() {
    let mut story = Story::draining();
    assert_eq!(story.tick(DRAIN_INTERVAL), "0 check input");
    assert_eq!(story.step(RosterEvent::AllRead(SlotNo(0))), "0 terminate log");
    assert_eq!(story.ended_before_check(0, Log, EXITED), "0 forget");
}

#[test]
fn a_service_that_comes_back_has_its_logger_started_once_more_at_the_next_stop() {
    let mut story = Story::running();
    story.lost("a");
    story.tick(UNLINK_GRACE);
    assert_eq!(story.ended(0, Log, EXITED), "0 spawn log");
    story.spawned(0, Log);
    story.seen("a", A, LOGGED);
    story.ended(0, Main, EXITED);
    assert_eq!(story.ended(0, Log, EXITED), "0 drop pipe, 0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
    story.spawned(0, Log);
    story.spawned(0, Main);
    story.stop();
    assert_eq!(story.ended(0, Log, EXITED), "0 spawn log");
}

#[test]
fn a_second_stop_does_not_repeat_the_signal_and_does_not_wait_for_the_pipe() {
    let mut story = Story::running();
    assert_eq!(story.stop(), "0 terminate main");
    assert_eq!(story.stop(), "");
    story.ended(0, Main, EXITED);
    assert_eq!(story.stop(), "0 terminate log");
    assert_eq!(story.stop(), "");
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
}

#[test]
fn a_stop_kills_the_processes_that_run_after_its_timeout() {
    let mut story = Story::running();
    story.roster.set_stop_timeout(MINUTE);
    story.seen("b", B, PLAIN);
    story.spawned(1, Main);
    assert_eq!(story.stop(), "0 terminate main, 1 terminate main");
    assert_eq!(story.due_in(), Some(STOP_REPORT));
    assert_eq!(story.tick(STOP_REPORT), "report stop");
    assert_eq!(story.due_in(), Some(MINUTE - STOP_REPORT));
    // A second stop does not extend the timeout.
    story.pass(MINUTE / 2 - STOP_REPORT);
    story.stop();
    assert_eq!(story.ended(1, Main, EXITED), "1 forget");
    assert_eq!(story.tick(MINUTE / 2), "0 kill main");
    assert_eq!(story.tick(KILL_INTERVAL), "0 kill main");
    // The logger gets until the next round to read the rest.
    assert_eq!(story.ended(0, Main, KILLED), "0 finish log, 0 end input");
    assert!(story.tick(KILL_INTERVAL).contains("0 kill log"));
    assert_eq!(story.ended(0, Log, KILLED), "0 forget, exit");
    assert_eq!(story.due_in(), None);
}

#[test]
fn a_stop_within_its_timeout_or_without_one_kills_no_process() {
    let mut story = Story::running();
    story.roster.set_stop_timeout(MINUTE);
    story.stop();
    story.ended(0, Main, EXITED);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
    assert_eq!(story.tick(MINUTE), "");
    let mut story = Story::running();
    story.stop();
    assert_eq!(story.tick(STOP_REPORT), "report stop");
    assert_eq!(story.due_in(), None);
}

#[test]
fn a_kill_at_the_time_of_the_report_replaces_it() {
    let mut story = Story::running();
    story.roster.set_stop_timeout(STOP_REPORT);
    story.stop();
    assert_eq!(story.tick(STOP_REPORT), "0 kill main");
    assert_eq!(story.tick(KILL_INTERVAL), "0 kill main");
}

#[test]
fn a_stop_frees_settling_slots_at_once_and_exits_once() {
    let mut story = Story::new();
    story.seen("a", A, BARE);
    story.seen("b", B, BARE);
    assert_eq!(story.stop(), "0 forget, 1 forget, exit");
}

#[test]
fn a_stop_ends_a_stopping_service_and_frees_its_waiting_successor() {
    let mut story = Story::running();
    story.seen("a", B, PLAIN);
    assert_eq!(story.stop(), "1 forget");
    story.ended(0, Main, EXITED);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
}

#[test]
fn a_stop_ends_services_without_a_name_too() {
    let mut story = Story::keeping().run_a();
    story.lost("a");
    assert_eq!(story.stop(), "0 terminate main");
    let mut story = Story::running();
    story.lost("a");
    assert_eq!(story.stop(), "0 terminate main");
    assert_eq!(story.due_in(), Some(STOP_REPORT));
}

#[test]
fn a_supervise_that_starts_during_a_stop_is_terminated() {
    let mut story = Story::new();
    story.seen("a", A, LOGGED);
    story.spawned(0, Log);
    assert_eq!(story.stop(), "");
    assert_eq!(story.spawned(0, Main), "0 terminate main");
    story.ended(0, Main, KILLED);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
}

// The logger of svscan's own messages.

#[test]
fn the_own_logger_has_no_service() {
    let mut story = Story::with_own_logger();
    let slot = story.roster.slot(SlotNo(0)).unwrap();
    assert!(slot.is_own_logger() && slot.has_logger());
    assert_eq!(slot.name(), b".log");
    assert_eq!(story.tick(60 * MINUTE), "");
    // A scan never sees a name with a dot; the own logger stays active.
    assert_eq!(story.scan(&[]), "");
    assert_eq!(story.phase(0), "active");
}

#[test]
fn the_own_logger_restarts_although_it_has_no_log_directory() {
    let mut story = Story::with_own_logger();
    let mut done = story.ended(0, Log, KILLED);
    if done == "0 look" {
        done = story.seen(".log", OWN, PLAIN);
    }
    assert_eq!(done, "0 spawn log");
    story.spawned(0, Log);
    assert!(story.roster.slot(SlotNo(0)).unwrap().has_logger());
}

#[test]
fn the_own_logger_restarts_after_a_failed_look() {
    let mut story = Story::with_own_logger();
    let mut done = story.ended(0, Log, KILLED);
    if done == "0 look" {
        assert_eq!(story.unsure(".log"), "");
        let wait = story.due_in().expect("another look");
        done = story.tick(wait);
        assert_eq!(done, "0 look");
        done = story.seen(".log", OWN, PLAIN);
    }
    assert_eq!(done, "0 spawn log");
}

#[test]
fn the_own_logger_restarts_during_a_stop() {
    // The services and their supervise processes write to its pipe until they end.
    let mut story = Story::with_own_logger();
    story.seen("a", A, PLAIN);
    story.spawned(1, Main);
    assert_eq!(story.stop(), "1 terminate main");
    let mut done = story.ended(0, Log, KILLED);
    if done == "0 look" {
        done = story.seen(".log", OWN, PLAIN);
    }
    assert_eq!(done, "0 spawn log");
}

#[test]
fn a_name_of_the_own_logger_in_the_scan_directory_changes_nothing() {
    let mut story = Story::with_own_logger();
    assert_eq!(story.scan(&[("log", OWN, LOGGED)]), "");
    assert_eq!(story.count(), 1);
    assert_eq!(story.scan(&[]), "", "nor does the loss of that name");
    assert_eq!(story.tick(MINUTE), "");
    assert_eq!(story.phase(0), "active");
}

#[test]
fn a_scan_that_sees_the_absent_own_logger_keeps_it_a_logger() {
    let mut story = Story::with_own_logger();
    assert_eq!(story.ended(0, Log, EXITED), "");
    assert_eq!(story.scan(&[("log", OWN, PLAIN)]), "");
    let mut done = story.tick(EXIT_RESTART_DELAY);
    if done == "0 look" {
        done = story.seen("log", OWN, PLAIN);
    }
    assert_eq!(done, "0 spawn log");
}

#[test]
fn a_service_that_takes_a_name_of_the_own_logger_starts_at_once() {
    let mut story = Story::with_own_logger();
    story.seen("log", OWN, PLAIN);
    assert_eq!(story.seen("log", A, PLAIN), "1 spawn main");
}

#[test]
fn the_own_logger_stops_last() {
    let mut story = Story::with_own_logger();
    story.seen("a", A, LOGGED);
    story.spawned(1, Log);
    story.spawned(1, Main);
    assert_eq!(story.stop(), "1 terminate main");
    assert_eq!(story.stop(), "", "the own logger runs on");
    assert_eq!(story.ended(1, Main, EXITED), "1 finish log, 1 end input");
    assert_eq!(story.ended(1, Log, EXITED), "1 forget, 0 finish log, 0 end input");
    assert_eq!(story.due_in(), Some(DRAIN_INTERVAL));
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
}

#[test]
fn the_own_logger_drains_its_pipe_even_without_services() {
    let mut story = Story::with_own_logger();
    assert_eq!(story.stop(), "0 finish log, 0 end input");
    assert_eq!(story.stop(), "0 terminate log", "a second stop does not wait for the pipe");
    let mut story = Story::with_own_logger();
    story.seen("a", A, BARE);
    assert_eq!(story.stop(), "1 forget, 0 finish log, 0 end input");
    assert_eq!(story.phase(0), "draining");
}
