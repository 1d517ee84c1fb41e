use super::resume;
use crate::options::{Personality, RestartDelay, StopPolicy};
use crate::state_dir::Script;
use crate::state_dir::control::{Scope, Signal};
use crate::state_dir::phase::Reason;
use crate::state_dir::process_record::{DirectoryId, Place, ProcessIdentity, Record};
use crate::state_dir::status::{StateCode, StatusRecord, Want};
use crate::supervise::{Effect, Event, Machine, Policy, SavedState, Scripts, State};
use crate::time::tai::Tai64n;
use crate::time::{Instant, Now};
use crate::{Ended, Pid};
use alloc::vec::Vec;
use core::time::Duration;

const PLACE: Place = Place {
    boot: *b"6c9670b8-664d-44a1-bfc1-84a24eb4494f",
    namespace: 4_026_531_836,
    init: 24,
    directory: DirectoryId { device: (254, 0), inode: 1234, born: 0 },
};

fn record(number: i32, start: u64) -> Record {
    let process = Some(ProcessIdentity { pid: Pid::new(number).unwrap(), start });
    Record { place: PLACE, leaving: false, process, script: Script::Run, end: None }
}

/// The time from the boot to [`now`].
const SINCE_BOOT: Duration = Duration::from_secs(10);

fn now() -> Now {
    let label = Tai64n::from_unix(1_700_000_000, 0);
    Now { instant: Instant(5_000_000_000), label }
}

fn status(pid: u32, want: Want) -> StatusRecord {
    let since = Tai64n::from_unix(1_699_999_993, 500);
    StatusRecord { since, pid, paused: pid != 0, want, state: None }
}

fn resumed(alive: bool, leaving: bool, status: Option<StatusRecord>) -> Machine {
    resume(
        &Record { leaving, ..record(7, 300) },
        alive,
        status,
        SavedState::default(),
        true,
        now(),
        SINCE_BOOT,
    )
}

#[test]
fn a_live_process_is_adopted_in_its_state() {
    let machine = resumed(true, false, Some(status(7, Want::Down)));
    assert_eq!(machine.state(), State::Up { pid: Pid::new(7).unwrap(), paused: true });
    assert_eq!(machine.record(), status(7, Want::Down));
    assert!(!machine.is_leaving());
}

#[test]
fn of_a_status_from_before_the_start_only_the_wanted_state_counts() {
    for status in [status(0, Want::Once), status(6, Want::Once)] {
        let machine = resumed(true, false, Some(status));
        assert_eq!(machine.state(), State::Up { pid: Pid::new(7).unwrap(), paused: false });
        assert_eq!(machine.record().want, Want::Once);
        // The process started 3 s after the boot.
        let since = Tai64n::from_unix(1_699_999_993, 10_000_000);
        assert_eq!(machine.record().since, since);
    }
    assert_eq!(resumed(true, false, None).record().want, Want::Up);
}

#[test]
fn without_a_process_the_wanted_state_and_the_second_stay() {
    for (want, effects) in [
        (Want::Up, &[Effect::Publish, Effect::Prepare][..]),
        (Want::Down, &[Effect::Publish]),
        // It has been started once.
        (Want::Once, &[Effect::Publish]),
    ] {
        let mut machine = resumed(false, false, Some(status(0, want)));
        assert_eq!(machine.record(), StatusRecord { paused: false, ..status(0, want) });
        assert_eq!(machine.step(Event::Begin, now()).collect::<Vec<_>>(), effects);
    }
    let young = record(7, 930);
    let mut machine = resume(
        &young,
        false,
        Some(status(7, Want::Up)),
        SavedState::default(),
        true,
        now(),
        SINCE_BOOT,
    );
    assert_eq!(machine.record().since, now().label, "the time of the end is unknown");
    assert_eq!(machine.step(Event::Begin, now()).collect::<Vec<_>>(), [Effect::Publish]);
    // 690 ms have passed since the start.
    assert_eq!(machine.deadline(), Some(now().instant + Duration::from_millis(310)));
}

#[test]
fn of_a_predecessor_that_was_leaving_only_the_process_counts() {
    let machine = resumed(true, true, Some(status(7, Want::Down)));
    assert_eq!(machine.record(), status(7, Want::Up));
    let mut machine = resumed(false, true, Some(status(7, Want::Down)));
    assert_eq!(machine.record(), Machine::new(true, now()).record());
    assert_eq!(machine.step(Event::Begin, now()).last(), Some(Effect::Prepare));
}

#[test]
fn a_record_without_a_process_keeps_the_wanted_state() {
    let none = Record { process: None, ..record(7, 1) };
    let machine = resume(
        &none,
        false,
        Some(status(0, Want::Down)),
        SavedState::default(),
        true,
        now(),
        SINCE_BOOT,
    );
    assert_eq!(machine.record().want, Want::Down);
    assert_eq!(machine.state(), State::Down);
}

const FINISH: Policy =
    Policy { scripts: Scripts { finish: true, ..Policy::ORIGINAL.scripts }, ..Policy::ORIGINAL };

const ENCORE: Policy = Policy {
    personality: Personality::Encore,
    scripts: Scripts { start: true, stop: true, ..Policy::ORIGINAL.scripts },
    ..Policy::ORIGINAL
};

/// The resumed machine after `Begin`, and its effects.
fn begins(
    policy: Policy,
    record: Record,
    alive: bool,
    status: StatusRecord,
) -> (Machine, Vec<Effect>) {
    let saved = SavedState::default();
    let mut machine = resume(&record, alive, Some(status), saved, true, now(), SINCE_BOOT);
    machine.configure(policy, 0);
    let did = machine.step(Event::Begin, now()).collect();
    (machine, did)
}

#[test]
fn an_outstanding_finish_runs_after_a_resumption() {
    let finish = [Effect::Publish, Effect::Spawn(Script::Finish)];
    let pid = Pid::new(7).unwrap();
    for (end, how) in [
        (Some((pid, Ended::Exited(3))), Ended::Exited(3)),
        (Some((Pid::new(6).unwrap(), Ended::Exited(3))), Ended::Unknown),
        (None, Ended::Unknown),
    ] {
        let died = Record { end, ..record(7, 300) };
        for (status, failures) in [(status(7, Want::Up), 1), (status(0, Want::Up), 0)] {
            let (machine, did) = begins(FINISH, died, false, status);
            assert_eq!((&did[..], machine.last_end()), (&finish[..], how));
            assert_eq!(machine.failures(), failures, "only an unseen end counts");
        }
        let (machine, did) = begins(FINISH, died, false, status(7, Want::Down));
        assert_eq!((&did[..], machine.failures()), (&finish[..], 0), "it was told to stop");
    }
    // A `finish` that has run or runs is not repeated.
    let finished = Record { script: Script::Finish, ..record(7, 300) };
    let (_, did) = begins(FINISH, finished, false, status(0, Want::Up));
    assert_eq!(did, [Effect::Publish, Effect::Prepare]);
    let (machine, did) = begins(FINISH, finished, true, status(0, Want::Down));
    assert_eq!(machine.state(), State::RunningScript { script: Script::Finish, pid });
    assert_eq!(did, []);
    let shown = machine.record();
    assert_eq!((shown.pid, shown.since), (0, status(0, Want::Down).since));
    // After a predecessor that was leaving, the supervisor starts afresh, once that is done.
    let leaving = Record { leaving: true, ..record(7, 300) };
    let (mut machine, did) = begins(FINISH, leaving, false, status(7, Want::Down));
    assert_eq!(did, finish);
    let _ = machine.step(Event::Spawned(pid), now());
    let did: Vec<Effect> = machine.step(Event::Ended(Ended::Exited(0)), now()).collect();
    assert_eq!(did, [Effect::Publish, Effect::Prepare]);
}

#[test]
fn the_next_of_start_and_stop_is_known_after_a_resumption() {
    let script = |script, end: Option<Ended>| {
        let pid = Pid::new(7).unwrap();
        Record { script, end: end.map(|how| (pid, how)), ..record(7, 300) }
    };
    let says = |pid, want, code| StatusRecord { state: Some(code), ..status(pid, want) };
    let first = |record, status| {
        let (mut machine, did) = begins(ENCORE, record, false, status);
        assert_eq!(did, [Effect::Publish, Effect::Prepare]);
        let did: Vec<Effect> = machine.step(Event::Prepared, now()).collect();
        did == [Effect::Spawn(Script::Start)]
    };
    let starting = says(7, Want::Up, StateCode::Starting);
    assert!(!first(script(Script::Start, Some(Ended::Exited(0))), starting));
    assert!(first(script(Script::Start, Some(Ended::Killed(9))), starting));
    assert!(first(script(Script::Start, None), starting), "its result is unknown");
    // Wanted up again, and killed before the fork.
    let again = says(0, Want::Up, StateCode::Starting);
    assert!(first(script(Script::Stop, None), again));
    assert!(first(script(Script::Run, None), again));
    assert!(first(Record { process: None, ..record(7, 300) }, again));
    assert!(!first(script(Script::Run, None), says(7, Want::Up, StateCode::Running)));

    let down = |record, status| begins(ENCORE, record, false, status).1;
    let stopping = says(7, Want::Down, StateCode::Stopping);
    assert_eq!(
        down(script(Script::Run, None), stopping),
        [Effect::Publish, Effect::Spawn(Script::Stop)]
    );
    let stopped = says(7, Want::Down, StateCode::Stopped);
    assert_eq!(down(script(Script::Stop, None), stopped), [Effect::Publish]);
    let started = says(0, Want::Once, StateCode::Started);
    let (machine, _) = begins(ENCORE, script(Script::Start, None), false, started);
    assert_eq!((machine.state(), machine.record()), (State::Started, started));
}

#[test]
fn a_supervisor_that_leaves_finishes_its_sweep_after_a_live_upgrade() {
    let stop = StopPolicy { scope: Scope::Tree, ..Policy::ORIGINAL.stop };
    let died = record(7, 300);
    for (policy, first) in [
        (Policy { stop, ..Policy::ORIGINAL }, Effect::Sweep(Signal::Term)),
        (Policy::ORIGINAL, Effect::Exit),
    ] {
        for want in [Want::Down, Want::Up] {
            let status = Some(status(7, want));
            let saved = SavedState::default();
            let mut machine = resume(&died, false, status, saved, true, now(), SINCE_BOOT);
            machine.resume_leaving();
            machine.configure(policy, 0);
            let did: Vec<Effect> = machine.step(Event::Begin, now()).collect();
            assert!(did.contains(&first), "{did:?}");
            if first != Effect::Exit {
                let did: Vec<Effect> = machine.step(Event::Swept, now()).collect();
                assert_eq!(did, [Effect::Publish, Effect::Exit]);
            }
        }
    }
}

#[test]
fn a_recorded_delay_is_not_longer_than_that_of_the_policy() {
    let late = Tai64n::from_unix(1_700_036_000, 0);
    let saved = SavedState { next_start: Some(late), ..SavedState::default() };
    let restart = RestartDelay {
        min: Duration::from_secs(2),
        max: Duration::from_secs(20),
        factor: 2,
        jitter: 50,
        reset: Duration::from_secs(60),
    };
    let delays = Policy { restart: Some(restart), ..Policy::ORIGINAL };
    for (policy, longest) in [(Policy::ORIGINAL, 5), (delays, 30)] {
        let status = Some(status(0, Want::Up));
        let mut machine = resume(&record(7, 300), false, status, saved, true, now(), SINCE_BOOT);
        machine.configure(policy, 0);
        let _ = machine.step(Event::Begin, now());
        assert_eq!(machine.deadline(), Some(now().instant + Duration::from_secs(longest)));
    }
}

#[test]
fn the_saved_state_applies_to_the_same_process_only() {
    let ready = Some(Tai64n::from_unix(1_699_999_995, 0));
    let saved = SavedState {
        ready_since: ready,
        failures: 3,
        reason: Some(Reason::Check),
        failed: false,
        next_start: None,
        run_end: None,
    };
    let next = |alive, status| {
        resume(&record(7, 300), alive, Some(status), saved, true, now(), SINCE_BOOT)
    };
    let machine = next(true, status(7, Want::Up));
    assert_eq!((machine.ready(), machine.failures()), (ready, 3));
    assert_eq!(machine.reason(), Some(Reason::Check));
    assert_eq!(next(true, status(6, Want::Up)).ready(), None);
    assert_eq!(next(false, status(7, Want::Up)).ready(), None);
    let saved = SavedState { failed: true, ..saved };
    // The predecessor may have been killed before it wrote the status.
    for want in [Want::Down, Want::Up] {
        let status = Some(status(0, want));
        let failed = resume(&record(7, 300), false, status, saved, true, now(), SINCE_BOOT);
        assert_eq!((failed.state(), failed.record().want), (State::Failed, Want::Down));
    }
}
