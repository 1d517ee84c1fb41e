//! The supervise machine where a service directory asks for more than the original gives: a story
//! for each of its files, and properties which hold for any of them, with a small kernel.

#[path = "common/cases.rs"]
mod cases;
mod common;
#[path = "common/policy_kernel.rs"]
mod kernel;

use cases::config;
use common::{EXITED, Story, at, pid, said};
use daemontools_core::Ended;
use daemontools_core::command::{Command, Scope, Signal};
use daemontools_core::detail::{Phase, Reason};
use daemontools_core::options::{Check, Limit, Personality, Reach, Restart, Stop};
use daemontools_core::status::{StateCode, Want};
use daemontools_core::supervise::{
    Effect, Event, Kept, Machine, Past, Policy, Script, Scripts, State, Word,
};
use daemontools_core::tai::Tai64n;
use kernel::{Act, Directory, Kernel};
use proptest::prelude::*;
use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const PLAIN: Policy = Policy::ORIGINAL;

/// Killed after three seconds.
const PATIENT: Policy = Policy { stop: Stop { timeout: Some(ms(3_000)), ..PLAIN.stop }, ..PLAIN };

const ANNOUNCING: Policy =
    Policy { announces: true, ready_timeout: Some(ms(10_000)), watchdog: Some(ms(2_000)), ..PLAIN };

const CHECKED: Policy =
    Policy { check: Some(Check { interval: ms(1_000), timeout: ms(500), failures: 2 }), ..PLAIN };

const SLOWER: Policy = Policy {
    restart: Some(Restart {
        min: ms(2_000),
        max: ms(10_000),
        factor: 3,
        jitter: 0,
        reset: ms(60_000),
    }),
    ..PLAIN
};

const LIMITED: Policy = Policy { limit: Some(Limit { deaths: 3, within: ms(20_000) }), ..PLAIN };

const S6: Policy = Policy {
    personality: Personality::S6,
    scripts: Scripts { finish: true, ..PLAIN.scripts },
    finish_timeout: Some(ms(5_000)),
    ..PLAIN
};

const RUNIT: Policy = Policy { personality: Personality::Runit, finish_timeout: None, ..S6 };

const ENCORE: Policy = Policy {
    personality: Personality::Encore,
    scripts: Scripts { start: true, stop: true, ..PLAIN.scripts },
    ..PLAIN
};

const ONE_SHOT: Policy = Policy { scripts: Scripts { runless: true, ..ENCORE.scripts }, ..ENCORE };

const fn reaching(reach: Reach) -> Policy {
    Policy { stop: Stop { reach, ..PATIENT.stop }, ..PATIENT }
}

const fn exited(code: u8) -> Event {
    Event::Ended(Ended::Exited(code))
}

const TERMINATED: Event = Event::Ended(Ended::Killed(15));

impl Story {
    /// One that begins, with a service of which this is asked.
    fn of(policy: Policy, normally_up: bool) -> Self {
        let mut story = Self::new(normally_up);
        story.machine.configure(policy, 0);
        story.event(Event::Begin);
        story
    }

    /// One whose `run` runs since the beginning.
    fn running(policy: Policy) -> Self {
        let mut story = Self::of(policy, true);
        story.spawned();
        if policy.scripts.start {
            story.event(exited(0));
            story.spawned();
        }
        assert_eq!(story.whereabouts(), "up u");
        story
    }

    /// Without an answer to a look at the service directory.
    fn alone(&mut self, event: Event) -> String {
        said(self.machine.step(event, at(self.ms)))
    }

    fn tick(&mut self) -> String {
        self.event(Event::Tick)
    }

    /// What happens when the next thing is due, which it is then.
    fn in_time(&mut self) -> String {
        self.ms = self.due().expect("something is due");
        self.tick()
    }

    fn says(&mut self, word: Word) -> String {
        self.event(Event::Said(word))
    }

    fn code(&self) -> StateCode {
        self.machine.record().state.expect("encore has one")
    }
}

// Stopping.

#[test]
fn a_service_that_does_not_end_in_time_is_killed_once() {
    let mut story = Story::running(PATIENT);
    assert_eq!(story.at(5_000).svc(b"d"), "TERM CONT publish");
    assert_eq!(story.due(), Some(8_000));
    // Whoever says it again does not give it more time.
    assert_eq!(story.at(7_000).svc(b"d"), "TERM CONT publish");
    assert_eq!(story.at(7_999).tick(), "");
    assert_eq!(story.in_time(), "KILL");
    assert_eq!(story.ms, 8_000);
    assert_eq!(story.due(), None);
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish");
    assert_eq!(story.whereabouts(), "down d");
}

#[test]
fn one_that_ends_in_time_is_not_killed() {
    let mut story = Story::running(PATIENT);
    story.at(5_000).svc(b"d");
    story.at(6_000).event(TERMINATED);
    assert_eq!(story.due(), None);
    story.at(7_000).svc(b"u");
    story.spawned();
    assert_eq!(story.due(), None, "the next process has nothing to do with it");
}

#[test]
fn a_stop_has_the_signal_and_the_reach_that_are_asked_for() {
    let hup = Policy { stop: Stop { signal: Signal::Hup, ..PATIENT.stop }, ..PATIENT };
    let killed = Policy { stop: Stop { kill_group: true, ..PATIENT.stop }, ..PATIENT };
    for (policy, told, killed) in [
        (hup, "HUP CONT publish", "KILL"),
        (killed, "TERM CONT publish", "+KILL"),
        (reaching(Reach::Group), "+TERM +CONT publish", "+KILL"),
        (reaching(Reach::Tree), "*TERM *CONT publish", "*KILL"),
    ] {
        let mut story = Story::running(policy);
        assert_eq!(story.at(5_000).svc(b"d"), told);
        assert_eq!(story.in_time(), killed);
    }
    // More can be asked for, less cannot; other signals go where they are sent to.
    let mut story = Story::running(PATIENT);
    assert_eq!(story.svc(b"+d"), "+TERM +CONT publish");
    let mut story = Story::running(reaching(Reach::Tree));
    assert_eq!(story.svc(b"+dh"), "*TERM *CONT publish; +HUP");
}

#[test]
fn what_a_service_leaves_behind_is_swept_before_anything_else() {
    let mut story = Story::running(reaching(Reach::Tree));
    story.at(5_000).svc(b"d");
    // They have been told.
    assert_eq!(story.at(6_000).event(TERMINATED), "publish SWEEP-CONT");
    assert_eq!(story.whereabouts(), "sweeping d");
    assert_eq!(story.machine.phase(), Phase::Stopping);
    assert_eq!(story.at(7_000).svc(b"u"), "publish");
    assert_eq!(story.due(), Some(9_000));
    assert_eq!(story.in_time(), "SWEEP-KILL");
    assert_eq!(story.due(), Some(14_000));
    assert_eq!(story.in_time(), "SWEEP-KILL", "and each time who refuses to die is named");
    assert_eq!(story.svc(b"h"), "SWEEP-HUP");
    assert_eq!(story.at(15_000).event(Event::Swept), "publish spawn");
    story.spawned();
    // Of a death of its own they hear now.
    assert_eq!(story.at(15_500).event(EXITED), "publish SWEEP-TERM");
    assert_eq!(story.event(Event::Swept), "publish");
    assert_eq!(story.whereabouts(), "waiting u");
    assert_eq!(story.due(), Some(16_000));
}

// Readiness.

#[test]
fn a_service_is_ready_when_it_says_so() {
    let mut story = Story::running(ANNOUNCING);
    assert_eq!(story.machine.phase(), Phase::Starting);
    assert_eq!(story.due(), Some(10_000));
    assert_eq!(story.at(3_000).says(Word::Ready), "publish");
    assert_eq!(story.machine.phase(), Phase::Ready);
    assert_eq!(story.machine.ready(), Some(at(3_000).label));
    story.at(4_000).says(Word::Ready);
    assert_eq!(story.machine.ready(), Some(at(3_000).label), "since when stays");
    assert_eq!(story.says(Word::Reloading), "publish");
    assert_eq!(story.machine.phase(), Phase::Reloading);
    story.says(Word::Ready);
    assert_eq!(story.machine.phase(), Phase::Ready);
    story.says(Word::Stopping);
    assert_eq!(story.machine.phase(), Phase::Stopping);
    story.event(exited(0));
    assert_eq!(story.machine.ready(), None);
}

#[test]
fn one_that_is_not_ready_in_time_is_started_again() {
    let mut story = Story::running(ANNOUNCING);
    assert_eq!(story.in_time(), "TERM CONT publish");
    assert_eq!((story.ms, story.machine.reason()), (10_000, Some(Reason::NotReady)));
    assert_eq!(story.machine.phase(), Phase::Stopping);
    // What it says now is too late, and it gets five seconds.
    story.at(11_000).says(Word::Ready);
    story.says(Word::Alive);
    assert_eq!(story.due(), Some(15_000));
    assert_eq!(story.in_time(), "KILL");
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish spawn");
    assert_eq!(story.machine.failures(), 1);
    story.spawned();
    assert_eq!(story.machine.reason(), Some(Reason::NotReady), "it can be seen later");
    assert_eq!(story.due(), Some(25_000));
}

#[test]
fn more_time_can_be_asked_for() {
    let mut story = Story::running(Policy { stop: PATIENT.stop, ..ANNOUNCING });
    story.at(8_000).says(Word::Extend(ms(5_000)));
    assert_eq!(story.due(), Some(13_000));
    story.says(Word::Extend(ms(1_000)));
    assert_eq!(story.due(), Some(13_000), "at least so long");
    story.svc(b"d");
    assert_eq!(story.due(), Some(11_000));
    story.at(10_000).says(Word::Extend(ms(4_000)));
    assert_eq!(story.due(), Some(14_000));
}

// Health.

#[test]
fn a_watchdog_waits_for_readiness_and_then_for_signs_of_life() {
    let mut story = Story::running(ANNOUNCING);
    story.at(5_000).says(Word::Ready);
    assert_eq!(story.due(), Some(7_000));
    assert_eq!(story.at(6_500).says(Word::Alive), "", "nobody reads of it");
    assert_eq!(story.due(), Some(8_500));
    assert_eq!(story.says(Word::WatchdogTime(ms(9_000))), "publish");
    assert_eq!(story.due(), Some(15_500));
    story.at(7_000).says(Word::Alive);
    assert_eq!(story.due(), Some(16_000));
    assert_eq!(story.in_time(), "TERM CONT publish");
    assert_eq!(story.machine.reason(), Some(Reason::Watchdog));
    // What the last one has chosen is not for the next one.
    story.event(TERMINATED);
    story.spawned();
    story.says(Word::Ready);
    assert_eq!(story.due(), Some(18_000));
}

#[test]
fn without_readiness_the_watchdog_begins_with_the_process() {
    let mut story = Story::running(Policy { announces: false, ..ANNOUNCING });
    assert_eq!(story.due(), Some(2_000));
    assert_eq!(story.in_time(), "TERM CONT publish");
}

#[test]
fn a_service_can_say_that_it_is_sick() {
    let mut story = Story::running(ANNOUNCING);
    assert_eq!(story.at(1_000).says(Word::Sick), "TERM CONT publish");
    assert_eq!(story.says(Word::Sick), "", "once is enough");
    assert_eq!(story.machine.reason(), Some(Reason::Watchdog));
}

#[test]
fn the_first_check_that_succeeds_tells_readiness() {
    let mut story = Story::running(CHECKED);
    assert_eq!(story.machine.phase(), Phase::Starting);
    for _ in 0..5 {
        assert_eq!(story.in_time(), "check");
        assert_eq!(story.event(Event::Checked(false)), "", "it is not ready, and that is all");
    }
    assert_eq!(story.in_time(), "check");
    assert_eq!(story.event(Event::Checked(true)), "publish");
    assert_eq!(story.machine.phase(), Phase::Ready);
    assert_eq!(story.due(), Some(story.ms + 1_000), "from the end of one check to the next");
}

#[test]
fn a_check_that_fails_again_and_again_restarts_the_service() {
    let mut story = Story::running(CHECKED);
    story.in_time();
    story.event(Event::Checked(true));
    for well in [false, true, false] {
        assert_eq!(story.in_time(), "check");
        assert_eq!(story.event(Event::Checked(well)), "");
    }
    assert_eq!(story.in_time(), "check");
    assert_eq!(story.event(Event::Checked(false)), "TERM CONT publish");
    assert_eq!(story.machine.reason(), Some(Reason::Check));
}

#[test]
fn a_check_that_takes_too_long_has_failed() {
    let mut story = Story::running(CHECKED);
    story.in_time();
    story.event(Event::Checked(true));
    assert_eq!(story.in_time(), "check");
    let begun = story.ms;
    assert_eq!(story.in_time(), "stop-check");
    assert_eq!(story.ms, begun + 500);
    assert_eq!(story.event(Event::Checked(true)), "", "too late");
    assert_eq!(story.in_time(), "check");
    assert_eq!(story.ms, begun + 1_500);
    assert_eq!(story.in_time(), "stop-check TERM CONT publish");
}

#[test]
fn without_a_number_of_failures_a_ready_service_is_not_checked() {
    let check = Check { interval: ms(1_000), timeout: ms(500), failures: 0 };
    let mut story = Story::running(Policy { check: Some(check), ..PLAIN });
    story.in_time();
    story.event(Event::Checked(false));
    story.in_time();
    assert_eq!(story.event(Event::Checked(true)), "publish");
    assert_eq!(story.due(), None);
    story.at(9_000).svc(b"pc");
    assert_eq!(story.due(), None);
}

#[test]
fn nobody_waits_for_the_check_of_a_process_that_has_ended_or_is_to() {
    let mut story = Story::running(CHECKED);
    story.in_time();
    assert_eq!(story.event(EXITED), "stop-check publish spawn");
    story.spawned();
    assert_eq!(story.event(Event::Checked(true)), "", "it was about another");
    assert_eq!(story.machine.phase(), Phase::Starting);
    story.in_time();
    assert_eq!(story.svc(b"d"), "stop-check TERM CONT publish");
    assert_eq!(story.event(Event::Checked(true)), "");
    assert_eq!(story.due(), None);
}

#[test]
fn nothing_is_expected_of_a_paused_process() {
    let mut story = Story::running(Policy { watchdog: Some(ms(2_000)), ..CHECKED });
    story.in_time();
    assert_eq!(story.svc(b"p"), "stop-check publish STOP");
    story.says(Word::Alive);
    assert_eq!(story.due(), None);
    assert_eq!(story.at(90_000).svc(b"c"), "publish CONT");
    assert_eq!(story.due(), Some(91_000));
}

#[test]
fn a_service_does_not_go_on_without_what_it_needs() {
    let mut story = Story::running(SLOWER);
    assert_eq!(story.at(5_000).event(Event::Bereft), "TERM CONT publish");
    assert_eq!(story.event(Event::Bereft), "");
    assert_eq!(story.event(TERMINATED), "publish spawn", "and that was not its fault");
    assert_eq!(story.machine.reason(), Some(Reason::Needs));
    assert_eq!(story.machine.failures(), 0);
}

// Back-off and limit.

#[test]
fn failures_are_further_and_further_apart() {
    let mut story = Story::running(SLOWER);
    for pause in [2_000, 6_000, 10_000, 10_000] {
        story.ms += 1_500;
        let due = story.ms + pause;
        assert_eq!(story.event(EXITED), "publish");
        assert_eq!(story.machine.phase(), Phase::Waiting);
        assert_eq!(story.machine.next_start(at(story.ms)), Some(at(due).label));
        assert_eq!(story.due(), Some(due));
        assert_eq!(story.in_time(), "spawn");
        story.spawned();
    }
    assert_eq!(story.machine.failures(), 4);
    // A long run, and it begins anew.
    story.ms += 60_000;
    story.event(EXITED);
    assert_eq!(story.machine.failures(), 1);
    assert_eq!(story.due(), Some(story.ms + 2_000));
}

#[test]
fn a_human_is_not_made_to_wait_but_for_the_second() {
    let mut story = Story::running(SLOWER);
    story.at(5_000).event(EXITED);
    assert_eq!(story.at(5_100).svc(b"u"), "publish spawn");
    assert_eq!(story.machine.failures(), 0);
    story.spawned();
    story.at(5_300).event(EXITED);
    assert_eq!(story.due(), Some(7_300));
    assert_eq!(story.at(5_400).svc(b"o"), "publish");
    assert_eq!(story.due(), Some(6_100));
    assert_eq!(story.in_time(), "spawn");
}

#[test]
fn an_end_that_somebody_asked_for_is_no_failure() {
    let usr1 = Policy { stop: Stop { signal: Signal::Usr1, ..PLAIN.stop }, ..SLOWER };
    for (policy, asked) in [
        (SLOWER, &b"t"[..]),
        (SLOWER, b"k"),
        (SLOWER, b"i"),
        (SLOWER, b"q"),
        (SLOWER, b"du"),
        (usr1, b"1"),
    ] {
        let mut story = Story::running(policy);
        story.at(5_000).svc(asked);
        assert_eq!(story.event(TERMINATED), "publish spawn", "{asked:?}");
        assert_eq!(story.machine.failures(), 0);
        story.spawned();
        story.at(9_000).event(TERMINATED);
        assert_eq!(story.machine.failures(), 1, "of the next one nobody did");
    }
    for other in [&b"h"[..], b"a", b"1", b"2", b"w", b"pc"] {
        let mut story = Story::running(SLOWER);
        story.at(5_000).svc(other);
        story.event(EXITED);
        assert_eq!(story.machine.failures(), 1, "{other:?}");
    }
}

#[test]
fn without_back_off_failures_in_a_row_end_with_a_minute_of_health() {
    let mut story = Story::running(LIMITED);
    story.at(2_000).event(EXITED);
    story.spawned();
    story.at(40_000).event(EXITED);
    assert_eq!(story.machine.failures(), 2);
    story.spawned();
    story.at(100_000).event(EXITED);
    assert_eq!(story.machine.failures(), 1);
}

#[test]
fn a_service_that_dies_too_often_has_failed_until_somebody_says_otherwise() {
    let mut story = Story::running(LIMITED);
    for end in [2_000, 4_000] {
        assert_eq!(story.at(end).event(EXITED), "publish spawn");
        story.spawned();
    }
    assert_eq!(story.at(21_900).event(EXITED), "publish");
    assert_eq!(story.whereabouts(), "failed d");
    assert_eq!(story.machine.reason(), Some(Reason::Deaths));
    assert_eq!(story.at(900_000).tick(), "");
    assert_eq!(story.svc(b"u"), "publish spawn");
    assert_eq!(story.machine.reason(), None);
    story.spawned();
    assert_eq!(story.at(902_000).event(EXITED), "publish spawn", "and it counts from one");
}

#[test]
fn deaths_are_forgotten_after_their_time() {
    let mut story = Story::running(LIMITED);
    for end in [2_000, 4_000, 22_000, 24_000, 42_000] {
        assert_eq!(story.at(end).event(EXITED), "publish spawn", "{end}");
        story.spawned();
    }
}

#[test]
fn d_makes_a_failed_service_one_that_is_down() {
    let mut story =
        Story::running(Policy { limit: Some(Limit { deaths: 1, within: ms(1) }), ..S6 });
    story.at(2_000).event(EXITED);
    story.spawned();
    assert_eq!(story.machine.phase(), Phase::Finishing);
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.whereabouts(), "failed d");
    assert_eq!(story.svc(b"d"), "publish");
    assert_eq!(story.whereabouts(), "down d");
    assert_eq!(story.svc(b"x"), "publish exit");
}

// Finish.

#[test]
fn finish_runs_after_each_death_and_the_service_is_down_meanwhile() {
    for policy in [S6, RUNIT] {
        let mut story = Story::running(policy);
        assert_eq!(story.at(5_000).event(exited(3)), "publish finish");
        assert_eq!(story.machine.last_end(), Ended::Exited(3));
        let since = story.machine.record().since;
        assert_eq!(story.at(5_100).spawned(), "publish");
        assert_eq!(story.whereabouts(), "finish u");
        assert_eq!(story.machine.record().pid, 0);
        assert_eq!(story.machine.record().since, since, "it is down since its end");
        assert_eq!(story.machine.phase(), Phase::Finishing);
        assert_eq!(story.at(6_000).event(exited(1)), "publish spawn", "whatever it says");
        story.spawned();
        // While supervise leaves, too.
        story.at(9_000).svc(b"dx");
        assert_eq!(story.event(TERMINATED), "publish finish");
        story.spawned();
        assert_eq!(story.svc(b"dx"), "publish; publish", "it is left in peace");
        assert_eq!(story.event(exited(0)), "publish exit");
        assert_eq!(story.whereabouts(), "gone d");
    }
}

#[test]
fn a_finish_that_takes_too_long_is_killed_under_s6() {
    let mut story = Story::running(Policy { stop: reaching(Reach::Group).stop, ..S6 });
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.due(), Some(10_000));
    assert_eq!(story.in_time(), "KILL");
    assert_eq!(story.due(), None);
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish spawn");
    let mut story = Story::running(RUNIT);
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.due(), None);
}

#[test]
fn code_125_of_finish_means_for_good_under_s6_alone() {
    let mut story = Story::running(S6);
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.event(exited(125)), "publish");
    assert_eq!(story.whereabouts(), "failed d");
    assert_eq!(story.machine.reason(), Some(Reason::Finish125));
    let mut story = Story::running(RUNIT);
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.event(exited(125)), "publish spawn");
}

#[test]
fn without_a_process_for_it_a_finish_is_left_out() {
    let mut story = Story::running(S6);
    assert_eq!(story.at(5_000).event(EXITED), "publish finish");
    assert_eq!(story.event(Event::SpawnFailed), "publish spawn");
}

#[test]
fn o_for_a_service_that_is_being_finished_runs_it_once() {
    let mut story = Story::running(Policy { stop: reaching(Reach::Tree).stop, ..S6 });
    story.at(5_000).svc(b"d");
    assert_eq!(story.event(TERMINATED), "publish SWEEP-CONT");
    assert_eq!(story.svc(b"o"), "publish");
    assert_eq!(story.event(Event::Swept), "publish publish finish");
    story.spawned();
    assert_eq!(story.event(exited(0)), "publish spawn");
    story.spawned();
    story.at(9_000).event(EXITED);
    story.event(Event::Swept);
    story.spawned();
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.whereabouts(), "down o");
}

#[test]
fn a_wish_that_comes_while_finish_runs_is_fulfilled_after_it() {
    let mut story = Story::running(S6);
    story.at(5_000).event(EXITED);
    story.spawned();
    assert_eq!(story.svc(b"d"), "publish");
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.whereabouts(), "down d");
    assert_eq!(story.svc(b"u"), "publish spawn");
}

// encore.

#[test]
fn start_comes_before_the_first_run_and_after_each_u_from_below() {
    let mut story = Story::new(true);
    story.machine.configure(ENCORE, 0);
    assert_eq!(story.event(Event::Begin), "publish start");
    assert_eq!(story.spawned(), "publish");
    assert_eq!((story.whereabouts().as_str(), story.code()), ("start u", StateCode::Starting));
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
    assert_eq!((story.whereabouts().as_str(), story.code()), ("stop d", StateCode::Stopped));
    assert_eq!(story.at(6_000).event(exited(0)), "publish");
    assert_eq!((story.whereabouts().as_str(), story.code()), ("down d", StateCode::Stopped));
    assert_eq!(story.at(9_000).svc(b"u"), "publish start");
    assert_eq!(story.code(), StateCode::Starting);
}

#[test]
fn after_a_start_that_fails_there_is_neither_run_nor_stop() {
    for how in [exited(1), TERMINATED] {
        let mut story = Story::of(ENCORE, true);
        story.spawned();
        assert_eq!(story.at(100).event(how), "publish");
        assert_eq!((story.whereabouts().as_str(), story.code()), ("failed d", StateCode::Failed));
        assert_eq!(story.machine.reason(), Some(Reason::StartScript));
        assert_eq!(story.at(9_000).svc(b"u"), "publish start");
    }
}

#[test]
fn a_start_that_was_told_to_end_has_not_failed() {
    let mut story = Story::of(Policy { stop: reaching(Reach::Group).stop, ..ENCORE }, true);
    story.spawned();
    assert_eq!(story.at(100).svc(b"d"), "+TERM +CONT publish");
    assert_eq!(story.code(), StateCode::Stopping);
    assert_eq!(story.in_time(), "+KILL");
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish stop");
    story.spawned();
    story.event(exited(0));
    assert_eq!(story.whereabouts(), "down d");
    // And one that is wanted again before it has ended begins again.
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
            (b"x", exited(1), "publish exit"),
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
fn stop_is_run_once_for_each_d_that_ends_something() {
    // `d` for one that never ran runs it, a second one does not.
    let mut story = Story::of(ENCORE, false);
    assert_eq!(story.svc(b"d"), "publish stop");
    story.spawned();
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.svc(b"d"), "publish");
    // Nor does the end of a run that nobody told to end.
    assert_eq!(story.at(9_000).svc(b"o"), "publish start");
    story.spawned();
    story.event(exited(0));
    story.spawned();
    assert_eq!(story.at(12_000).event(exited(0)), "publish");
    // But the first one does.
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
fn without_a_process_for_it_a_stop_is_left_out() {
    let mut story = Story::running(ENCORE);
    story.at(3_000).svc(b"d");
    assert_eq!(story.event(exited(0)), "publish stop");
    assert_eq!(story.event(Event::SpawnFailed), "publish");
    assert_eq!(story.whereabouts(), "down d");
}

#[test]
fn code_100_means_for_good_under_encore_alone() {
    let mut story = Story::running(ENCORE);
    assert_eq!(story.at(3_000).event(exited(100)), "publish", "and no stop");
    assert_eq!((story.whereabouts().as_str(), story.code()), ("failed d", StateCode::Failed));
    assert_eq!(story.machine.reason(), Some(Reason::Code100));
    assert_eq!(story.svc(b"x"), "publish exit");
    assert_eq!(story.code(), StateCode::Failed);
    // Of whatever script.
    let mut story = Story::running(ENCORE);
    story.at(3_000).svc(b"d");
    story.event(TERMINATED);
    story.spawned();
    story.event(exited(100));
    assert_eq!(story.whereabouts(), "failed d");
    let mut story = Story::running(LIMITED);
    assert_eq!(story.at(3_000).event(exited(100)), "publish spawn");
}

#[test]
fn with_nothing_to_run_a_service_is_started_until_it_is_stopped() {
    let mut story = Story::of(ONE_SHOT, true);
    story.spawned();
    assert_eq!(story.at(100).event(exited(0)), "publish");
    assert_eq!((story.whereabouts().as_str(), story.code()), ("started o", StateCode::Started));
    assert_eq!(story.machine.phase(), Phase::Ready);
    assert_eq!(story.machine.ready(), Some(at(100).label));
    // It is there, and stays so.
    assert_eq!(story.at(3_000).svc(b"u"), "publish publish");
    assert_eq!(story.svc(b"o"), "publish publish");
    assert_eq!((story.whereabouts().as_str(), story.code()), ("started o", StateCode::Started));
    assert_eq!(story.svc(b"d"), "publish stop");
    story.spawned();
    story.event(exited(0));
    assert_eq!((story.whereabouts().as_str(), story.machine.ready()), ("down d", None));
    assert_eq!(story.at(9_000).svc(b"u"), "publish start");
    story.spawned();
    story.event(exited(0));
    assert_eq!(story.svc(b"x"), "publish exit");
    assert_eq!(story.code(), StateCode::Started);
    // Without `start` there is nothing at all.
    let scripts = Scripts { start: false, ..ONE_SHOT.scripts };
    let story = Story::of(Policy { scripts, ..ONE_SHOT }, true);
    assert_eq!(story.whereabouts(), "started o");
}

// What comes before a start.

#[test]
fn a_mistake_in_the_directory_is_looked_at_again() {
    let mut story = Story::of(PLAIN, false);
    assert_eq!(story.alone(command(Command::Up)), "publish prepare");
    assert_eq!(story.alone(Event::Refused(Reason::Options)), "publish");
    assert_eq!(story.machine.reason(), Some(Reason::Options));
    assert_eq!(story.due(), Some(5_000));
    assert_eq!(story.at(1_000).alone(command(Command::Up)), "publish prepare", "or at once");
    assert_eq!(story.alone(Event::Refused(Reason::Options)), "publish");
    story.ms = 6_000;
    assert_eq!(story.alone(Event::Tick), "prepare");
    story.machine.configure(PATIENT, 0);
    assert_eq!(story.alone(Event::Prepared), "spawn");
    assert_eq!(story.machine.policy(), &PATIENT);
}

#[test]
fn a_cycle_is_refused_for_good() {
    let mut story = Story::of(PLAIN, false);
    story.alone(command(Command::Up));
    assert_eq!(story.alone(Event::Refused(Reason::Cycle)), "publish");
    assert_eq!(story.whereabouts(), "failed d");
    assert_eq!(story.machine.reason(), Some(Reason::Cycle));
    assert_eq!(story.alone(command(Command::Up)), "publish prepare");
}

#[test]
fn a_service_waits_for_what_it_lacks() {
    let mut story = Story::of(PLAIN, false);
    story.alone(command(Command::Up));
    assert_eq!(story.alone(Event::Lacking), "publish");
    assert_eq!((story.whereabouts().as_str(), story.due()), ("blocked u", None));
    assert_eq!(story.machine.phase(), Phase::Blocked);
    assert_eq!(story.svc(b"p"), "publish");
    assert_eq!(story.alone(command(Command::Up)), "publish prepare", "it may lack nothing now");
    assert_eq!(story.alone(Event::Lacking), "publish");
    assert_eq!(story.at(9_000).alone(Event::Available), "prepare");
    assert_eq!(story.alone(Event::Lacking), "publish", "not quite");
    assert_eq!(story.svc(b"d"), "publish");
    assert_eq!(story.whereabouts(), "down d");
    assert_eq!(story.alone(Event::Available), "");
    story.alone(command(Command::Once));
    story.alone(Event::Lacking);
    assert_eq!(story.svc(b"x"), "publish exit");
}

#[test]
fn what_is_said_before_the_answer_is_obeyed_at_it() {
    for policy in [PLAIN, S6, ENCORE, ONE_SHOT] {
        for answer in [Event::Prepared, Event::Refused(Reason::Options), Event::Lacking] {
            let mut story = Story::of(PLAIN, false);
            story.alone(command(Command::Up));
            assert_eq!(story.svc(b"x"), "publish");
            assert_eq!(story.alone(answer), "publish exit");
            let mut story = Story::of(policy, false);
            story.alone(command(Command::Up));
            story.alone(command(Command::Down));
            let stop = if policy.scripts.stop { "publish stop" } else { "publish" };
            assert_eq!(story.alone(answer), stop);
        }
    }
}

#[test]
fn a_service_goes_on_in_the_process_it_names() {
    let mut story = Story::running(PATIENT);
    assert_eq!(story.at(2_000).event(Event::Moved(pid(77))), "publish");
    assert_eq!(story.machine.pid(), Some(pid(77)));
    story.svc(b"d");
    let killed: Vec<Effect> = story.machine.step(Event::Tick, at(5_000)).collect();
    assert_eq!(killed, [Effect::Signal(pid(77), Signal::Kill, Scope::Process)]);
    // One that comes while the last one ends has not heard of that.
    assert_eq!(story.event(Event::Moved(pid(78))), "TERM CONT publish");
    story.event(TERMINATED);
    assert_eq!(story.event(Event::Moved(pid(79))), "", "too late");
}

const fn command(command: Command) -> Event {
    Event::Command(command, Scope::Process)
}

// Going on where another supervise was killed.

const PAST: Past = Past {
    up: None,
    ended: None,
    unseen: false,
    first: false,
    started: false,
    stopped: false,
    want: Want::Up,
    since: Tai64n { seconds: 0, nanoseconds: 0 },
    last_start: None,
    kept: Kept { ready: None, failures: 0, reason: None, failed: false, next: None },
};

/// A story of which this is the past. It begins at ten seconds.
fn resumed(policy: Policy, past: Past) -> (Story, String) {
    let mut machine = Machine::resume(past, at(10_000));
    machine.configure(policy, 0);
    let mut story = Story { machine, ms: 10_000, next_pid: 100 };
    let did = story.event(Event::Begin);
    (story, did)
}

#[test]
fn a_pause_goes_on_under_the_next_supervise() {
    let pausing = |next| Past { kept: Kept { next: Some(next), failures: 3, ..PAST.kept }, ..PAST };
    let (mut story, did) = resumed(PATIENT, pausing(at(14_000).label));
    assert_eq!((did.as_str(), story.due()), ("publish", Some(14_000)));
    assert_eq!(story.machine.failures(), 3);
    assert_eq!(story.svc(b"u"), "publish spawn", "a human is obeyed at once");
    // It is over.
    let (story, did) = resumed(PATIENT, pausing(at(9_000).label));
    assert_eq!((did.as_str(), story.whereabouts().as_str()), ("publish spawn", "spawning u"));
    // Or the clock was set back by a year.
    let (story, _) = resumed(PATIENT, pausing(at(10_000 + 31_536_000_000).label));
    assert_eq!(story.due(), Some(10_000 + 3_600_000));
}

#[test]
fn scripts_are_taken_over() {
    let past = Past { up: Some((pid(7), Script::Finish, false)), ..PAST };
    let (mut story, did) = resumed(S6, past);
    assert_eq!((did.as_str(), story.whereabouts().as_str()), ("", "finish u"));
    assert_eq!(story.due(), Some(15_000));
    assert_eq!(story.event(exited(0)), "publish spawn");

    let past = Past { up: Some((pid(7), Script::Start, false)), ..PAST };
    let (mut story, _) = resumed(ENCORE, past);
    assert_eq!((story.whereabouts().as_str(), story.code()), ("start u", StateCode::Starting));
    assert_eq!(story.event(exited(0)), "publish spawn");
    let (mut story, _) =
        resumed(Policy { stop: PATIENT.stop, ..ENCORE }, Past { want: Want::Down, ..past });
    assert_eq!((story.code(), story.due()), (StateCode::Stopping, Some(13_000)));
    assert_eq!(story.event(TERMINATED), "publish stop");

    let up = Some((pid(7), Script::Stop, false));
    let (mut story, _) = resumed(ENCORE, Past { up, stopped: true, want: Want::Down, ..PAST });
    assert_eq!(story.whereabouts(), "stop d");
    assert_eq!(story.event(exited(0)), "publish", "and is not run again");
    assert_eq!(story.whereabouts(), "down d");
}

#[test]
fn a_process_that_is_taken_over_is_watched() {
    let up = Some((pid(7), Script::Run, false));
    let (story, did) = resumed(ANNOUNCING, Past { up, ..PAST });
    assert_eq!((did.as_str(), story.due()), ("", Some(20_000)));
    let kept = Kept { ready: Some(at(3_000).label), ..PAST.kept };
    let (story, _) = resumed(ANNOUNCING, Past { up, kept, ..PAST });
    assert_eq!((story.machine.phase(), story.due()), (Phase::Ready, Some(12_000)));
    let (story, _) = resumed(PATIENT, Past { up, want: Want::Down, ..PAST });
    assert_eq!((story.machine.phase(), story.due()), (Phase::Stopping, Some(13_000)));
    let (story, _) = resumed(CHECKED, Past { up, want: Want::Down, ..PAST });
    assert_eq!(story.due(), None, "it is to end, well or not");
    let (story, _) = resumed(CHECKED, Past { up: Some((pid(7), Script::Run, true)), ..PAST });
    assert_eq!(story.due(), None, "it is paused");
}

#[test]
fn a_death_that_nobody_saw_has_its_consequences() {
    let died = Past { ended: Some(Ended::Exited(100)), unseen: true, ..PAST };
    let (story, did) = resumed(S6, died);
    assert_eq!((did.as_str(), story.machine.last_end()), ("publish finish", Ended::Exited(100)));
    assert_eq!(story.machine.failures(), 1);
    let (story, did) = resumed(ENCORE, died);
    assert_eq!((did.as_str(), story.whereabouts().as_str()), ("publish", "failed d"));
    let (_, did) =
        resumed(ENCORE, Past { want: Want::Down, ended: Some(Ended::Exited(0)), ..died });
    assert_eq!(did, "publish stop");
    let (_, did) = resumed(reaching(Reach::Tree), died);
    assert_eq!(did, "publish SWEEP-TERM");
    // If somebody saw it, only what may not have been done is.
    let seen = Past { unseen: false, ..died };
    let (story, did) = resumed(S6, seen);
    assert_eq!((did.as_str(), story.machine.failures()), ("publish finish", 0));
    let (_, did) = resumed(ENCORE, seen);
    assert_eq!(did, "publish spawn");
}

#[test]
fn what_has_failed_or_is_started_stays_so() {
    let reason = Some(Reason::Deaths);
    let kept = Kept { failed: true, reason, failures: 3, ..PAST.kept };
    let (mut story, did) = resumed(LIMITED, Past { want: Want::Down, kept, ..PAST });
    assert_eq!((did.as_str(), story.whereabouts().as_str()), ("publish", "failed d"));
    assert_eq!((story.machine.reason(), story.machine.failures()), (reason, 3));
    assert_eq!(story.svc(b"u"), "publish spawn");
    // One whose `finish` still ran.
    let up = Some((pid(7), Script::Finish, false));
    let kept = Kept { failed: false, ..kept };
    let (mut story, _) = resumed(S6, Past { up, want: Want::Down, kept, ..PAST });
    assert_eq!(story.event(exited(0)), "publish");
    assert_eq!(story.whereabouts(), "failed d");

    let (mut story, did) = resumed(ONE_SHOT, Past { want: Want::Once, started: true, ..PAST });
    assert_eq!((did.as_str(), story.whereabouts().as_str()), ("publish", "started o"));
    assert_eq!(story.svc(b"d"), "publish stop");
}

#[test]
fn a_start_that_has_not_been_is_made_up_for() {
    let (_, did) = resumed(ENCORE, Past { first: true, ..PAST });
    assert_eq!(did, "publish start");
    let (_, did) = resumed(ENCORE, PAST);
    assert_eq!(did, "publish spawn");
}

// Properties.

fn times() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of((10..4_000_u64).prop_map(ms))
}

fn policy() -> impl Strategy<Value = Policy> {
    use Personality::{Daemontools, Encore, Runit, S6};
    let personality = prop::sample::select(&[Daemontools, Encore, S6, Runit][..]);
    let reach = prop::sample::select(&[Reach::Process, Reach::Group, Reach::Tree][..]);
    let stop = (times(), reach, any::<bool>()).prop_map(|(timeout, reach, kill_group)| Stop {
        timeout,
        reach,
        kill_group,
        ..PLAIN.stop
    });
    let check =
        (10..2_000_u64, 10..2_000_u64, 0..3_u32).prop_map(|(interval, timeout, failures)| Check {
            interval: ms(interval),
            timeout: ms(timeout),
            failures,
        });
    let restart = (10..3_000_u64, 1..4_u32, 0..100_u32, 0..9_000_u64).prop_map(
        |(min, factor, jitter, reset)| Restart {
            min: ms(min),
            max: ms(8_000),
            factor,
            jitter,
            reset: ms(reset),
        },
    );
    let limit =
        (1..4_u16, 1..20_000_u64).prop_map(|(deaths, within)| Limit { deaths, within: ms(within) });
    let scripts = prop::array::uniform4(any::<bool>());
    let some = (prop::option::of(check), prop::option::of(restart), prop::option::of(limit));
    let health = (any::<bool>(), times(), times(), times());
    (personality, scripts, stop, some, health).prop_map(
        |(personality, [start, runless, stops, finish], stop, some, health)| {
            let encore = personality == Encore;
            let (check, restart, limit) = some;
            let (announces, ready_timeout, watchdog, finish_timeout) = health;
            let scripts = Scripts {
                start: encore && start,
                runless: encore && runless,
                stop: encore && stops,
                finish: matches!(personality, S6 | Runit) && finish,
            };
            Policy {
                personality,
                scripts,
                stop,
                finish_timeout,
                announces,
                ready_timeout,
                watchdog,
                check,
                restart,
                limit,
            }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let letter = prop::sample::select(&b"uuddoopchaitkqx"[..]);
    let scope = prop::sample::select(&[Scope::Process, Scope::Group][..]);
    let ended = prop_oneof![
        2 => Just(Ended::Exited(0)),
        1 => prop::sample::select(&[1, 100, 125][..]).prop_map(Ended::Exited),
        1 => (1..65_u8).prop_map(Ended::Killed),
        1 => Just(Ended::Unknown),
    ];
    let word = prop_oneof![
        Just(Word::Ready),
        Just(Word::Reloading),
        Just(Word::Stopping),
        Just(Word::Alive),
        Just(Word::Sick),
        (0..4_000_u64).prop_map(|n| Word::WatchdogTime(ms(n))),
        (0..4_000_u64).prop_map(|n| Word::Extend(ms(n))),
    ];
    let directory = prop_oneof![
        3 => Just(Directory::Good),
        1 => Just(Directory::Refused(Reason::Options)),
        1 => Just(Directory::Refused(Reason::Cycle)),
        1 => Just(Directory::Lacking),
    ];
    prop_oneof![
        8 => (letter, scope, 0..6).prop_map(|(letter, scope, n)| {
            Act::Command(if letter == b'x' && n > 0 { b'u' } else { letter }, scope)
        }),
        8 => ended.prop_map(Act::Die),
        3 => Just(Act::Sweep),
        6 => (0..3_000_u64).prop_map(Act::Pass),
        1 => (0..100_000_u64).prop_map(Act::Pass),
        1 => Just(Act::Tick),
        3 => word.prop_map(Act::Say),
        3 => any::<bool>().prop_map(Act::Check),
        1 => Just(Act::Available),
        1 => Just(Act::Bereft),
        1 => Just(Act::Move),
        1 => prop::bool::weighted(0.7).prop_map(Act::Forks),
        1 => prop::bool::weighted(0.3).prop_map(Act::Slow),
        2 => directory.prop_map(Act::Directory),
        4 => Just(Act::Answer),
    ]
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn whatever_is_asked_for_the_rules_hold(
        first in policy(),
        then in policy(),
        normally_up: bool,
        acts in prop::collection::vec(act(), 0..80),
        change in 0..80_usize,
    ) {
        let mut kernel = Kernel::new(first, normally_up);
        kernel.check();
        for (n, act) in acts.into_iter().enumerate() {
            if n == change {
                kernel.policy = then;
            }
            kernel.act(act);
        }
    }

    #[test]
    fn a_supervise_that_is_to_leave_leaves_when_everything_has_died(
        policy in policy(),
        normally_up: bool,
        acts in prop::collection::vec(act(), 0..60),
        down: bool,
    ) {
        let mut kernel = Kernel::new(policy, normally_up);
        for act in acts {
            kernel.act(act);
        }
        if down {
            kernel.act(Act::Command(b'd', Scope::Process));
        }
        kernel.act(Act::Command(b'x', Scope::Process));
        kernel.act(Act::Slow(false));
        // The service, what it leaves behind, its `finish` or `stop`; one of each, with an answer.
        for _ in 0..4 {
            kernel.act(Act::Answer);
            kernel.act(Act::Die(Ended::Exited(0)));
            kernel.act(Act::Sweep);
        }
        prop_assert_eq!(kernel.machine.state(), State::Gone);
        prop_assert_eq!(kernel.machine.deadline(), None);
    }

    #[test]
    fn what_is_wanted_comes_about_when_nothing_fails_any_more(
        policy in policy(),
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let mut kernel = Kernel::new(policy, true);
        for act in acts {
            kernel.act(act);
        }
        if kernel.leaving {
            return Ok(());
        }
        for act in [Act::Slow(false), Act::Forks(true), Act::Directory(Directory::Good)] {
            kernel.act(act);
        }
        kernel.act(Act::Answer);
        // All that has been begun is ended, and then somebody wants it.
        kernel.act(Act::Command(b'd', Scope::Process));
        for _ in 0..4 {
            kernel.act(Act::Die(Ended::Exited(0)));
            kernel.act(Act::Sweep);
        }
        prop_assert_eq!(kernel.machine.state(), State::Down);
        kernel.act(Act::Command(b'u', Scope::Process));
        kernel.act(Act::Pass(1_000));
        if kernel.policy.scripts.start {
            prop_assert_eq!(kernel.machine.script(), Script::Start);
            kernel.act(Act::Die(Ended::Exited(0)));
        }
        match kernel.machine.state() {
            State::Started => prop_assert!(kernel.policy.scripts.runless),
            state => prop_assert!(matches!(state, State::Up { .. }), "{:?}", state),
        }
    }
}
