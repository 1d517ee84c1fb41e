//! The helper scripts `finish`, `start` and `stop`.

use crate::common::{EXITED, Story, at};
use crate::{ENCORE, LIMITED, ONE_SHOT, RUNIT, S6, TERMINATED, exited, stopping};
use daemontools_core::Ended;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::state_dir::phase::{Phase, Reason};
use daemontools_core::state_dir::status::StateCode;
use daemontools_core::supervise::{Event, Policy, Scripts, State};

// Finish.

#[test]
fn finish_runs_after_each_death_and_the_service_is_down_meanwhile() {
    for policy in [S6, RUNIT] {
        let mut story = Story::running(policy);
        assert_eq!(story.at(5_000).event(exited(3)), "publish finish");
        assert_eq!(story.machine.last_end(), Ended::Exited(3));
        let since = story.machine.record().since;
        assert_eq!(story.at(5_100).spawned(), "publish");
        assert_eq!(story.shown_state(), "finish u");
        assert_eq!(story.machine.record().pid, 0);
        assert_eq!(story.machine.record().since, since, "the service is down since its end");
        assert_eq!(story.machine.phase(), Phase::Finishing);
        assert_eq!(
            story.at(6_000).event(exited(1)),
            "publish spawn",
            "its exit code does not matter"
        );
        story.spawned();
        // Also while supervise is leaving.
        story.at(9_000).svc(b"dx");
        assert_eq!(story.event(TERMINATED), "publish finish");
        story.spawned();
        assert_eq!(story.svc(b"dx"), "publish; publish", "finish gets no signal");
        assert_eq!(story.event(exited(0)), "publish exit");
        assert_eq!(story.shown_state(), "gone d");
    }
}

#[test]
fn a_finish_that_times_out_is_killed_under_s6() {
    let mut story = Story::running(Policy { stop: stopping(Scope::Group).stop, ..S6 });
    story.at(5_000).event(EXITED);
    assert_eq!(story.event(Event::Swept), "publish finish");
    story.spawned();
    assert_eq!(story.due(), Some(10_000));
    assert_eq!(story.tick_when_due(), "KILL report-kill");
    assert_eq!(story.due(), None);
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish spawn");
    let mut story = Story::running(RUNIT);
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.due(), None);
}

#[test]
fn code_125_of_finish_fails_the_service_under_s6_only() {
    let mut story = Story::running(S6);
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.event(exited(125)), "report-failed-finish-125 publish");
    assert_eq!(story.shown_state(), "failed d");
    assert_eq!(story.machine.reason(), Some(Reason::Finish125));
    let mut story = Story::running(RUNIT);
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.event(exited(125)), "publish spawn");
}

#[test]
fn a_finish_that_cannot_be_forked_is_left_out() {
    let mut story = Story::running(S6);
    assert_eq!(story.at(5_000).event(EXITED), "publish finish");
    assert_eq!(story.event(Event::SpawnFailed), "publish spawn");
}

#[test]
fn o_during_sweep_and_finish_runs_the_service_once_more() {
    let mut story = Story::running(Policy { stop: stopping(Scope::Tree).stop, ..S6 });
    story.at(5_000).svc(b"d");
    assert_eq!(story.event(TERMINATED), "publish SWEEP-CONT");
    assert_eq!(story.svc(b"o"), "publish");
    assert_eq!(story.event(Event::Swept), "publish finish");
    story.spawned();
    assert_eq!(story.event(exited(0)), "publish spawn");
    story.spawned();
    story.at(9_000).event(EXITED);
    story.event(Event::Swept);
    story.spawned();
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.shown_state(), "down o");
}

#[test]
fn commands_during_finish_are_obeyed_after_it() {
    let mut story = Story::running(S6);
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.svc(b"d"), "publish");
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.shown_state(), "down d");
    assert_eq!(story.svc(b"u"), "publish spawn");
}

// encore.

#[test]
fn start_runs_before_the_first_run_and_after_u_for_a_stopped_service() {
    let mut story = Story::new(true);
    story.machine.configure(ENCORE, 0);
    assert_eq!(story.event(Event::Begin), "publish start");
    assert_eq!(story.spawned(), "publish");
    assert_eq!((story.shown_state().as_str(), story.code()), ("start u", StateCode::Starting));
    assert_eq!(story.at(100).event(exited(0)), "publish spawn");
    story.spawned();
    assert_eq!(story.code(), StateCode::Running);
    assert_eq!(story.at(5_000).event(EXITED), "publish spawn", "not the second time");
    story.spawned();
    assert_eq!(story.svc(b"d"), "TERM CONT publish");
    assert_eq!(story.code(), StateCode::Stopping);
    assert_eq!(story.event(TERMINATED), "publish stop");
    assert_eq!(story.code(), StateCode::Stopped);
    assert_eq!(story.spawned(), "publish");
    assert_eq!((story.shown_state().as_str(), story.code()), ("stop d", StateCode::Stopped));
    assert_eq!(story.at(6_000).event(exited(0)), "publish");
    assert_eq!((story.shown_state().as_str(), story.code()), ("down d", StateCode::Stopped));
    assert_eq!(story.at(9_000).svc(b"u"), "publish start");
    assert_eq!(story.code(), StateCode::Starting);
}

#[test]
fn a_failed_start_runs_neither_run_nor_stop() {
    for how in [exited(1), TERMINATED] {
        let mut story = Story::of(ENCORE, true);
        story.spawned();
        assert_eq!(story.at(100).event(how), "report-failed-start-script publish");
        assert_eq!((story.shown_state().as_str(), story.code()), ("failed d", StateCode::Failed));
        assert_eq!(story.machine.reason(), Some(Reason::StartScript));
        assert_eq!(story.at(9_000).svc(b"u"), "publish start");
    }
}

#[test]
fn a_start_that_was_told_to_stop_has_not_failed() {
    let mut story = Story::of(Policy { stop: stopping(Scope::Group).stop, ..ENCORE }, true);
    story.spawned();
    assert_eq!(story.at(100).svc(b"d"), "+TERM +CONT publish");
    assert_eq!(story.code(), StateCode::Stopping);
    assert_eq!(story.tick_when_due(), "+KILL report-kill");
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish stop");
    story.spawned();
    story.event(exited(0));
    assert_eq!(story.shown_state(), "down d");
    // If the service is wanted again before `start` has ended, `start` runs again.
    let mut story = Story::of(ENCORE, true);
    story.spawned();
    story.at(2_000).svc(b"du");
    assert_eq!(story.event(TERMINATED), "publish start");
    story.spawned();
    story.at(4_000).svc(b"do");
    assert_eq!(story.event(TERMINATED), "publish start");
}

#[test]
fn x_while_start_runs_is_obeyed_at_its_end() {
    for policy in [ENCORE, ONE_SHOT] {
        for (bytes, how, done) in [
            (&b"x"[..], exited(0), "publish exit"),
            (b"x", exited(1), "report-failed-start-script publish exit"),
            (b"dx", TERMINATED, "publish stop"),
        ] {
            let mut story = Story::of(policy, true);
            story.spawned();
            story.at(100).svc(bytes);
            assert_eq!(story.event(how), done);
            if done.ends_with("stop") {
                story.spawned();
                assert_eq!(story.event(exited(0)), "publish exit");
            }
            assert_eq!(story.machine.state(), State::Gone);
        }
    }
}

#[test]
fn stop_runs_once_for_each_d_that_stops_the_service() {
    // The first `d` runs it, even for a service that has never run; the second does not.
    let mut story = Story::of(ENCORE, false);
    assert_eq!(story.svc(b"d"), "publish stop");
    story.spawned();
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.svc(b"d"), "publish");
    // The end of a run without a stop signal does not run it after that.
    assert_eq!(story.at(9_000).svc(b"o"), "publish start");
    story.spawned();
    story.event(exited(0));
    story.spawned();
    assert_eq!(story.at(12_000).event(exited(0)), "publish");
    // But if it has not run yet, such an end runs it.
    let mut story = Story::running(ENCORE);
    story.at(3_000).svc(b"o");
    assert_eq!(story.event(exited(0)), "publish stop");
    // `x` without `d` does not.
    let mut story = Story::running(ENCORE);
    story.at(3_000).svc(b"x");
    assert_eq!(story.event(exited(0)), "publish exit");
    assert_eq!(story.code(), StateCode::Running);
    let mut story = Story::running(ENCORE);
    story.at(3_000).svc(b"dx");
    assert_eq!(story.event(exited(0)), "publish stop");
    story.spawned();
    assert_eq!(story.event(exited(0)), "publish exit");
    assert_eq!(story.code(), StateCode::Stopped);
}

#[test]
fn a_stop_that_cannot_be_forked_is_left_out() {
    let mut story = Story::running(ENCORE);
    story.at(3_000).svc(b"d");
    assert_eq!(story.event(exited(0)), "publish stop");
    assert_eq!(story.event(Event::SpawnFailed), "publish");
    assert_eq!(story.shown_state(), "down d");
}

#[test]
fn code_100_fails_the_service_under_encore_only() {
    let mut story = Story::running(ENCORE);
    assert_eq!(
        story.at(3_000).event(exited(100)),
        "report-failed-code-100 publish",
        "without stop"
    );
    assert_eq!((story.shown_state().as_str(), story.code()), ("failed d", StateCode::Failed));
    assert_eq!(story.machine.reason(), Some(Reason::Code100));
    assert_eq!(story.svc(b"x"), "publish exit");
    assert_eq!(story.code(), StateCode::Failed);
    // From any script.
    let mut story = Story::running(ENCORE);
    story.at(3_000).svc(b"d");
    story.event(TERMINATED);
    story.spawned();
    story.event(exited(100));
    assert_eq!(story.shown_state(), "failed d");
    let mut story = Story::running(LIMITED);
    assert_eq!(story.at(3_000).event(exited(100)), "publish spawn");
}

#[test]
fn a_service_without_run_stays_started_until_it_is_stopped() {
    let mut story = Story::of(ONE_SHOT, true);
    story.spawned();
    assert_eq!(story.at(100).event(exited(0)), "publish");
    assert_eq!((story.shown_state().as_str(), story.code()), ("started o", StateCode::Started));
    assert_eq!(story.machine.phase(), Phase::Ready);
    assert_eq!(story.machine.ready(), Some(at(100).label));
    // `u` and `o` change nothing.
    assert_eq!(story.at(3_000).svc(b"u"), "publish publish");
    assert_eq!(story.svc(b"o"), "publish publish");
    assert_eq!((story.shown_state().as_str(), story.code()), ("started o", StateCode::Started));
    assert_eq!(story.svc(b"d"), "publish stop");
    story.spawned();
    story.event(exited(0));
    assert_eq!((story.shown_state().as_str(), story.machine.ready()), ("down d", None));
    assert_eq!(story.at(9_000).svc(b"u"), "publish start");
    story.spawned();
    story.event(exited(0));
    assert_eq!(story.svc(b"x"), "publish exit");
    assert_eq!(story.code(), StateCode::Started);
    // Without `start`, no process runs at all.
    let scripts = Scripts { start: false, ..ONE_SHOT.scripts };
    let story = Story::of(Policy { scripts, ..ONE_SHOT }, true);
    assert_eq!(story.shown_state(), "started o");
}
