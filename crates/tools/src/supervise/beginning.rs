//! How the supervision of a process begins: anew, or from what an earlier supervisor left behind.

use super::published_record::{EarlierRecord, PublishedRecord};
use super::state_files::StateFiles;
use crate::common::clock::{now, since_boot};
use crate::common::diag;
use crate::survive::process_record;
use crate::survive::status_process::{self, Named, Part};
use alloc::vec::Vec;
use daemontools_core::state_dir::detail::{Detail, StateFile};
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::state_dir::process_record::{ProcessIdentity, Record as ProcessRecord};
use daemontools_core::state_dir::status::{StateCode, StatusRecord};
use daemontools_core::supervise::{self, Machine, SavedState, Script};
use daemontools_core::text::decimal::Decimal;
use daemontools_core::{Ended, Pid};
use daemontools_sys::fs;
use daemontools_sys::pidfd::Handle;

/// How this supervisor was started.
#[derive(Clone, Copy)]
pub(super) struct Start {
    /// There is no file `down`.
    pub(super) normally_up: bool,
    /// By a live upgrade. The earlier supervisor is the same process; its handover says whether it
    /// was leaving, and its wanted state still holds.
    pub(super) upgraded: bool,
}

/// How the supervision of a process begins.
pub(super) struct Beginning {
    pub(super) machine: Machine,
    /// The process, if an earlier supervisor started it and it is not a child of this one.
    pub(super) adopted: Option<Handle>,
    pub(super) saved: SavedRuntime,
}

/// The values that only `state` keeps for the next supervisor.
#[derive(Default)]
pub(super) struct SavedRuntime {
    /// What `state` tells of the notify socket, whose address the service process has in its
    /// environment: its abstract name, or the path of its directory.
    pub(super) socket_name: Vec<u8>,
    /// The last status text of the service.
    pub(super) status_text: Vec<u8>,
    /// The last process of the service, from its record. It may live.
    pub(super) last_process: Option<ProcessIdentity>,
}

/// Begins with the service: adopts the process that an earlier supervisor left behind, if a record or
/// the status names it.
///
/// On failure it prints a message and returns the exit code.
#[inline(never)]
pub(super) fn service(
    files: &StateFiles,
    record: &mut PublishedRecord,
    earlier: Option<EarlierRecord>,
    start: Start,
) -> core::result::Result<Beginning, i32> {
    let (status, _) = files.read_status();
    let Some(earlier) = newest(files, record, earlier, status, Part::Service)? else {
        return Ok(begin_anew(start.normally_up));
    };
    let (state, saved) = read_state(files, status);
    let last_run = Some(earlier.record).filter(|record| record.script == Script::Run);
    let mut beginning = resume_process(files, record, earlier, status, state, start)?;
    let last_process = last_run.and_then(|record| record.process);
    beginning.saved = SavedRuntime { last_process, ..saved };
    Ok(beginning)
}

/// Begins with encore's logger.
pub(super) fn logger(
    files: &StateFiles,
    record: &mut PublishedRecord,
    earlier: Option<EarlierRecord>,
    start: Start,
) -> core::result::Result<Beginning, i32> {
    let (_, status) = files.read_status();
    let Some(earlier) = newest(files, record, earlier, status, Part::Logger)? else {
        return Ok(begin_anew(start.normally_up));
    };
    let failed = status.is_some_and(|status| status.state == Some(StateCode::Failed));
    let state = SavedState { failed, ..SavedState::default() };
    resume_process(files, record, earlier, status, state, start)
}

/// The record of the newest process: the earlier record, or one of the process that the status names.
///
/// The original and others of the family keep no records. If one of them was killed here after ours
/// had run, the record names a process from before.
#[inline(never)]
fn newest(
    files: &StateFiles,
    record: &mut PublishedRecord,
    earlier: Option<EarlierRecord>,
    status: Option<StatusRecord>,
    part: Part,
) -> core::result::Result<Option<EarlierRecord>, i32> {
    let recorded = earlier.as_ref().and_then(|earlier| earlier.record.process);
    let Some(status) = status.filter(|status| {
        record.may_be_outdated()
            && status.pid != 0
            && recorded.is_none_or(|process| !status.names(process.pid))
    }) else {
        return Ok(earlier);
    };
    // A recorded process that lives, or cannot be watched, is the one to adopt.
    if recorded.is_some_and(|process| !matches!(process_record::open_process(process), Ok(None))) {
        return Ok(earlier);
    }
    // If the process cannot be watched, the service is not started: it could run twice.
    let named = status_process::find(files.dir(), part).map_err(|error| {
        let what = [b"unable to watch process of ", files.path().dir(), record.suffix()];
        diag::fatal("supervise", &what, error)
    })?;
    let (verb, pid, reason) = match named {
        Named::None => return Ok(earlier),
        Named::Doubtful(pid, reason) => (&b"warning: not adopting"[..], pid, reason),
        Named::Process(process, _) => {
            let starting = part == Part::Service
                && status.state == Some(StateCode::Starting)
                && fs::exists(fs::HERE, c"start") == Ok(true);
            let script = if starting { Script::Start } else { Script::Run };
            let Some(named) = record.replace_with(process, script) else { return Ok(earlier) };
            say_named(files, record, b"info: adopting", process.pid, "");
            return Ok(Some(named));
        }
    };
    say_named(files, record, verb, pid, reason);
    Ok(earlier)
}

/// Prints what becomes of the process that the status names.
fn say_named(files: &StateFiles, record: &PublishedRecord, verb: &[u8], pid: Pid, reason: &str) {
    diag::say(&[
        b"supervise: ",
        verb,
        b" process ",
        Decimal::new(pid.get().cast_unsigned().into()).as_bytes(),
        b" of ",
        files.path().dir(),
        record.suffix(),
        b", which the status names",
        if reason.is_empty() { b"" } else { b": " },
        reason.as_bytes(),
    ]);
}

#[inline(never)]
fn begin_anew(normally_up: bool) -> Beginning {
    let machine = Machine::new(normally_up, now());
    Beginning { machine, adopted: None, saved: SavedRuntime::default() }
}

/// Resumes from the record of an earlier supervisor.
#[inline(never)]
fn resume_process(
    files: &StateFiles,
    published: &PublishedRecord,
    earlier: EarlierRecord,
    status: Option<StatusRecord>,
    saved: SavedState,
    start: Start,
) -> core::result::Result<Beginning, i32> {
    let EarlierRecord { record, is_overwritable } = earlier;
    let (dir, suffix) = (files.path().dir(), published.suffix());
    let is_child = record.process.is_some_and(process_record::is_child);
    let digits = |process: ProcessIdentity| Decimal::new(process.pid.get().cast_unsigned().into());
    let mut adopted = None;
    if let Some(process) = record.process.filter(|_| !is_child) {
        // If the process cannot be watched, the service is not started: it could run twice.
        adopted = process_record::open_process(process).map_err(|error| {
            let digits = digits(process);
            let what = [b"unable to watch process ", digits.as_bytes(), b" of ", dir, suffix];
            diag::fatal("supervise", &what, error)
        })?;
    }
    // The end of a child is still to be reaped.
    let lives = is_child || adopted.is_some();
    if let Some(process) = record.process.filter(|_| !lives) {
        if !record.leaving && status.is_some_and(|status| status.names(process.pid)) {
            diag::say(&[
                b"supervise: warning: process ",
                digits(process).as_bytes(),
                b" of ",
                dir,
                suffix,
                b" has ended unseen",
            ]);
        }
        if is_overwritable && record.end.is_none_or(|(pid, _)| pid != process.pid) {
            published.write_end(files, process.pid, Ended::Unknown);
        }
    }
    let record = ProcessRecord { leaving: record.leaving && !start.upgraded, ..record };
    let machine =
        supervise::resume(&record, lives, status, saved, start.normally_up, now(), since_boot());
    Ok(Beginning { machine, adopted, saved: SavedRuntime::default() })
}

/// Reads `state`: the values that belong to this status, and the socket name, which holds longer.
#[inline(never)]
fn read_state(files: &StateFiles, status: Option<StatusRecord>) -> (SavedState, SavedRuntime) {
    let text = files.read_state();
    // Successive supervisors use the same address.
    let socket_name = Detail::parse(&text).map(|detail| detail.socket.to_vec());
    let socket_name = socket_name.unwrap_or_default();
    let mut runtime = SavedRuntime { socket_name, ..SavedRuntime::default() };
    let found = status.map(|status| StateFile::classify(Some(&text), &status));
    let Some(StateFile::Current(detail)) = found else {
        return (SavedState::default(), runtime);
    };
    runtime.status_text = detail.message.to_vec();
    let saved = SavedState {
        ready_since: detail.ready,
        failures: detail.failures,
        reason: detail.reason,
        failed: detail.phase == Phase::Failed,
        next_start: detail.next,
        run_end: detail.run_end,
    };
    (saved, runtime)
}
