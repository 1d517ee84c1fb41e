use super::*;
use alloc::vec::Vec;

const PLACE: Place = Place {
    boot: *b"6c9670b8-664d-44a1-bfc1-84a24eb4494f",
    namespace: 4_026_531_836,
    init: 24,
    directory: DirectoryId { device: (254, 0), inode: 1234, born: 1_795_233_999_749_913_500 },
};

fn process(number: i32, start: u64) -> ProcessIdentity {
    ProcessIdentity { pid: Pid::new(number).unwrap(), start }
}

fn record(number: i32, start: u64) -> Record {
    let process = Some(process(number, start));
    Record { place: PLACE, leaving: false, process, script: Script::Run, end: None }
}

const TEXT: &str = "leaving=no\npid=4711\nstart=123456\n\
    boot=6c9670b8-664d-44a1-bfc1-84a24eb4494f\nnamespace=4026531836\ninit=24\n\
    directory=254:0:1234:1795233999749913500";

#[test]
fn a_record_is_text_of_one_length_and_is_read_again() {
    let text = record(4711, 123_456).to_text();
    let lines = str::from_utf8(&text).unwrap().lines().map(str::trim_end);
    assert_eq!(lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"), TEXT);
    assert_eq!(RecordFile::classify(&text, &PLACE), RecordFile::Valid(record(4711, 123_456)));
    let place = Place {
        namespace: u64::MAX,
        init: u64::MAX,
        directory: DirectoryId { device: (u32::MAX, u32::MAX), inode: u64::MAX, born: u64::MAX },
        ..PLACE
    };
    for process in [None, Some(process(i32::MAX, u64::MAX)), Some(process(1, 0))] {
        for leaving in [false, true] {
            let pid = Pid::new(i32::MAX).unwrap();
            for how in [Ended::Unknown, Ended::Exited(255), Ended::Killed(255)] {
                let longest = Record {
                    place,
                    leaving,
                    process,
                    script: Script::Finish,
                    end: Some((pid, how)),
                };
                assert_eq!(Record::parse(&longest.to_text()), Some(longest));
            }
        }
    }
}

#[test]
fn each_part_of_a_record_can_be_overwritten_alone() {
    let end = Some((Pid::new(4700).unwrap(), Ended::Killed(9)));
    let old = Record { leaving: true, end, ..record(4711, 123_456) };
    let new = Record { leaving: false, end: None, ..record(5, 6) };
    let merged = |parts: &[Range<usize>]| {
        let mut text = old.to_text();
        for part in parts {
            text[part.clone()].copy_from_slice(&new.to_text()[part.clone()]);
        }
        Record::parse(&text)
    };
    assert_eq!(merged(&[LEAVING]), Some(Record { leaving: false, ..old }));
    assert_eq!(
        merged(&[PROCESS]),
        Some(Record { process: new.process, script: new.script, ..old })
    );
    assert_eq!(merged(&[END]), Some(Record { end: None, ..old }));
    assert_eq!(merged(&[LEAVING, PROCESS, END]), Some(new));
}

#[test]
fn the_end_of_the_last_process_is_read_again() {
    for (how, shown) in [
        (Ended::Exited(3), "ended=4711 code 3"),
        (Ended::Killed(9), "ended=4711 signal 9"),
        (Ended::Unknown, "ended=4711 unknown"),
    ] {
        let end = Some((Pid::new(4711).unwrap(), how));
        let text = Record { end, ..record(4711, 1) }.to_text();
        let last = str::from_utf8(&text).unwrap().lines().last().unwrap().trim_end();
        assert_eq!(last, shown);
    }
    for strange in ["", "4711", "4711 code", "4711 code 256", "4711 gone", "x code 1"] {
        let text = alloc::format!("{TEXT}\nended={strange}\n");
        assert_eq!(Record::parse(text.as_bytes()), Some(record(4711, 123_456)), "{strange}");
    }
}

#[test]
fn unknown_lines_are_ignored_and_missing_ones_are_an_error() {
    let more = alloc::format!("version=2\n{TEXT}\n\nnote\n");
    assert_eq!(Record::parse(more.as_bytes()), Some(record(4711, 123_456)));
    for missing in 0..7 {
        let saved = TEXT.lines().enumerate().filter(|(n, _)| *n != missing).map(|(_, l)| l);
        let text = saved.collect::<Vec<_>>().join("\n");
        assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
    }
    for end in 0..TEXT.len() - 18 {
        assert_eq!(Record::parse(&TEXT.as_bytes()[..end]), None);
    }
    for (good, bad) in [
        ("pid=4711", "pid=-1"),
        ("pid=4711", "pid=4294967297"),
        ("start=123456", "start="),
        ("leaving=no", "leaving=perhaps"),
        ("boot=6", "boot="),
        (":1234:", ":"),
    ] {
        assert_eq!(Record::parse(TEXT.replace(good, bad).as_bytes()), None, "{bad}");
    }
}

#[test]
fn a_record_is_valid_only_in_the_place_where_it_was_written() {
    let classified = |place| {
        let text = Record { place, ..record(4711, 1) }.to_text();
        match RecordFile::classify(&text, &PLACE) {
            RecordFile::Invalid(invalid) => invalid,
            other => panic!("{other:?}"),
        }
    };
    let directory = DirectoryId { inode: 1235, ..PLACE.directory };
    assert_eq!(classified(Place { directory, ..PLACE }), Invalid::Copied);
    let directory = DirectoryId { born: 0, ..PLACE.directory };
    assert_eq!(classified(Place { directory, ..PLACE }), Invalid::Copied);
    let directory = DirectoryId { device: (254, 1), ..PLACE.directory };
    assert_eq!(classified(Place { directory, ..PLACE }), Invalid::Copied);
    assert_eq!(classified(Place { namespace: 1, ..PLACE }), Invalid::OtherNamespace);
    // A restarted container, and a restarted machine.
    assert_eq!(classified(Place { init: 99, ..PLACE }), Invalid::Earlier);
    let boot = *b"6c9670b8-664d-44a1-bfc1-84a24eb4494e";
    assert_eq!(classified(Place { boot, directory, namespace: 1, ..PLACE }), Invalid::Earlier);
    assert_eq!(RecordFile::classify(b"", &PLACE), RecordFile::Absent);
    assert_eq!(RecordFile::classify(b" \n\n", &PLACE), RecordFile::Absent);
    assert_eq!(RecordFile::classify(&[0; LEN], &PLACE), RecordFile::Invalid(Invalid::Malformed));
}

#[test]
fn any_program_name_in_a_stat_is_parsed() {
    let stat = |name: &str| {
        alloc::format!(
            "4711 ({name}) S 1 0 0 0 -1 4194560 92106 12 0 38517 636 4198 2669 2335 20 0 13 0 \
             24 42307584 3111"
        )
    };
    for name in ["sleep", "a b", ") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "("] {
        assert_eq!(ProcessIdentity::from_stat(stat(name).as_bytes()), Some(process(4711, 24)));
    }
    for text in ["", "4711", "4711 (sleep) S 1 0", "x (y) S 1"] {
        assert_eq!(ProcessIdentity::from_stat(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_helper_script_is_named_in_the_record() {
    for (script, line) in
        [(Script::Start, "start"), (Script::Stop, "stop"), (Script::Finish, "finish")]
    {
        let text = alloc::format!("{TEXT}\nscript={line}");
        let written = Record { script, ..record(4711, 123_456) };
        assert_eq!(Record::parse(text.as_bytes()), Some(written));
        assert_eq!(Record::parse(&written.to_text()), Some(written));
        // The script is in the part of its process.
        let mut text = written.to_text();
        text[PROCESS].copy_from_slice(&record(5, 6).to_text()[PROCESS]);
        assert_eq!(Record::parse(&text), Some(record(5, 6)));
    }
    // The script of a newer version: the record is malformed for us.
    for strange in ["", "run", "begin"] {
        let text = alloc::format!("{TEXT}\nscript={strange}");
        assert_eq!(Record::parse(text.as_bytes()), None, "{strange}");
    }
}

#[test]
fn ages_are_right_after_years_of_uptime() {
    let years = Duration::from_secs(10 * 365 * 86_400);
    assert_eq!(process(1, 0).age(years), years - Duration::from_millis(10));
    let late = years.as_secs() * 100 - 100;
    assert_eq!(process(1, late).age(years), Duration::from_millis(990));
    assert_eq!(process(1, u64::MAX).age(years), Duration::ZERO);
}

#[test]
fn a_label_dates_the_process_that_started_just_before_it() {
    let process = ProcessIdentity { pid: Pid::new(7).unwrap(), start: 12_345 };
    let since_boot = Duration::from_secs(1000);
    let now = Tai64n::from_unix(1_700_000_000, 500);
    // It started 876.55 seconds ago.
    let start = now.minus(Duration::from_millis(876_550));
    let fits = |label| process.was_started_at(label, now, since_boot);
    for (milliseconds, expected) in [(0, true), (99, true), (101, false), (60_000, false)] {
        assert_eq!(fits(start.minus(Duration::from_millis(milliseconds))), expected);
    }
    for (milliseconds, expected) in [(12, true), (4999, true), (5001, false), (876_550, false)] {
        assert_eq!(fits(start.plus(Duration::from_millis(milliseconds))), expected);
    }
    for label in [[0; 12], [0xff; 12], Tai64n::from_unix(0, 0).to_bytes()] {
        assert!(!fits(Tai64n::from_bytes(label)));
    }
}

#[test]
fn a_stopped_process_is_told_by_its_state() {
    for (text, told) in [
        ("7 (sleep) T 1 7 7 0", Some(true)),
        ("7 (sleep) S 1 7 7 0", Some(false)),
        ("7 (a) T b) S 1 7 7 0", Some(false)),
        ("7 (sleep)", None),
        ("", None),
    ] {
        assert_eq!(is_stopped(text.as_bytes()), told, "{text}");
    }
}
