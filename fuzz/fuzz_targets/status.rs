//! `supervise/status` and `supervise/state`: any bytes are parsed, shown and written back.
#![no_main]

use daemontools_core::Ended;
use daemontools_core::state_dir::describe::{Usage, describe};
use daemontools_core::state_dir::detail::{self, Detail, StateFile};
use daemontools_core::state_dir::status::{self, StateCode, StatusRecord, Want};
use daemontools_core::time::tai::Tai64n;
use daemontools_fuzz::{assert_harmless, moment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    if kind & 1 == 0 { status_file(kind, rest) } else { state_file(kind, rest) }
});

fn status_file(kind: u8, bytes: &[u8]) {
    let Some((main, log)) = status::parse_file(bytes) else {
        assert!(bytes.len() < status::LEN);
        return;
    };
    assert_eq!(log.is_some(), bytes.len() >= 38);
    assert_eq!(main.state.is_some(), bytes.len() == 20 || bytes.len() >= 38);
    for (record, at) in [(Some(main), 0), (log, 20)] {
        let Some(record) = record else {
            continue;
        };
        // The same bytes, except for fields with several encodings.
        let mut expected: [u8; 18] =
            bytes[at..at + 18].try_into().expect("the file is long enough");
        expected[16] = u8::from(expected[16] != 0 && record.pid != 0);
        if record.want == Want::Once {
            expected[17] = 0;
        }
        assert_eq!(record.to_bytes(), expected);
        for down in [false, true] {
            line(
                &record,
                !down,
                Tai64n { seconds: record.since.seconds ^ u64::from(kind), nanoseconds: 0 },
            );
        }
        line(&record, true, moment(&bytes[3..]));
    }
    // Written records are read back.
    let main = StatusRecord { paused: main.paused && main.pid != 0, ..main };
    let log = log.map(|log| StatusRecord { paused: log.paused && log.pid != 0, ..log });
    let mut room = [0xaa; 40];
    let written = status::write_file(&main, log.as_ref(), &mut room);
    let again = status::parse_file(written).expect("it was written by us");
    // The record of the log script needs a state.
    let log = log.filter(|log| main.state.is_some() && log.state.is_some());
    assert_eq!(again, (main, log));
}

/// Compares the line of svstat with one made by `format!`.
fn line(record: &StatusRecord, normally_up: bool, now: Tai64n) {
    let mut out = Vec::new();
    status::describe(record, normally_up, now, &mut out);
    let StatusRecord { pid, paused, want, .. } = *record;
    let age = now.seconds.saturating_sub(record.since.seconds);
    let mut expected = if pid == 0 {
        format!("down {age} seconds")
    } else {
        format!("up (pid {pid}) {age} seconds")
    };
    if normally_up != (pid != 0) {
        expected += if normally_up { ", normally up" } else { ", normally down" };
    }
    if pid != 0 && paused {
        expected += ", paused";
    }
    expected += match (pid != 0, want) {
        (false, Want::Up) => ", want up",
        (true, Want::Down) => ", want down",
        (true, Want::Once) if record.state.is_some() => ", once",
        _ => "",
    };
    expected += match record.state {
        None => "",
        Some(StateCode::Stopped) => ", stopped",
        Some(StateCode::Starting) => ", starting",
        Some(StateCode::Started) => ", started",
        Some(StateCode::Running) => ", running",
        Some(StateCode::Stopping) => ", stopping",
        Some(StateCode::Failed) => ", failed",
        Some(StateCode::Unknown) => ", status unknown",
    };
    assert_eq!(String::from_utf8(out), Ok(expected));
}

fn state_file(kind: u8, text: &[u8]) {
    let status = StatusRecord {
        since: moment(text),
        pid: u32::from(kind),
        paused: false,
        want: Want::Up,
        state: None,
    };
    let Some(read) = Detail::parse(text) else {
        assert_eq!(StateFile::classify(Some(text), &status), StateFile::Stale);
        return;
    };
    assert_eq!(
        StateFile::classify(Some(text), &status).detail().is_some(),
        read.since == status.since
    );
    assert_eq!(
        StateFile::classify(Some(text), &StatusRecord { since: read.since, ..status }),
        StateFile::Current(read)
    );
    // Writing is idempotent.
    let mut once = Vec::new();
    read.to_text(&mut once);
    assert!(once.len() <= detail::LEN, "{} bytes", once.len());
    for line in once.split(|&c| c == b'\n') {
        assert_harmless(line);
    }
    let again = Detail::parse(&once).expect("it was written by us");
    let mut twice = Vec::new();
    again.to_text(&mut twice);
    assert_eq!(once, twice);
    let of = |detail: Detail<'_>| (detail.phase, detail.reason, detail.ready, detail.failures);
    assert_eq!(of(read), of(again));
    assert_eq!((read.since, read.next, read.script), (again.since, again.next, again.script));

    let end = read.script.map(|pid| {
        let how = [Ended::Exited(kind), Ended::Killed(kind), Ended::Unknown];
        (pid, how[usize::from(kind) % 3])
    });
    let mut shown = Vec::new();
    let usage = Usage::parse(text, text);
    describe(Some(&read), end, usage, moment(text), &mut shown);
    assert_harmless(&shown);
    assert!(std::str::from_utf8(&shown).is_ok());
    assert!(shown.is_empty() || shown.starts_with(b", "));
}
