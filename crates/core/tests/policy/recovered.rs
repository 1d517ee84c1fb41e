//! A machine that continues after a killed supervisor.

use crate::common::{Story, at, pid};
use crate::{
    ANNOUNCING, CHECKED, ENCORE, LIMITED, ONE_SHOT, PATIENT, S6, TERMINATED, exited, stopping,
};
use daemontools_core::Ended;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::state_dir::phase::{Phase, Reason};
use daemontools_core::state_dir::status::{StateCode, Want};
use daemontools_core::supervise::{
    Event, Machine, Policy, Recovered, RunningProcess, SavedState, Script,
};
use daemontools_core::time::tai::Tai64n;

const RECOVERED: Recovered = Recovered {
    process: None,
    last_end: None,
    end_uncounted: false,
    start_due: false,
    started: false,
    stop_done: false,
    want: Want::Up,
    since: Tai64n { seconds: 0, nanoseconds: 0 },
    last_start: None,
    saved: SavedState {
        ready_since: None,
        failures: 0,
        reason: None,
        failed: false,
        next_start: None,
        run_end: None,
    },
};

/// Process 7, which the predecessor started.
fn adopted(script: Script, paused: bool) -> Option<RunningProcess> {
    Some(RunningProcess { pid: pid(7), script, paused })
}

/// A story with this recovered state, and the effects of its `Begin` at ten seconds.
fn resumed(policy: Policy, recovered: Recovered) -> (Story, String) {
    let mut machine = Machine::from_recovered(recovered, at(10_000));
    machine.configure(policy, 0);
    let mut story = Story { machine, ms: 10_000, next_pid: 100 };
    let did = story.event(Event::Begin);
    (story, did)
}

#[test]
fn a_restart_delay_goes_on_under_the_next_supervisor() {
    let pausing = |next| Recovered {
        saved: SavedState { next_start: Some(next), failures: 3, ..RECOVERED.saved },
        ..RECOVERED
    };
    let (mut story, did) = resumed(PATIENT, pausing(at(14_000).label));
    assert_eq!((did.as_str(), story.due()), ("publish", Some(14_000)));
    assert_eq!(story.machine.failures(), 3);
    assert_eq!(story.svc(b"u"), "publish spawn", "a command is obeyed at once");
    // The delay is over.
    let (story, did) = resumed(PATIENT, pausing(at(9_000).label));
    assert_eq!((did.as_str(), story.shown_state().as_str()), ("publish spawn", "spawning u"));
    // The clock was set back by a year. No start of this policy waits longer than 5 seconds.
    let (story, _) = resumed(PATIENT, pausing(at(10_000 + 31_536_000_000).label));
    assert_eq!(story.due(), Some(10_000 + 5_000));
}

#[test]
fn helper_scripts_are_adopted() {
    let recovered = Recovered { process: adopted(Script::Finish, false), ..RECOVERED };
    let (mut story, did) = resumed(S6, recovered);
    assert_eq!((did.as_str(), story.shown_state().as_str()), ("", "finish u"));
    assert_eq!(story.due(), Some(15_000));
    assert_eq!(story.event(exited(0)), "publish spawn");

    let recovered = Recovered { process: adopted(Script::Start, false), ..RECOVERED };
    let (mut story, _) = resumed(ENCORE, recovered);
    assert_eq!((story.shown_state().as_str(), story.code()), ("start u", StateCode::Starting));
    assert_eq!(story.event(exited(0)), "publish spawn");
    let (mut story, _) = resumed(
        Policy { stop: PATIENT.stop, ..ENCORE },
        Recovered { want: Want::Down, ..recovered },
    );
    assert_eq!((story.code(), story.due()), (StateCode::Stopping, Some(13_000)));
    assert_eq!(story.event(TERMINATED), "publish stop");

    let process = adopted(Script::Stop, false);
    let (mut story, _) =
        resumed(ENCORE, Recovered { process, stop_done: true, want: Want::Down, ..RECOVERED });
    assert_eq!(story.shown_state(), "stop d");
    assert_eq!(story.event(exited(0)), "publish", "stop does not run again");
    assert_eq!(story.shown_state(), "down d");
}

#[test]
fn an_adopted_process_has_its_timers() {
    let process = adopted(Script::Run, false);
    let (story, did) = resumed(ANNOUNCING, Recovered { process, ..RECOVERED });
    assert_eq!((did.as_str(), story.due()), ("", Some(20_000)));
    let saved = SavedState { ready_since: Some(at(3_000).label), ..RECOVERED.saved };
    let (story, _) = resumed(ANNOUNCING, Recovered { process, saved, ..RECOVERED });
    assert_eq!((story.machine.phase(), story.due()), (Phase::Ready, Some(12_000)));
    let (story, _) = resumed(PATIENT, Recovered { process, want: Want::Down, ..RECOVERED });
    assert_eq!((story.machine.phase(), story.due()), (Phase::Stopping, Some(13_000)));
    let (story, _) = resumed(CHECKED, Recovered { process, want: Want::Down, ..RECOVERED });
    assert_eq!(story.due(), None, "a process that stops is not checked");
    let (story, _) =
        resumed(CHECKED, Recovered { process: adopted(Script::Run, true), ..RECOVERED });
    assert_eq!(story.due(), None, "a paused process is not checked");
}

#[test]
fn an_unseen_end_is_counted_and_handled() {
    let died = Recovered { last_end: Some(Ended::Exited(100)), end_uncounted: true, ..RECOVERED };
    let (story, did) = resumed(S6, died);
    assert_eq!((did.as_str(), story.machine.last_end()), ("publish finish", Ended::Exited(100)));
    assert_eq!(story.machine.failures(), 1);
    let (story, did) = resumed(ENCORE, died);
    assert_eq!(
        (did.as_str(), story.shown_state().as_str()),
        ("report-failed-code-100 publish", "failed d")
    );
    let (_, did) =
        resumed(ENCORE, Recovered { want: Want::Down, last_end: Some(Ended::Exited(0)), ..died });
    assert_eq!(did, "publish stop");
    for scope in [Scope::Group, Scope::Tree] {
        // Also after a predecessor that died during its sweep.
        for end_uncounted in [true, false] {
            let (_, did) = resumed(stopping(scope), Recovered { end_uncounted, ..died });
            assert_eq!(did, "publish SWEEP-TERM");
        }
    }
    // An end that the predecessor counted is not counted again, only `finish` is made up for.
    let seen = Recovered { end_uncounted: false, ..died };
    let (story, did) = resumed(S6, seen);
    assert_eq!((did.as_str(), story.machine.failures()), ("publish finish", 0));
    let (_, did) = resumed(ENCORE, seen);
    assert_eq!(did, "publish spawn");
}

#[test]
fn failed_and_started_survive_a_killed_supervisor() {
    let reason = Some(Reason::Deaths);
    let saved = SavedState { failed: true, reason, failures: 3, ..RECOVERED.saved };
    let (mut story, did) = resumed(LIMITED, Recovered { want: Want::Down, saved, ..RECOVERED });
    assert_eq!((did.as_str(), story.shown_state().as_str()), ("publish", "failed d"));
    assert_eq!((story.machine.reason(), story.machine.failures()), (reason, 3));
    assert_eq!(story.svc(b"u"), "publish spawn");
    // A failed service whose `finish` still runs.
    let process = adopted(Script::Finish, false);
    let saved = SavedState { failed: false, ..saved };
    let (mut story, _) = resumed(S6, Recovered { process, want: Want::Down, saved, ..RECOVERED });
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.shown_state(), "failed d");

    let (mut story, did) =
        resumed(ONE_SHOT, Recovered { want: Want::Once, started: true, ..RECOVERED });
    assert_eq!((did.as_str(), story.shown_state().as_str()), ("publish", "started o"));
    assert_eq!(story.svc(b"d"), "publish stop");
}

#[test]
fn an_outstanding_start_runs_after_a_resumption() {
    let (_, did) = resumed(ENCORE, Recovered { start_due: true, ..RECOVERED });
    assert_eq!(did, "publish start");
    let (_, did) = resumed(ENCORE, RECOVERED);
    assert_eq!(did, "publish spawn");
}
