//! Readiness, watchdog, health check and dependencies.

use crate::common::{EXITED, Story, at};
use crate::{ANNOUNCING, CHECKED, PATIENT, PLAIN, SLOWER, TERMINATED, exited, ms};
use daemontools_core::Ended;
use daemontools_core::options::HealthCheck;
use daemontools_core::state_dir::phase::{Phase, Reason};
use daemontools_core::supervise::{Event, Notification, Policy};

#[test]
fn a_service_is_ready_after_its_notification() {
    let mut story = Story::running(ANNOUNCING);
    assert_eq!(story.machine.phase(), Phase::Starting);
    assert_eq!(story.due(), Some(10_000));
    assert_eq!(story.at(3_000).notify(Notification::Ready), "publish");
    assert_eq!(story.machine.phase(), Phase::Ready);
    assert_eq!(story.machine.ready(), Some(at(3_000).label));
    story.at(4_000).notify(Notification::Ready);
    assert_eq!(story.machine.ready(), Some(at(3_000).label), "the time of readiness stays");
    assert_eq!(story.notify(Notification::Reloading), "publish");
    assert_eq!(story.machine.phase(), Phase::Reloading);
    story.notify(Notification::Ready);
    assert_eq!(story.machine.phase(), Phase::Ready);
    story.notify(Notification::Stopping);
    assert_eq!(story.machine.phase(), Phase::Stopping);
    story.event(exited(0));
    assert_eq!(story.machine.ready(), None);
}

#[test]
fn a_service_that_is_not_ready_in_time_is_restarted() {
    let mut story = Story::running(ANNOUNCING);
    assert_eq!(story.tick_when_due(), "TERM CONT publish report-not-ready");
    assert_eq!((story.ms, story.machine.reason()), (10_000, Some(Reason::NotReady)));
    assert_eq!(story.machine.phase(), Phase::Stopping);
    // Its notifications are too late, and KILL follows after five seconds.
    story.at(11_000).notify(Notification::Ready);
    story.notify(Notification::KeepAlive);
    assert_eq!(story.due(), Some(15_000));
    assert_eq!(story.tick_when_due(), "KILL report-kill");
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish spawn");
    assert_eq!(story.machine.failures(), 1);
    story.spawned();
    assert_eq!(story.machine.reason(), Some(Reason::NotReady), "the reason stays visible");
    assert_eq!(story.due(), Some(25_000));
}

#[test]
fn a_service_can_extend_its_timeouts() {
    let mut story = Story::running(Policy { stop: PATIENT.stop, ..ANNOUNCING });
    story.at(8_000).notify(Notification::ExtendTimeout(ms(5_000)));
    assert_eq!(story.due(), Some(13_000));
    story.notify(Notification::ExtendTimeout(ms(1_000)));
    assert_eq!(story.due(), Some(13_000), "a shorter time does not reduce it");
    story.svc(b"d");
    assert_eq!(story.due(), Some(11_000));
    story.at(10_000).notify(Notification::ExtendTimeout(ms(4_000)));
    assert_eq!(story.due(), Some(14_000));
}

// Health.

#[test]
fn the_watchdog_starts_with_readiness_and_expects_keep_alives() {
    let mut story = Story::running(ANNOUNCING);
    story.at(5_000).notify(Notification::Ready);
    assert_eq!(story.due(), Some(7_000));
    assert_eq!(story.at(6_500).notify(Notification::KeepAlive), "", "the record does not show it");
    assert_eq!(story.due(), Some(8_500));
    assert_eq!(story.notify(Notification::WatchdogTimeout(ms(9_000))), "publish");
    assert_eq!(story.due(), Some(15_500));
    story.at(7_000).notify(Notification::KeepAlive);
    assert_eq!(story.due(), Some(16_000));
    assert_eq!(story.tick_when_due(), "TERM CONT publish report-watchdog");
    assert_eq!(story.machine.reason(), Some(Reason::Watchdog));
    // The timeout that a process chose does not apply to the next one.
    story.event(TERMINATED);
    story.spawned();
    story.notify(Notification::Ready);
    assert_eq!(story.due(), Some(18_000));
}

#[test]
fn without_readiness_the_watchdog_starts_with_the_process() {
    let mut story = Story::running(Policy { notifies_readiness: false, ..ANNOUNCING });
    assert_eq!(story.due(), Some(2_000));
    assert_eq!(story.tick_when_due(), "TERM CONT publish report-watchdog");
}

#[test]
fn a_service_can_trigger_its_watchdog() {
    let mut story = Story::running(ANNOUNCING);
    assert_eq!(
        story.at(1_000).notify(Notification::WatchdogTrigger),
        "TERM CONT publish report-watchdog"
    );
    assert_eq!(story.notify(Notification::WatchdogTrigger), "", "it is stopping already");
    assert_eq!(story.machine.reason(), Some(Reason::Watchdog));
}

#[test]
fn the_first_check_that_passes_means_ready() {
    let mut story = Story::running(CHECKED);
    assert_eq!(story.machine.phase(), Phase::Starting);
    for _ in 0..5 {
        assert_eq!(story.tick_when_due(), "check");
        assert_eq!(
            story.event(Event::CheckEnded { passed: false }),
            "",
            "failures do not count before readiness"
        );
    }
    assert_eq!(story.tick_when_due(), "check");
    assert_eq!(story.event(Event::CheckEnded { passed: true }), "publish");
    assert_eq!(story.machine.phase(), Phase::Ready);
    assert_eq!(story.due(), Some(story.ms + 1_000), "the interval counts from the end of a check");
}

#[test]
fn repeated_failures_of_the_check_restart_the_service() {
    let mut story = Story::running(CHECKED);
    story.tick_when_due();
    story.event(Event::CheckEnded { passed: true });
    for well in [false, true, false] {
        assert_eq!(story.tick_when_due(), "check");
        assert_eq!(story.event(Event::CheckEnded { passed: well }), "");
    }
    assert_eq!(story.tick_when_due(), "check");
    assert_eq!(story.event(Event::CheckEnded { passed: false }), "TERM CONT publish report-check");
    assert_eq!(story.machine.reason(), Some(Reason::Check));
}

#[test]
fn a_check_that_times_out_has_failed() {
    let mut story = Story::running(CHECKED);
    story.tick_when_due();
    story.event(Event::CheckEnded { passed: true });
    assert_eq!(story.tick_when_due(), "check");
    let begun = story.ms;
    assert_eq!(story.tick_when_due(), "stop-check");
    assert_eq!(story.ms, begun + 500);
    assert_eq!(story.event(Event::CheckEnded { passed: true }), "", "too late");
    assert_eq!(story.tick_when_due(), "check");
    assert_eq!(story.ms, begun + 1_500);
    assert_eq!(story.tick_when_due(), "stop-check TERM CONT publish report-check");
}

#[test]
fn without_check_failures_a_ready_service_is_not_checked() {
    let check = HealthCheck { interval: ms(1_000), timeout: ms(500), failures: 0 };
    let mut story = Story::running(Policy { check: Some(check), ..PLAIN });
    story.tick_when_due();
    story.event(Event::CheckEnded { passed: false });
    story.tick_when_due();
    assert_eq!(story.event(Event::CheckEnded { passed: true }), "publish");
    assert_eq!(story.due(), None);
    story.at(9_000).svc(b"pc");
    assert_eq!(story.due(), None);
}

#[test]
fn the_check_stops_when_the_process_ends_or_is_told_to() {
    let mut story = Story::running(CHECKED);
    story.tick_when_due();
    assert_eq!(story.event(EXITED), "stop-check publish spawn");
    story.spawned();
    assert_eq!(
        story.event(Event::CheckEnded { passed: true }),
        "",
        "the check belonged to the process before"
    );
    assert_eq!(story.machine.phase(), Phase::Starting);
    story.tick_when_due();
    assert_eq!(story.svc(b"d"), "stop-check TERM CONT publish");
    assert_eq!(story.event(Event::CheckEnded { passed: true }), "");
    assert_eq!(story.due(), None);
}

#[test]
fn a_paused_process_has_no_health_timers() {
    let mut story = Story::running(Policy { watchdog: Some(ms(2_000)), ..CHECKED });
    story.tick_when_due();
    assert_eq!(story.svc(b"p"), "stop-check publish STOP");
    story.notify(Notification::KeepAlive);
    assert_eq!(story.due(), None);
    assert_eq!(story.at(90_000).svc(b"c"), "publish CONT");
    assert_eq!(story.due(), Some(91_000));
}

#[test]
fn a_lost_dependency_restarts_the_service() {
    let mut story = Story::running(SLOWER);
    assert_eq!(story.at(5_000).event(Event::DependencyLost), "TERM CONT publish");
    assert_eq!(story.event(Event::DependencyLost), "");
    assert_eq!(
        story.event(TERMINATED),
        "publish spawn",
        "without a delay: it is no failure of the service"
    );
    assert_eq!(story.machine.reason(), Some(Reason::Needs));
    assert_eq!(story.machine.failures(), 0);
}
