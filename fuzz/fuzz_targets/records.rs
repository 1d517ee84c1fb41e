//! What a program leaves to the next one: the hand-over, the record of the process, the mark of a
//! batch of lines; and s6's list of deaths. What was read is written, and read again, as it was.
#![no_main]

use daemontools_core::handover::Handover;
use daemontools_core::identity::{self, Found, Process, Record};
use daemontools_core::multilog::batch::{Left, MARK_LEN, Mark, Stage};
use daemontools_core::multilog::directory::Stat;
use daemontools_core::supervise::{Event, Kept};
use daemontools_core::tai::Tai64n;
use daemontools_core::time::{Instant, Now};
use daemontools_core::{Ended, status, tally};
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
    // The number of a descriptor is closed or used: there is none below 0.
    assert!(read.descriptors.iter().all(|(_, number)| *number >= 0));
    assert!(read.services.iter().filter_map(|it| it.pipe).flatten().all(|number| number >= 0));
    if read.foreign {
        assert!(read.services.is_empty() && !read.leaving && read.open_files.is_none());
        assert!(read.descriptors.iter().all(|(name, _)| name.is_empty()));
        return;
    }
    assert_eq!(Handover::parse(&read.to_text()), Some(read));
}

fn process(kind: u8, data: &[u8]) {
    let [stat, status, text] = parts(data);
    if let Some(Process { pid, start }) = Process::from_stat(stat) {
        let between = "0 ".repeat(18);
        let again = format!("{pid} (a) b) S {between}{start} 0");
        assert_eq!(Process::from_stat(again.as_bytes()), Some(Process { pid, start }));
    }
    let Some(read) = Record::parse(text) else {
        return;
    };
    let written = read.to_text();
    assert_eq!(Record::parse(&written), Some(read), "{}", written.escape_ascii());
    assert_eq!(Found::judge(&written, &read.place), Found::Ours(read));
    // Overwritten in part, as supervise does it, it is the other record there.
    let mut other = written;
    let later = Record { leaving: !read.leaving, ..read };
    other[identity::LEAVING].copy_from_slice(&later.to_text()[identity::LEAVING]);
    assert_eq!(Record::parse(&other), Some(later));

    // The next supervise goes on from any such record, with any status.
    let status = status::parse_file(status).map(|(main, _)| main);
    let now = Now { instant: Instant(u64::from(kind) << 40), label: moment(stat) };
    let kept = Kept {
        ready: Some(now.label),
        failures: u32::MAX,
        next: Some(moment(text)),
        ..Kept::default()
    };
    let since_boot = Duration::from_secs(u64::from(kind) << 12);
    for lives in [false, true] {
        let mut machine = identity::succeed(&read, lives, status, kept, true, now, since_boot);
        let pid = read.process.filter(|_| lives).map(|process| process.pid);
        assert_eq!(machine.pid(), pid);
        let _ = machine.step(Event::Begin, now).count();
        assert!(machine.pid() == pid || pid.is_none());
    }
}

fn mark(data: &[u8]) {
    let Some((read, held)) = Mark::from_bytes(data) else {
        return;
    };
    assert_eq!(read.held, held.len() as u64);
    let again = [&read.to_bytes()[..], held].concat();
    assert_eq!(Mark::from_bytes(&again), Some((read, held)));
    assert!(again.len() >= MARK_LEN);
    for inode in [read.inode, read.inode ^ 1] {
        let current = Stat { complete: false, links: 1, size: read.source, inode, modified: 0 };
        let written = read.written(Some(current));
        assert!(written >= read.before);
        assert!(!read.holds(None, Some(current)));
        let holds = read.holds(Some(read.source), Some(current));
        assert!(!holds || read.stage != Stage::Done);
    }
    let left = Left { batch: read.batch, stage: read.stage, written: 0, held: held.to_vec() };
    for part in [left.held_before(), left.held_after()] {
        assert!(held.starts_with(part));
    }
}

fn deaths(kind: u8, list: &[u8]) {
    let how = if kind & 4 == 0 { Ended::Exited(kind) } else { Ended::Killed(kind) };
    let when = moment(list);
    let most = u16::from(kind / 8);
    let written = tally::with_death(list, when, how, most).expect("it was seen");
    // The slow way.
    let mut deaths: Vec<Vec<u8>> = list.chunks_exact(14).map(<[u8]>::to_vec).collect();
    let label = Tai64n { seconds: when.seconds.saturating_add(27), ..when }.to_bytes();
    let end = if kind & 4 == 0 { [kind, 0] } else { [0, kind] };
    deaths.push([&label[..], &end].concat());
    let first = deaths.len().saturating_sub(usize::from(most));
    assert_eq!(written, deaths[first..].concat());
    assert_eq!(tally::with_death(list, when, Ended::Unknown, most), None);
}
