//! The end of an essential service.

use crate::common::{EXITED, Story};
use crate::{ENCORE, LIMITED, PLAIN, S6, TERMINATED, exited};
use daemontools_core::Ended;
use daemontools_core::options::Essential;
use daemontools_core::supervise::Policy;

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
