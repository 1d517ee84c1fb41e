//! Names come, go, move to another directory, and return.

use crate::KILLED;
use crate::roster_story::{A, B, BARE, C, CHANGING, EXITED, LOGGED, MINUTE, PLAIN, Story};
use daemontools_core::Ended;
use daemontools_core::svscan::roster::{RosterEvent, Unfinished};
use daemontools_core::svscan::slot::{
    DRAIN_INTERVAL, SETTLE_INTERVAL, SETTLE_TIMEOUT, SlotNo, UNLINK_GRACE,
};
use daemontools_core::svscan::supervise_process::SuperviseRole::{Log, Main};
use daemontools_core::svscan::supervise_process::{NAME_GONE, QUICK_DEATH};
use std::time::Duration;

// Names.

#[test]
fn a_service_starts_after_its_logger() {
    let mut story = Story::new();
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
    assert_eq!(story.seen("b", B, PLAIN), "1 spawn main");
    assert!(story.roster.slot(SlotNo(0)).unwrap().has_logger());
    assert!(!story.roster.slot(SlotNo(1)).unwrap().has_logger());
    assert_eq!(story.due_in(), None);
}

#[test]
fn a_supervise_is_found_by_its_pid_until_it_ends() {
    let mut story = Story::running();
    let (main, log) = (story.pids[&(0, true)], story.pids[&(0, false)]);
    assert_eq!(story.roster.service_of(main), Some((SlotNo(0), Main)));
    assert_eq!(story.roster.service_of(log), Some((SlotNo(0), Log)));
    story.ended(0, Main, KILLED);
    assert_eq!(story.roster.service_of(main), None);
    // A child from before svscan's exec belongs to no slot.
    assert_eq!(story.step(RosterEvent::Ended(main, KILLED)), "");
}

#[test]
fn two_names_for_one_directory_are_one_service() {
    let mut story = Story::running();
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!(story.count(), 1);
    assert_eq!(story.name(0), "b");
    assert_eq!(story.lost("b"), "");
    assert_eq!(story.phase(0), "active");
    assert_eq!(story.name(0), "a", "it takes its other name");
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.phase(0), "unlinked");
}

#[test]
fn a_renamed_link_is_the_same_service_under_its_new_name() {
    // The order of the two events does not matter.
    let mut story = Story::running();
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.seen("b", A, LOGGED), "0 rename main");
    assert_eq!((story.phase(0), story.name(0), story.count()), ("active", "b", 1));
    assert_eq!(story.due_in(), None);
    let mut story = Story::running();
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!(story.lost("a"), "0 rename main");
    assert_eq!((story.phase(0), story.name(0), story.count()), ("active", "b", 1));
    // The new name is used at the next restart.
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.name(0), "b");
}

#[test]
fn a_supervise_takes_another_name_only_when_its_own_is_gone() {
    let mut story = Story::running();
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!(story.seen("c", A, LOGGED), "");
    assert_eq!(story.seen("a", A, LOGGED), "");
    assert_eq!(story.lost("b"), "");
    assert_eq!(story.name(0), "a");
    assert_eq!(story.lost("a"), "0 rename main");
    assert_eq!(story.name(0), "c");
    // Once.
    assert_eq!(story.seen("c", A, LOGGED), "");
    // A name that comes back in time is the same one.
    assert_eq!(story.lost("c"), "");
    assert_eq!(story.seen("c", A, LOGGED), "");
    // A supervise that is started again has the present name.
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.lost("c"), "");
    assert_eq!(story.seen("d", A, LOGGED), "0 spawn main");
    assert_eq!(story.spawned(0, Main), "");
    assert_eq!(story.seen("d", A, LOGGED), "");
}

#[test]
fn nothing_starts_under_a_name_that_is_gone_before_the_start() {
    // `ln -sfn` makes a link under a temporary name, and renames it.
    let mut story = Story::running();
    assert_eq!(story.seen("temporary", B, PLAIN), "1 spawn main");
    assert_eq!(story.not_spawned(1, Main), "1 look");
    assert_eq!(story.lost("temporary"), "1 forget");
    assert_eq!(story.seen("a", B, PLAIN), "0 terminate main");
    assert_eq!((story.phase(0), story.phase(1)), ("stopping", "waiting"));
    // A new name starts at once.
    let mut story = Story::new();
    assert_eq!(story.seen("temporary", A, LOGGED), "0 spawn log, 0 spawn main");
    assert_eq!(story.not_spawned(0, Log), "0 look");
    assert_eq!(story.not_spawned(0, Main), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
    // The name is gone between the start and the supervise's look at its directory.
    let mut story = Story::running();
    assert_eq!(story.seen("temporary", B, PLAIN), "1 spawn main");
    story.spawned(1, Main);
    assert_eq!(story.ended(1, Main, Ended::Exited(NAME_GONE)), "1 look");
    assert_eq!(story.lost("temporary"), "1 forget");
    let mut story = Story::new();
    assert_eq!(story.seen("temporary", A, PLAIN), "0 spawn main");
    story.spawned(0, Main);
    assert_eq!(story.seen("a", A, PLAIN), "");
    assert_eq!(story.lost("temporary"), "0 rename main");
    assert_eq!(story.ended(0, Main, Ended::Exited(NAME_GONE)), "0 look");
    assert_eq!(story.seen("a", A, PLAIN), "0 spawn main");
    // A supervise that never finds its directory starts at most once a second.
    story.spawned(0, Main);
    assert_eq!(story.ended(0, Main, Ended::Exited(NAME_GONE)), "");
    assert_eq!(story.due_in(), Some(Duration::from_secs(2)));
    // With a logger it is no new service any more.
    let mut story = Story::new();
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
    story.spawned(0, Log);
    assert_eq!(story.not_spawned(0, Main), "0 look");
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.phase(0), "unlinked");
    assert_eq!(story.seen("b", A, LOGGED), "0 spawn main");
}

#[test]
fn names_that_a_complete_scan_did_not_see_are_gone() {
    let mut story = Story::running();
    assert_eq!(story.scan(&[("a", A, LOGGED), ("b", B, PLAIN)]), "1 spawn main");
    story.spawned(1, Main);
    assert_eq!(story.scan(&[("b", B, PLAIN)]), "");
    assert_eq!((story.phase(0), story.phase(1)), ("unlinked", "active"));
    // After a scan that failed, all names stay.
    story.roster.begin_scan();
    story.pass(Duration::from_millis(1));
    assert_eq!(story.phase(1), "active");
    assert_eq!(story.scan(&[("a", A, LOGGED), ("b", B, PLAIN)]), "");
    assert_eq!((story.phase(0), story.phase(1)), ("active", "active"));
}

#[test]
fn a_name_stays_when_the_scan_cannot_look_at_it() {
    let mut story = Story::running();
    story.roster.begin_scan();
    assert_eq!(story.unsure("a"), "");
    let mut out = Vec::new();
    story.roster.end_scan(story.now, &mut out);
    assert_eq!(out, []);
    assert_eq!(story.phase(0), "active");
    assert_eq!(story.unsure("unknown"), "", "an unknown name");
    assert_eq!(story.count(), 1);
}

#[test]
fn a_service_without_a_name_stops_after_a_second_and_then_its_logger() {
    let mut story = Story::running();
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.due_in(), Some(UNLINK_GRACE));
    assert_eq!(story.tick(UNLINK_GRACE / 2), "");
    assert_eq!(story.tick(UNLINK_GRACE / 2), "0 terminate main");
    assert_eq!(story.due_in(), None, "a stop has no timeout by default");
    // The order matters: supervise would restart a logger that reads the end of its input first.
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    assert_eq!(story.due_in(), Some(DRAIN_INTERVAL));
    assert_eq!(story.ended(0, Log, EXITED), "0 forget");
    assert_eq!((story.count(), story.due_in()), (0, None));
}

#[test]
fn a_logger_that_ignores_the_end_of_its_input_is_terminated_when_the_pipe_is_empty() {
    let mut story = Story::draining();
    assert_eq!(story.tick(DRAIN_INTERVAL), "0 check input");
    assert_eq!(story.step(RosterEvent::Unread(SlotNo(0))), "");
    assert_eq!(story.tick(DRAIN_INTERVAL), "0 check input");
    assert_eq!(story.step(RosterEvent::AllRead(SlotNo(0))), "0 terminate log");
    assert_eq!(story.due_in(), None);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget");
}

#[test]
fn the_slot_of_a_service_without_logger_is_free_when_its_supervise_has_ended() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.spawned(0, Main);
    story.lost("a");
    assert_eq!(story.tick(UNLINK_GRACE), "0 terminate main");
    assert_eq!(story.ended(0, Main, EXITED), "0 forget");
    assert_eq!(story.count(), 0);
}

#[test]
fn a_name_that_comes_back_within_the_second_changes_nothing() {
    let mut story = Story::running();
    story.lost("a");
    story.pass(UNLINK_GRACE / 2);
    assert_eq!(story.seen("a", A, LOGGED), "");
    assert_eq!((story.phase(0), story.due_in()), ("active", None));
    assert_eq!(story.tick(UNLINK_GRACE), "");
}

#[test]
fn a_service_whose_name_comes_back_during_its_stop_starts_again_after_it() {
    let mut story = Story::stopping();
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    assert_eq!(story.ended(0, Log, EXITED), "0 drop pipe, 0 look");
    assert_eq!(story.name(0), "b");
    // Without delay: svscan itself made the supervise exit.
    assert_eq!(story.seen("b", A, LOGGED), "0 spawn log, 0 spawn main");
}

#[test]
fn a_name_that_comes_and_goes_during_a_stop_changes_nothing() {
    let mut story = Story::stopping();
    story.seen("a", A, LOGGED);
    story.lost("a");
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    assert_eq!(story.ended(0, Log, EXITED), "0 forget");
}

#[test]
fn a_service_that_starts_again_after_a_stop_has_a_logger_only_if_it_still_has_log() {
    let mut story = Story::draining_with_name();
    assert_eq!(story.ended(0, Log, EXITED), "0 drop pipe, 0 look");
    // Without a logger, no process would read the pipe.
    assert_eq!(story.seen("a", A, PLAIN), "0 spawn main");
}

#[test]
fn slot_numbers_are_reused() {
    let mut story = Story::new();
    for n in 0..5 {
        story.seen(&format!("s{n}"), n, BARE);
    }
    for n in 0..5 {
        assert_eq!(story.lost(&format!("s{n}")), format!("{n} forget"));
    }
    assert_eq!((story.count(), story.due_in()), (0, None));
    for n in 5..10 {
        story.seen(&format!("s{n}"), n, BARE);
    }
    assert!(story.roster.slots().all(|(no, _)| no.0 < 5));
}

// Another directory under the same name.

#[test]
fn a_replaced_service_stops_at_once_and_its_successor_waits() {
    let mut story = Story::running();
    assert_eq!(story.seen("a", B, PLAIN), "0 terminate main");
    assert_eq!((story.phase(0), story.phase(1)), ("stopping", "waiting"));
    assert_eq!(story.seen("a", B, PLAIN), "");
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, 1 look");
    assert_eq!(story.seen("a", B, PLAIN), "1 spawn main");
}

#[test]
fn a_directory_removed_and_made_again_is_another_service() {
    // Here svscan saw the time in which the name led nowhere.
    let mut story = Story::running();
    story.lost("a");
    story.pass(UNLINK_GRACE / 2);
    assert_eq!(story.seen("a", B, BARE), "0 terminate main");
    assert_eq!((story.phase(0), story.phase(1)), ("stopping", "waiting"));
    story.ended(0, Main, EXITED);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, 1 look");
    assert_eq!(story.seen("a", B, BARE), "");
    assert_eq!(story.phase(1), "settling");
}

#[test]
fn the_successor_of_a_service_without_processes_starts_at_once() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.failed(0, Main);
    assert_eq!(story.seen("a", B, PLAIN), "0 forget, 0 spawn main");
    assert_eq!(story.phase(0), "active");
}

#[test]
fn a_successor_waits_for_a_service_that_is_stopping_already() {
    // The new link may come before or after the second of grace.
    let mut story = Story::stopping();
    assert_eq!(story.seen("a", B, PLAIN), "");
    assert_eq!(story.phase(1), "waiting");
    story.ended(0, Main, EXITED);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, 1 look");
}

#[test]
fn the_successor_of_a_waiting_slot_waits_for_the_same_service() {
    let mut story = Story::running();
    assert_eq!(story.seen("a", B, PLAIN), "0 terminate main");
    assert_eq!(story.seen("a", C, PLAIN), "1 forget", "the first service is still there");
    assert_eq!(story.phase(1), "waiting");
    story.ended(0, Main, EXITED);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, 1 look");
    assert_eq!(story.seen("a", C, PLAIN), "1 spawn main");
}

#[test]
fn a_service_that_has_another_name_stays_and_its_successor_starts_at_once() {
    let mut story = Story::running();
    story.seen("b", A, LOGGED);
    assert_eq!(story.seen("a", B, PLAIN), "0 rename main, 1 spawn main");
    assert_eq!((story.phase(0), story.name(0)), ("active", "b"));
}

#[test]
fn a_new_link_made_before_the_old_one_is_replaced_stops_nothing() {
    // `ln -s A b; ln -sfn B a` moves a service to another name.
    let mut story = Story::running();
    let done = story.scan(&[("b", A, LOGGED), ("a", B, PLAIN)]);
    assert_eq!(done, "0 rename main, 1 spawn main");
    assert_eq!((story.phase(0), story.phase(1)), ("active", "active"));
}

#[test]
fn a_waiting_slot_is_released_when_its_predecessor_settles_again() {
    let mut story = Story::running();
    assert_eq!(story.seen("a", B, PLAIN), "0 terminate main");
    assert_eq!(story.seen("c", A, LOGGED), "");
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    let done = story.ended(0, Log, EXITED);
    assert_eq!(story.phase(0), "settling");
    assert_eq!(story.phase(1), "settling", "{done}");
    assert!(done.contains("0 look") && done.contains("1 look"), "{done}");
}

#[test]
fn swapped_names_leave_both_services_running() {
    let mut story = Story::running();
    story.seen("b", B, PLAIN);
    story.spawned(1, Main);
    let done = story.scan(&[("a", B, PLAIN), ("b", A, LOGGED)]);
    // The scan sees `a` first, when A has no other name yet: A stops, and starts again.
    assert_eq!(done, "0 terminate main, 1 rename main");
    story.ended(0, Main, EXITED);
    story.ended(0, Log, EXITED);
    assert_eq!(story.seen("b", A, LOGGED), "0 spawn log, 0 spawn main");
    assert_eq!((story.name(0), story.name(1)), ("b", "a"));
}

#[test]
fn with_keep_a_replaced_service_runs_on_beside_its_successor() {
    let mut story = Story::keeping().run_a();
    assert_eq!(story.seen("a", B, PLAIN), "1 spawn main");
    assert_eq!((story.phase(0), story.phase(1)), ("kept", "active"));
}

#[test]
fn with_keep_a_service_without_a_name_runs_on_but_does_not_restart() {
    let mut story = Story::keeping().run_a();
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.tick(60 * MINUTE), "");
    assert_eq!(story.ended(0, Main, EXITED), "");
    assert_eq!(story.due_in(), None);
    assert_eq!(story.ended(0, Log, EXITED), "0 forget");
}

#[test]
fn with_keep_a_service_is_active_again_when_it_gets_a_name() {
    let mut story = Story::keeping().run_a();
    story.lost("a");
    assert_eq!(story.seen("b", A, LOGGED), "0 rename main");
    assert_eq!((story.phase(0), story.name(0)), ("active", "b"));
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
}

#[test]
fn with_keep_a_service_whose_start_failed_frees_its_slot() {
    let mut story = Story::kept_spawning();
    story.failed(0, Log);
    assert_eq!(story.failed(0, Main), "0 forget");
    let mut story = Story::keeping();
    story.seen("a", A, PLAIN);
    story.failed(0, Main);
    assert_eq!(story.lost("a"), "0 forget");
}

// New directories.

#[test]
fn a_directory_may_be_unfinished_until_its_service_starts() {
    let mut story = Story::new();
    let of = |story: &Story, id| story.roster.unfinished(id);
    assert_eq!(of(&story, A), Unfinished::Everything);
    story.seen("a", A, CHANGING);
    assert_eq!(of(&story, A), Unfinished::Everything);
    story.seen("a", A, PLAIN);
    assert_eq!([A, B].map(|id| of(&story, id)), [Unfinished::Logger, Unfinished::Everything]);
    story.spawned(0, Main);
    story.seen("a", B, PLAIN);
    assert_eq!(of(&story, B), Unfinished::Everything, "it waits for its predecessor");
    assert_eq!(of(&story, A), Unfinished::Nothing);
    story.ended(0, Main, EXITED);
    assert_eq!(of(&story, A), Unfinished::Everything, "it is gone");
    assert_eq!(Story::running().roster.unfinished(A), Unfinished::Nothing);
}

#[test]
fn a_directory_that_still_changes_starts_when_it_is_quiet() {
    let mut story = Story::new();
    assert_eq!(story.seen("a", A, CHANGING), "");
    assert_eq!(story.due_in(), CHANGING.quiet_in);
    assert_eq!(story.tick(Duration::from_millis(700)), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
    // Changes that never end do not count for ever.
    let mut story = Story::new();
    let looks = (0..200).find(|_| {
        story.tick(Duration::from_millis(700));
        !story.seen("a", A, CHANGING).is_empty()
    });
    assert_eq!(looks.map(|n| n * 7 / 100), Some(6));
    // A name that is renamed meanwhile starts under its last name.
    let mut story = Story::new();
    assert_eq!(story.seen("a.new", A, CHANGING), "");
    assert_eq!(story.lost("a.new"), "0 forget");
    assert_eq!(story.seen("a", A, CHANGING), "");
    assert_eq!(story.tick(Duration::from_millis(700)), "0 look");
    assert_eq!(story.seen("a", A, PLAIN), "0 spawn main");
}

#[test]
fn svscan_looks_at_a_directory_without_run_every_second() {
    let mut story = Story::new();
    assert_eq!(story.seen("a", A, BARE), "");
    for _ in 0..3 {
        assert_eq!(story.due_in(), Some(SETTLE_INTERVAL));
        assert_eq!(story.tick(SETTLE_INTERVAL), "0 look");
        assert_eq!(story.due_in(), None, "the answer to a look comes at once");
        assert_eq!(story.seen("a", A, BARE), "");
    }
    assert_eq!(story.tick(SETTLE_INTERVAL), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
}

#[test]
fn a_directory_without_run_starts_after_five_seconds() {
    // Its supervise then reports the missing file, as the original's does.
    let mut story = Story::new();
    story.seen("a", A, BARE);
    assert_eq!(story.tick(SETTLE_TIMEOUT), "0 look");
    assert_eq!(story.seen("a", A, BARE), "0 spawn main");
}

#[test]
fn a_failed_look_at_a_settling_directory_is_repeated() {
    let mut story = Story::new();
    story.seen("a", A, BARE);
    assert_eq!(story.tick(SETTLE_INTERVAL), "0 look");
    assert_eq!(story.unsure("a"), "");
    assert_eq!(story.due_in(), Some(SETTLE_INTERVAL));
}

#[test]
fn a_settling_directory_that_goes_frees_its_slot() {
    let mut story = Story::new();
    story.seen("a", A, BARE);
    story.tick(SETTLE_INTERVAL);
    assert_eq!(story.lost("a"), "0 forget");
    assert_eq!(story.due_in(), None);
}

#[test]
fn a_logger_added_later_starts_beside_its_service() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.spawned(0, Main);
    story.pass(MINUTE);
    assert_eq!(story.seen("a", A, LOGGED), "0 report late log, 0 spawn log");
    story.spawned(0, Log);
    assert_eq!(story.seen("a", A, LOGGED), "");
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
}

#[test]
fn a_logger_added_later_starts_when_its_directory_is_quiet() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.spawned(0, Main);
    story.pass(MINUTE);
    assert_eq!(story.seen("a", A, CHANGING), "");
    assert_eq!(story.due_in(), CHANGING.quiet_in);
    assert_eq!(story.tick(Duration::from_millis(700)), "0 look");
    assert_eq!(story.unsure("a"), "");
    assert_eq!(story.due_in(), None, "the next scan looks again");
    assert_eq!(story.seen("a", A, CHANGING), "");
    assert_eq!(story.tick(Duration::from_millis(700)), "0 look");
    assert_eq!(story.seen("a", A, PLAIN), "", "it was removed again");
    assert_eq!(story.due_in(), None);
    story.pass(MINUTE);
    assert_eq!(story.seen("a", A, CHANGING), "");
    assert_eq!(story.tick(Duration::from_millis(700)), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 report late log, 0 spawn log");
}

#[test]
fn a_logger_added_later_whose_start_fails_is_started_again() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.spawned(0, Main);
    story.pass(MINUTE);
    story.seen("a", A, LOGGED);
    assert_eq!(story.failed(0, Log), "");
    assert_eq!(story.tick(QUICK_DEATH), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log");
}

#[test]
fn a_logger_added_later_drains_after_its_service() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.spawned(0, Main);
    story.pass(MINUTE);
    story.seen("a", A, LOGGED);
    story.spawned(0, Log);
    assert_eq!(story.stop(), "0 terminate main");
    assert_eq!(story.ended(0, Main, EXITED), "0 finish log, 0 end input");
    assert_eq!(story.ended(0, Log, EXITED), "0 forget, exit");
}

#[test]
fn a_logger_whose_log_is_removed_stays_while_it_runs() {
    let mut story = Story::running();
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.seen("a", A, PLAIN), "0 spawn main");
    assert!(story.roster.slot(SlotNo(0)).unwrap().has_logger());
}
