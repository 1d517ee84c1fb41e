//! A stop: signal, scope, timeout, and the sweep of leftovers.

use crate::common::{EXITED, Story, at, pid};
use crate::{PATIENT, PLAIN, TERMINATED, stopping};
use daemontools_core::Ended;
use daemontools_core::options::StopPolicy;
use daemontools_core::state_dir::control::{Scope, Signal};
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::supervise::{Effect, Event, Policy, Report, Script};

#[test]
fn a_service_that_does_not_end_in_time_is_killed_once() {
    let mut story = Story::running(PATIENT);
    assert_eq!(story.at(5_000).svc(b"d"), "TERM CONT publish");
    assert_eq!(story.due(), Some(8_000));
    // A second `d` does not extend the time.
    assert_eq!(story.at(7_000).svc(b"d"), "TERM CONT publish");
    assert_eq!(story.at(7_999).tick(), "");
    assert_eq!(story.tick_when_due(), "KILL report-kill");
    assert_eq!(story.ms, 8_000);
    assert_eq!(story.due(), None);
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish");
    assert_eq!(story.shown_state(), "down d");
}

#[test]
fn a_service_that_ends_in_time_is_not_killed() {
    let mut story = Story::running(PATIENT);
    story.at(5_000).svc(b"d");
    story.at(6_000).event(TERMINATED);
    assert_eq!(story.due(), None);
    story.at(7_000).svc(b"u");
    story.spawned();
    assert_eq!(story.due(), None, "the timer ends with the process");
}

#[test]
fn a_stop_uses_the_signal_and_scope_of_the_policy() {
    let hup = Policy { stop: StopPolicy { signal: Signal::Hup, ..PATIENT.stop }, ..PATIENT };
    let killed = Policy { stop: StopPolicy { kill_group: true, ..PATIENT.stop }, ..PATIENT };
    for (policy, told, killed) in [
        (hup, "HUP CONT publish", "KILL"),
        (killed, "TERM CONT publish", "+KILL"),
        (stopping(Scope::Group), "+TERM +CONT publish", "+KILL"),
        (stopping(Scope::Tree), "*TERM *CONT publish", "*KILL"),
    ] {
        let mut story = Story::running(policy);
        assert_eq!(story.at(5_000).svc(b"d"), told);
        assert_eq!(story.tick_when_due(), format!("{killed} report-kill"));
    }
    // A command may enlarge the scope of a stop. Other signals keep the scope of their command.
    let mut story = Story::running(PATIENT);
    assert_eq!(story.svc(b"+d"), "+TERM +CONT publish");
    let mut story = Story::running(stopping(Scope::Tree));
    assert_eq!(story.svc(b"+dh"), "*TERM *CONT publish; +HUP");
}

#[test]
fn leftovers_are_swept_before_the_next_start() {
    for scope in [Scope::Group, Scope::Tree] {
        let mut story = Story::running(stopping(scope));
        story.at(5_000).svc(b"d");
        // The stop signal went to the whole scope, and their time runs since then.
        assert_eq!(story.at(6_000).event(TERMINATED), "publish SWEEP-CONT");
        assert_eq!(story.shown_state(), "sweeping d");
        assert_eq!(story.machine.phase(), Phase::Stopping);
        assert_eq!(story.at(7_000).svc(b"u"), "publish");
        assert_eq!(story.due(), Some(8_000));
        assert_eq!(story.tick_when_due(), "SWEEP-KILL");
        assert_eq!(story.due(), Some(13_000));
        assert_eq!(
            story.tick_when_due(),
            "SWEEP-KILL",
            "at each attempt the program names the survivors"
        );
        assert_eq!(story.svc(b"h"), "SWEEP-HUP");
        assert_eq!(story.at(15_000).event(Event::Swept), "publish spawn");
        story.spawned();
        // After a death of its own, the leftovers get the stop signal now.
        assert_eq!(story.at(15_500).event(EXITED), "publish SWEEP-TERM");
        assert_eq!(story.due(), Some(18_500));
        assert_eq!(story.event(Event::Swept), "publish");
        assert_eq!(story.shown_state(), "waiting u");
        assert_eq!(story.due(), Some(16_000));
    }
    // Without a timeout the sweep ends all the same.
    let mut story = Story::running(Policy {
        stop: StopPolicy { timeout: None, ..stopping(Scope::Group).stop },
        ..PLAIN
    });
    story.at(5_000).svc(b"d");
    assert_eq!(story.due(), None);
    story.at(6_000).event(TERMINATED);
    assert_eq!(story.due(), Some(11_000));
    assert_eq!(story.tick_when_due(), "SWEEP-KILL");
}

#[test]
fn a_service_can_name_its_main_process() {
    let mut story = Story::running(PATIENT);
    let [main, second, third] = [77, 78, 79].map(pid);
    assert_eq!(story.at(2_000).event(Event::MainPidChanged(main)), "publish");
    assert_eq!(story.machine.pid(), Some(main));
    story.svc(b"d");
    let killed: Vec<Effect> = story.machine.step(Event::Tick, at(5_000)).collect();
    let (signal, scope) = (Signal::Kill, Scope::Process);
    let kill = Effect::Signal { pid: main, signal, scope, requested: false };
    assert_eq!(killed, [kill, Effect::Report(Report::Killed(Script::Run, main))]);
    // A new main process has not got the stop signal.
    assert_eq!(story.event(Event::MainPidChanged(second)), "TERM CONT publish");
    story.event(TERMINATED);
    assert_eq!(story.event(Event::MainPidChanged(third)), "", "too late");
}
