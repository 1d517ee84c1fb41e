//! The end of an essential service.

use crate::common::{EXITED, Story};
use crate::{ENCORE, LIMITED, PLAIN, S6, TERMINATED, exited};
use daemontools_core::Ended;
use daemontools_core::options::Essential;
use daemontools_core::supervise::{Event, Policy};

const ANY: Policy = Policy { essential: Some(Essential::Any), ..PLAIN };

#[test]
fn any_end_is_one_for_good() {
    for how in [EXITED, exited(7), TERMINATED] {
        let mut story = Story::running(ANY);
        assert_eq!(story.at(5_000).event(how), "publish exit");
        assert_eq!(story.shown_state(), "gone u");
        assert!(story.machine.essential_end().is_some());
    }
    let mut story = Story::running(ANY);
    story.at(2_000).svc(b"o");
    assert_eq!(story.event(exited(7)), "publish exit");
    assert_eq!(story.machine.essential_end(), Some(Ended::Exited(7)));
}

#[test]
fn an_end_by_a_command_is_none() {
    for commands in [&b"t"[..], b"k", b"d", b"du", b"x"] {
        let mut story = Story::running(ANY);
        story.at(5_000).svc(commands);
        story.event(exited(7));
        assert_eq!(story.machine.essential_end(), None, "{commands:?}");
    }
}

#[test]
fn an_end_by_the_signal_of_a_command_is_none() {
    // The number of the signal that kills the service: of the command, or another one.
    for (command, own, other) in [(&b"h"[..], 1, 2), (b"a", 14, 1), (b"1", 10, 12)] {
        for (signal, is_end) in [(own, false), (other, true)] {
            let mut story = Story::running(ANY);
            story.at(5_000).svc(command);
            story.at(9_000).event(Event::Ended(Ended::Killed(signal)));
            assert_eq!(story.machine.essential_end().is_some(), is_end, "{command:?} {signal}");
        }
    }
    // The next process has not got it.
    let mut story = Story::running(ANY);
    story.at(5_000).svc(b"h");
    story.event(Event::Ended(Ended::Killed(1)));
    story.spawned();
    story.at(9_000).event(Event::Ended(Ended::Killed(1)));
    assert!(story.machine.essential_end().is_some());
    // Neither does it use up the restart limit.
    let policy = Policy { essential: Some(Essential::Failed), ..LIMITED };
    let mut story = Story::running(policy);
    for _ in 0..5 {
        story.ms += 2_000;
        story.svc(b"h");
        story.event(Event::Ended(Ended::Killed(1)));
        story.spawned();
    }
    assert_eq!(story.machine.essential_end(), None);
    assert_eq!(story.machine.failures(), 0);
}

#[test]
fn a_start_script_that_a_command_kills_is_no_end_for_good() {
    for (command, how, is_end) in
        [(&b"k"[..], 9, false), (b"t", 15, false), (b"h", 1, false), (b"h", 9, true)]
    {
        let policy = Policy { essential: Some(Essential::Failed), ..ENCORE };
        let mut story = Story::of(policy, true);
        story.spawned();
        assert_eq!(story.shown_state(), "start u");
        story.svc(command);
        story.event(Event::Ended(Ended::Killed(how)));
        assert_eq!(story.machine.essential_end().is_some(), is_end, "{command:?} {how}");
    }
}

#[test]
fn a_failure_is_one_for_good() {
    let mut story = Story::running(Policy { essential: Some(Essential::Failed), ..LIMITED });
    for _ in 0..2 {
        story.ms += 2_000;
        story.event(exited(7));
        assert_eq!(story.machine.essential_end(), None);
        story.spawned();
    }
    story.ms += 2_000;
    assert_eq!(story.event(exited(8)), "report-failed-deaths publish exit");
    assert_eq!(story.machine.essential_end(), Some(Ended::Exited(8)));
    let mut story = Story::running(Policy { essential: Some(Essential::Failed), ..ENCORE });
    story.at(5_000).event(exited(100));
    story.spawned();
    story.event(exited(0));
    assert_eq!(story.machine.essential_end(), Some(Ended::Exited(100)));
}

#[test]
fn finish_runs_before_the_supervisor_exits_and_a_command_keeps_it() {
    let policy = Policy { essential: Some(Essential::Any), ..S6 };
    let mut story = Story::running(policy);
    story.at(5_000).event(exited(7));
    story.spawned();
    assert_eq!(story.shown_state(), "finish u");
    assert_eq!(story.event(exited(0)), "publish exit");
    for commands in [&b"u"[..], b"d"] {
        let mut story = Story::running(policy);
        story.at(5_000).event(exited(7));
        story.spawned();
        story.svc(commands);
        story.event(exited(0));
        assert_eq!(story.machine.essential_end(), None);
        assert_ne!(story.shown_state(), "gone u");
    }
}
