//! Commands: their meaning in each state, and the paused flag.

use crate::common::{EXITED, Story};
use daemontools_core::Ended;
use daemontools_core::supervise::Event;

#[test]
fn dx_and_xd_are_the_same_for_a_running_service() {
    for bytes in [b"dx", b"xd"] {
        let mut story = Story::up(0);
        let done = story.at(5_000).svc(bytes);
        assert_eq!(done.matches("TERM CONT").count(), 1, "{done}");
        assert_eq!(story.shown_state(), "up d");
        assert_eq!(story.at(5_100).event(EXITED), "publish exit");
        assert_eq!(story.shown_state(), "gone d");
    }
}

#[test]
fn x_alone_waits_for_the_next_death() {
    let mut story = Story::up(0);
    assert_eq!(story.at(2_000).svc(b"x"), "publish");
    assert_eq!(story.at(900_000).event(Event::Tick), "");
    assert_eq!(story.shown_state(), "up u");
    assert_eq!(story.event(EXITED), "publish exit");
    assert_eq!(story.machine.deadline(), None);
}

#[test]
fn no_command_takes_x_back() {
    let mut story = Story::up(0);
    story.at(2_000).svc(b"xuoud");
    story.svc(b"u");
    assert_eq!(story.event(EXITED), "publish exit");
}

#[test]
fn x_ends_a_supervise_whose_service_waits_for_its_second() {
    let mut story = Story::up(0);
    story.at(300).event(EXITED);
    assert_eq!(story.shown_state(), "waiting u");
    assert_eq!(story.at(400).svc(b"x"), "publish exit");
    assert_eq!(story.due(), None);
}

#[test]
fn commands_after_x_are_lost_for_a_service_that_is_down() {
    let mut story = Story::new(false);
    story.event(Event::Begin);
    assert_eq!(story.svc(b"xu"), "publish exit; ");
    assert_eq!(story.shown_state(), "gone d", "the last status shows a service that is down");
}

#[test]
fn o_stops_the_restarts_of_a_running_service() {
    let mut story = Story::up(0);
    assert_eq!(story.at(2_000).svc(b"o"), "publish");
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish");
    assert_eq!(story.shown_state(), "down o");
    assert_eq!(story.due(), None);
}

#[test]
fn o_runs_a_service_once_even_if_it_fails_at_once() {
    let mut story = Story::new(false);
    story.event(Event::Begin);
    assert_eq!(story.svc(b"o"), "publish spawn");
    story.spawned();
    assert_eq!(story.at(3).event(EXITED), "publish");
    assert_eq!(story.shown_state(), "down o");
    // A second `o` waits for the second after the last start, too.
    assert_eq!(story.at(10).svc(b"o"), "publish");
    assert_eq!(story.due(), Some(1_000));
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
    assert_eq!(story.spawned(), "publish");
    assert_eq!(story.at(9_000).event(EXITED), "publish");
    assert_eq!(story.shown_state(), "down o");
}

#[test]
fn u_after_o_allows_restarts_again_and_sends_no_signal() {
    let mut story = Story::up(0);
    assert_eq!(story.at(2_000).svc(b"ou"), "publish; publish");
    assert_eq!(story.event(EXITED), "publish spawn");
}

#[test]
fn the_paused_flag_is_the_last_of_p_and_c() {
    let mut story = Story::up(0);
    assert_eq!(story.svc(b"p"), "publish STOP");
    assert_eq!(story.shown_state(), "paused u");
    assert_eq!(story.svc(b"p"), "publish STOP");
    assert_eq!(story.svc(b"t"), "TERM", "the signal stays pending, and the flag stays");
    assert_eq!(story.shown_state(), "paused u");
    assert_eq!(story.svc(b"c"), "publish CONT");
    assert_eq!(story.shown_state(), "up u");
}

#[test]
fn d_clears_the_paused_flag_and_continues_the_process() {
    let mut story = Story::up(0);
    story.svc(b"p");
    assert_eq!(story.svc(b"d"), "TERM CONT publish");
    assert_eq!(story.shown_state(), "up d");
}

#[test]
fn a_new_process_is_not_paused() {
    let mut story = Story::up(0);
    story.svc(b"p");
    assert_eq!(story.at(5_000).event(Event::Ended(Ended::Killed(9))), "publish spawn");
    story.spawned();
    assert_eq!(story.shown_state(), "up u");
    // A `p` without a process has no effect on the next one.
    story.at(5_100).event(EXITED);
    assert_eq!(story.svc(b"p"), "publish");
    story.at(6_000).event(Event::Tick);
    story.spawned();
    assert_eq!(story.shown_state(), "up u");
}

#[test]
fn dx_before_the_answer_to_a_fork_stops_the_new_process() {
    // A TERM to supervise has the meaning of `dx`.
    let mut story = Story::new(true);
    story.event(Event::Begin);
    assert_eq!(story.svc(b"dx"), "publish; publish");
    assert_eq!(story.spawned(), "TERM CONT publish");
    assert_eq!(story.event(EXITED), "publish exit");
    // Without a process, supervise exits at once.
    let mut story = Story::new(true);
    story.event(Event::Begin);
    story.svc(b"dx");
    assert_eq!(story.event(Event::SpawnFailed), "publish exit");
}

#[test]
fn the_last_of_d_and_u_before_the_answer_to_a_fork_counts() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    story.svc(b"du");
    assert_eq!(story.spawned(), "publish");
    assert_eq!(story.shown_state(), "up u");
}
