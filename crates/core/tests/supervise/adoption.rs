//! A process that the last supervisor started.

use crate::common::{EXITED, Story, at, pid};
use daemontools_core::state_dir::status::Want;
use daemontools_core::supervise::{Event, Machine, Recovered, RunningProcess, SavedState, Script};
use daemontools_core::{Ended, Pid};

/// A story with a recovered machine.
fn resumed(up: Option<(Pid, bool)>, want: Want, last_start: u64) -> Story {
    let label = at(last_start).label;
    let last_start = Some(at(last_start).instant);
    let process = up.map(|(pid, paused)| RunningProcess { pid, script: Script::Run, paused });
    let recovered = Recovered {
        process,
        last_end: None,
        end_uncounted: false,
        start_due: false,
        started: false,
        stop_done: false,
        want,
        since: label,
        last_start,
        saved: SavedState::default(),
    };
    let machine = Machine::from_recovered(recovered, at(0));
    Story { machine, ms: 0, next_pid: 100 }
}

#[test]
fn an_adopted_process_gets_no_signal() {
    let mut story = resumed(Some((pid(7), false)), Want::Up, 3_000);
    assert_eq!(story.shown_state(), "up u");
    assert_eq!(story.at(60_000).event(Event::Begin), "");
    assert_eq!(story.machine.record().since, at(3_000).label);
    assert_eq!(story.due(), None);
    // From then on it is handled like a child.
    assert_eq!(story.svc(b"p"), "publish STOP");
    assert_eq!(story.svc(b"t"), "TERM");
    assert_eq!(story.event(Event::Ended(Ended::Unknown)), "publish spawn");
}

#[test]
fn an_adopted_process_that_is_stopping_gets_no_second_term() {
    let mut story = resumed(Some((pid(7), false)), Want::Down, 3_000);
    // A second TERM may have another meaning for the service.
    assert_eq!(story.at(4_000).event(Event::Begin), "");
    assert_eq!(story.event(Event::Ended(Ended::Unknown)), "publish");
    assert_eq!(story.shown_state(), "down d");
}

#[test]
fn an_adopted_process_stays_paused() {
    let mut story = resumed(Some((pid(7), true)), Want::Once, 3_000);
    assert_eq!(story.at(4_000).event(Event::Begin), "");
    assert_eq!(story.shown_state(), "paused o");
    assert_eq!(story.svc(b"c"), "publish CONT");
    assert_eq!(story.event(EXITED), "publish");
    assert_eq!(story.shown_state(), "down o");
}

#[test]
fn starts_are_a_second_apart_across_supervisors() {
    let mut story = resumed(None, Want::Up, 3_000);
    assert_eq!(story.at(3_400).event(Event::Begin), "publish");
    assert_eq!(story.due(), Some(4_000));
    assert_eq!(story.at(4_000).event(Event::Tick), "spawn");
    // An adopted process that ends soon.
    let mut story = resumed(Some((pid(7), false)), Want::Up, 3_000);
    story.at(3_200).event(Event::Begin);
    assert_eq!(story.at(3_300).event(EXITED), "publish");
    assert_eq!(story.due(), Some(4_000));
}

#[test]
fn the_next_supervisor_does_not_repeat_o() {
    for (want, begins) in
        [(Want::Up, "publish spawn"), (Want::Down, "publish"), (Want::Once, "publish")]
    {
        let mut story = resumed(None, want, 3_000);
        assert_eq!(story.at(60_000).event(Event::Begin), begins, "{want:?}");
    }
}
