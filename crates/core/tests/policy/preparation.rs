//! A service directory that is refused or blocked before a start.

use crate::common::Story;
use crate::{ENCORE, ONE_SHOT, PATIENT, PLAIN, S6, command};
use daemontools_core::state_dir::control::Command;
use daemontools_core::state_dir::phase::{Phase, Reason};
use daemontools_core::supervise::Event;

#[test]
fn a_refused_directory_is_read_again() {
    let mut story = Story::of(PLAIN, false);
    assert_eq!(story.one_step(command(Command::Up)), "publish prepare");
    assert_eq!(story.one_step(Event::Refused(Reason::Options)), "publish");
    assert_eq!(story.machine.reason(), Some(Reason::Options));
    assert_eq!(story.due(), Some(5_000));
    assert_eq!(
        story.at(1_000).one_step(command(Command::Up)),
        "publish prepare",
        "a command does not wait"
    );
    assert_eq!(story.one_step(Event::Refused(Reason::Setup)), "publish");
    assert_eq!(story.machine.reason(), Some(Reason::Setup));
    story.ms = 6_000;
    assert_eq!(story.one_step(Event::Tick), "prepare");
    story.machine.configure(PATIENT, 0);
    assert_eq!(story.one_step(Event::Prepared), "spawn");
    assert_eq!(story.machine.reason(), None);
    assert_eq!(story.machine.policy(), &PATIENT);
}

#[test]
fn a_dependency_cycle_fails_the_service() {
    let mut story = Story::of(PLAIN, false);
    story.one_step(command(Command::Up));
    assert_eq!(story.one_step(Event::Refused(Reason::Cycle)), "publish");
    assert_eq!(story.shown_state(), "failed d");
    assert_eq!(story.machine.reason(), Some(Reason::Cycle));
    assert_eq!(story.one_step(command(Command::Up)), "publish prepare");
}

#[test]
fn a_blocked_service_starts_when_it_is_unblocked() {
    let mut story = Story::of(PLAIN, false);
    story.one_step(command(Command::Up));
    assert_eq!(story.one_step(Event::Blocked), "publish");
    assert_eq!((story.shown_state().as_str(), story.due()), ("blocked u", None));
    assert_eq!(story.machine.phase(), Phase::Blocked);
    assert_eq!(story.svc(b"p"), "publish");
    assert_eq!(
        story.one_step(command(Command::Up)),
        "publish prepare",
        "the directory may need something else now"
    );
    assert_eq!(story.one_step(Event::Blocked), "publish");
    assert_eq!(story.at(9_000).one_step(Event::Unblocked), "prepare");
    assert_eq!(story.one_step(Event::Blocked), "publish", "it is still blocked");
    assert_eq!(story.svc(b"d"), "publish");
    assert_eq!(story.shown_state(), "down d");
    assert_eq!(story.one_step(Event::Unblocked), "");
    story.one_step(command(Command::Once));
    story.one_step(Event::Blocked);
    assert_eq!(story.svc(b"x"), "publish exit");
}

#[test]
fn commands_before_the_answer_to_prepare_are_obeyed_at_the_answer() {
    for policy in [PLAIN, S6, ENCORE, ONE_SHOT] {
        for answer in [Event::Prepared, Event::Refused(Reason::Options), Event::Blocked] {
            let mut story = Story::of(PLAIN, false);
            story.one_step(command(Command::Up));
            assert_eq!(story.svc(b"x"), "publish");
            assert_eq!(story.one_step(answer), "publish exit");
            let mut story = Story::of(policy, false);
            story.one_step(command(Command::Up));
            story.one_step(command(Command::Down));
            let stop = if policy.scripts.stop { "publish stop" } else { "publish" };
            assert_eq!(story.one_step(answer), stop);
        }
    }
}
