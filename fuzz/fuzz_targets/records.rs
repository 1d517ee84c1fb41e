//! Records for the next program: the handover, the process record, the mark of a batch, and s6's list
//! of deaths. A parsed record is written and parsed again without a change.
#![no_main]

use daemontools_core::Ended;
use daemontools_core::handover::Handover;
use daemontools_core::multilog::batch_mark::{BatchMark, BatchStage, MARK_LEN, UnfinishedBatch};
use daemontools_core::multilog::file_name::FileInfo;
use daemontools_core::state_dir::death_tally;
use daemontools_core::state_dir::process_record::{self, ProcessIdentity, Record, RecordFile};
use daemontools_core::state_dir::status;
use daemontools_core::supervise::{Event, SavedState, resume};
use daemontools_core::time::tai::Tai64n;
use daemontools_core::time::{Instant, Now};
use daemontools_fuzz::{moment, parts};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => handover(rest),
        1 => process(kind, rest),
        2 => mark(rest),
        _ => deaths(kind, rest),
    }
});

fn handover(text: &[u8]) {
    let Some(read) = Handover::parse(text) else {
        return;
    };
    // The program closes or uses each number as a descriptor.
    assert!(read.descriptors.iter().all(|(_, number)| *number >= 0));
    assert!(read.services.iter().filter_map(|it| it.pipe).flatten().all(|number| number >= 0));
    if read.unknown_version {
        assert!(read.services.is_empty() && !read.leaving && read.open_files.is_none());
        assert!(read.descriptors.iter().all(|(name, _)| name.is_empty()));
        return;
    }
    assert_eq!(Handover::parse(&read.to_text()), Some(read));
}

fn process(kind: u8, data: &[u8]) {
    let [stat, status, text] = parts(data);
    if let Some(ProcessIdentity { pid, start }) = ProcessIdentity::from_stat(stat) {
        let between = "0 ".repeat(18);
        let again = format!("{pid} (a) b) S {between}{start} 0");
        assert_eq!(
            ProcessIdentity::from_stat(again.as_bytes()),
            Some(ProcessIdentity { pid, start })
        );
    }
    let Some(read) = Record::parse(text) else {
        return;
    };
    let written = read.to_text();
    assert_eq!(Record::parse(&written), Some(read), "{}", written.escape_ascii());
    assert_eq!(RecordFile::classify(&written, &read.place), RecordFile::Valid(read));
    // supervise overwrites one part of the record in place.
    let mut other = written;
    let later = Record { leaving: !read.leaving, ..read };
    other[process_record::LEAVING].copy_from_slice(&later.to_text()[process_record::LEAVING]);
    assert_eq!(Record::parse(&other), Some(later));

    // The next supervisor goes on from any valid record with any status.
    let status = status::parse_file(status).map(|(main, _)| main);
    let now = Now { instant: Instant(u64::from(kind) << 40), label: moment(stat) };
    let saved = SavedState {
        ready_since: Some(now.label),
        failures: u32::MAX,
        next_start: Some(moment(text)),
        ..SavedState::default()
    };
    let since_boot = Duration::from_secs(u64::from(kind) << 12);
    for alive in [false, true] {
        let mut machine = resume(&read, alive, status, saved, true, now, since_boot);
        let pid = read.process.filter(|_| alive).map(|process| process.pid);
        assert_eq!(machine.pid(), pid);
        let _ = machine.step(Event::Begin, now).count();
        assert!(machine.pid() == pid || pid.is_none());
    }
}

fn mark(data: &[u8]) {
    let Some((read, held)) = BatchMark::from_bytes(data) else {
        return;
    };
    assert_eq!(read.held, held.len() as u64);
    let again = [&read.to_bytes()[..], held].concat();
    assert_eq!(BatchMark::from_bytes(&again), Some((read, held)));
    assert!(again.len() >= MARK_LEN);
    for file_id in [read.file_id, read.file_id ^ 1] {
        let current = FileInfo { complete: false, links: 1, size: read.pipe, file_id, modified: 0 };
        let written = read.written(Some(current));
        assert!(written >= read.before);
        assert!(!read.is_valid(None, Some(current)));
        let is_valid = read.is_valid(Some(read.pipe), Some(current));
        assert!(!is_valid || read.stage != BatchStage::Done);
    }
    let (batch, stage) = (read.batch, read.stage);
    let unfinished = UnfinishedBatch { batch, stage, written: 0, held: held.to_vec() };
    for part in [unfinished.held_before(), unfinished.held_after()] {
        assert!(held.starts_with(part));
    }
}

fn deaths(kind: u8, list: &[u8]) {
    let how = if kind & 4 == 0 { Ended::Exited(kind) } else { Ended::Killed(kind) };
    let when = moment(list);
    let most = u16::from(kind / 8);
    let written = death_tally::with_death(list, when, how, most).expect("a known end");
    // The same list, built in another way.
    let mut deaths: Vec<Vec<u8>> = list.chunks_exact(14).map(<[u8]>::to_vec).collect();
    let label = Tai64n { seconds: when.seconds.saturating_add(27), ..when }.to_bytes();
    let end = if kind & 4 == 0 { [kind, 0] } else { [0, kind] };
    deaths.push([&label[..], &end].concat());
    let first = deaths.len().saturating_sub(usize::from(most));
    assert_eq!(written, deaths[first..].concat());
    assert_eq!(death_tally::with_death(list, when, Ended::Unknown, most), None);
}
