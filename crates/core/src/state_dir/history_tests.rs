use super::*;
use alloc::vec;
use proptest::prelude::*;

const WHEN: Tai64n = Tai64n { seconds: 0x4000_0000_65a1_b2c3, nanoseconds: 250_000_000 };

const CHANGE: ServiceChange = ServiceChange {
    when: WHEN,
    number: 17,
    from: Phase::Up,
    to: Phase::Stopping,
    pid: Pid::new(4711),
    reason: None,
    end: None,
    trigger: Some(Trigger::Command(Command::Down, Scope::Process)),
    counters: None,
};

/// A line that the writer cuts to the text.
fn written(change: &ServiceChange) -> Vec<u8> {
    let text = change.to_text();
    assert_eq!(text.last(), Some(&b'\n'));
    text.trim_ascii_end().to_vec()
}

#[test]
fn a_change_is_a_line_of_text() {
    let line = b"@4000000065a1b2c30ee6b280 17 up stopping pid=4711 command=d";
    assert_eq!(written(&CHANGE), line);
    let end = ServiceChange {
        to: Phase::Waiting,
        pid: None,
        reason: Some(Reason::Watchdog),
        end: Some(Ended::Killed(9)),
        trigger: Some(Trigger::Signal(Signal::Term)),
        ..CHANGE
    };
    let line = b"@4000000065a1b2c30ee6b280 17 up waiting reason=watchdog end=signal:9 signal=TERM";
    assert_eq!(written(&end), line);
}

#[test]
fn the_longest_change_fits_into_a_line() {
    let change = ServiceChange {
        number: u32::MAX,
        from: Phase::Listening,
        to: Phase::Finishing,
        pid: Pid::new(i32::MAX),
        reason: Some(Reason::StartScript),
        end: Some(Ended::Killed(255)),
        trigger: Some(Trigger::Signal(Signal::from_name(b"STKFLT").unwrap())),
        ..CHANGE
    };
    assert_eq!(ServiceChange::parse(&change.to_text()), Some(change));
}

#[test]
fn keys_of_later_versions_are_skipped_and_broken_lines_refused() {
    let line = |text: &str| {
        let mut line = [b' '; LEN];
        line[..text.len()].copy_from_slice(text.as_bytes());
        line[LEN - 1] = b'\n';
        ServiceChange::parse(&line)
    };
    let start = "@4000000065a1b2c30ee6b280 17 up stopping pid=4711";
    assert_eq!(line(&alloc::format!("{start} later=1 command=d")), Some(CHANGE));
    for broken in [
        "",
        "@4000000065a1b2c30ee6b280",
        "@4000000065a1b2c30ee6b280 17 up",
        "@4000000065a1b2c30ee6b280 17 up sideways",
        "@4000000065a1b2c30ee6b280 4294967296 up down",
        "@4000000065a1b2c3ffffffff 17 up down",
        "@4000000065a1b2c30ee6b28 17 up down",
        "@4000000065a1b2c30ee6b280 17 up down pid=0",
        "@4000000065a1b2c30ee6b280 17 up down end=exit:256",
        "@4000000065a1b2c30ee6b280 17 up down end=",
        "@4000000065a1b2c30ee6b280 17 up down command=",
        "@4000000065a1b2c30ee6b280 17 up down command=?",
        "@4000000065a1b2c30ee6b280 17 up down rest",
    ] {
        assert_eq!(line(broken), None, "{broken}");
    }
    assert_eq!(ServiceChange::parse(&CHANGE.to_text()[..LEN - 1]), None);
    assert_eq!(ServiceChange::parse(&[b' '; LEN]), None);
}

#[test]
fn a_change_of_the_process_alone_is_a_restart() {
    let before = Moment { phase: Phase::Up, pid: Pid::new(1) };
    let seen = Observation { when: WHEN, before, reason: None, end: None, trigger: None };
    assert_eq!(seen.change(before), None);
    let restarted = seen.change(Moment { pid: Pid::new(2), ..before }).unwrap();
    assert_eq!((restarted.from, restarted.to, restarted.pid), (Phase::Up, Phase::Up, Pid::new(2)));
    // A command without an effect was received nevertheless.
    let trigger = Some(Trigger::Command(Command::Up, Scope::Process));
    assert!(Observation { trigger, ..seen }.change(before).is_some());
}

/// The places of these changes in a file that begins empty.
fn fill(changes: &[ServiceChange]) -> Vec<u8> {
    let (mut file, mut rings) = (vec![0; FILE_LEN], Rings::default());
    for change in changes {
        let mut change = *change;
        let at = rings.place(&mut change);
        file[at..at + LEN].copy_from_slice(&change.to_text());
    }
    file
}

/// The rings of a file, as a supervisor finds them that reads a part at a time.
fn found(file: &[u8]) -> Rings {
    let mut rings = Rings::default();
    for (ring, start) in RING_STARTS.into_iter().enumerate() {
        let part = &file[start..start + RING * LEN];
        for (index, lines) in part.chunks(8 * LEN).enumerate() {
            rings.find(ring, 8 * index, lines);
        }
    }
    rings
}

#[test]
fn a_crash_loop_does_not_push_out_the_last_command() {
    let crash = ServiceChange { trigger: None, end: Some(Ended::Exited(1)), ..CHANGE };
    let mut changes = vec![CHANGE];
    changes.extend([crash; 1000]);
    let read = parse_file(&fill(&changes));
    assert_eq!(read.len(), 1 + RING);
    assert_eq!((read[0].trigger, read[0].number), (CHANGE.trigger, 1));
    let numbers: Vec<u32> = read[1..].iter().map(|change| change.number).collect();
    assert_eq!(numbers, (1002 - 64..1002).collect::<Vec<u32>>());
}

#[test]
fn the_next_supervisor_continues_the_rings() {
    let automatic = ServiceChange { trigger: None, ..CHANGE };
    for commands in [0, 1, 63, 64, 65, 200] {
        for others in [0, 1, 63, 64, 65, 200] {
            let changes = [vec![CHANGE; commands], vec![automatic; others]].concat();
            let mut rings = Rings::default();
            for change in &changes {
                rings.place(&mut change.clone());
            }
            let mut continued = found(&fill(&changes));
            for mut change in [CHANGE, automatic] {
                let mut other = change;
                assert_eq!(continued.place(&mut change), rings.place(&mut other));
                assert_eq!(change.number, other.number);
            }
        }
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_change_the_order() {
    let earlier = ServiceChange { when: Tai64n { seconds: WHEN.seconds - 3600, ..WHEN }, ..CHANGE };
    let read = parse_file(&fill(&[CHANGE, ServiceChange { trigger: None, ..earlier }, earlier]));
    assert_eq!(read.iter().map(|change| change.number).collect::<Vec<u32>>(), [1, 2, 3]);
    assert!(read[0].when > read[1].when);
}

/// A change whose line has no room for the counters.
const fn without_counters(change: ServiceChange) -> ServiceChange {
    ServiceChange { counters: None, ..change }
}

#[test]
fn counters_are_the_last_word_of_a_line_with_room() {
    let counters = Counters { starts: 12, deaths: [7, 0, 3, 1, 0] };
    let change = ServiceChange { counters: Some(counters), ..CHANGE };
    let line = b"@4000000065a1b2c30ee6b280 17 up stopping pid=4711 command=d n=12,7,0,3,1,0";
    assert_eq!(written(&change), line);
    assert_eq!(ServiceChange::parse(&change.to_text()), Some(change));
    // A number that is cut would be another number.
    let most = Counters { starts: u32::MAX, deaths: [u32::MAX; 5] };
    let long = ServiceChange { reason: Some(Reason::StartScript), ..CHANGE };
    assert_eq!(written(&ServiceChange { counters: Some(most), ..long }), written(&long));
}

#[test]
fn a_line_without_room_leaves_the_counters_to_the_next() {
    let expected = Counters { starts: 99, deaths: [1_000; 5] };
    let (mut file, mut rings) = (vec![0; FILE_LEN], Rings::default());
    for counters in [expected, Counters { starts: u32::MAX, deaths: [u32::MAX; 5] }] {
        rings.counters = counters;
        let mut change = ServiceChange { reason: Some(Reason::StartScript), ..CHANGE };
        let at = rings.place(&mut change);
        file[at..at + LEN].copy_from_slice(&change.to_text());
    }
    assert_eq!(latest_counters(&file), Some(expected));
    assert_eq!(found(&file).counters, expected);
}

fn changes() -> impl Strategy<Value = ServiceChange> {
    let phases = || proptest::sample::select(Phase::WORDS.map(|(phase, _)| phase).to_vec());
    let reasons = proptest::sample::select(Reason::WORDS.map(|(reason, _)| reason).to_vec());
    let ends = prop_oneof![
        any::<u8>().prop_map(Ended::Exited),
        any::<u8>().prop_map(Ended::Killed),
        Just(Ended::Unknown),
    ];
    let triggers = prop_oneof![
        Just(Trigger::Begin),
        (0..=255_u8, any::<bool>()).prop_filter_map("a command", |(byte, group)| {
            let scope = if group { Scope::Group } else { Scope::Process };
            Some(Trigger::Command(Command::from_byte(byte)?, scope))
        }),
        (1..32_u8).prop_filter_map("a signal", |number| {
            Some(Trigger::Signal(Signal::from_number(number)?))
        }),
    ];
    let counters = (0..1_000_u32, proptest::array::uniform5(0..100_000_u32))
        .prop_map(|(starts, deaths)| Counters { starts, deaths });
    let pids = (1..=i32::MAX).prop_map(|pid| Pid::new(pid).unwrap());
    (
        (any::<u64>(), 0..1_000_000_000_u32, any::<u32>()),
        (phases(), phases()),
        proptest::option::of(pids),
        proptest::option::of(reasons),
        proptest::option::of(ends),
        proptest::option::of(triggers),
        proptest::option::of(counters),
    )
        .prop_map(
            |((seconds, nanoseconds, number), (from, to), pid, reason, end, trigger, counters)| {
                let when = Tai64n { seconds: seconds >> 1, nanoseconds };
                ServiceChange { when, number, from, to, pid, reason, end, trigger, counters }
            },
        )
}

proptest! {
    #[test]
    fn every_change_is_read_back(change in changes()) {
        let read = ServiceChange::parse(&change.to_text());
        prop_assert!(read == Some(change) || read == Some(without_counters(change)));
    }

    /// The quick reader of the counters finds those of the slow one, and of a supervisor.
    #[test]
    fn the_latest_counters_are_found(known in proptest::collection::vec(changes(), 0..140)) {
        let file = fill(&known);
        let latest = parse_file(&file).into_iter().rev().find_map(|change| change.counters);
        prop_assert_eq!(latest_counters(&file), latest);
        prop_assert_eq!(found(&file).counters, latest.unwrap_or_default());
    }

    /// A file of any content yields changes that can be written, or none. A supervisor finds a place in
    /// it for the next change.
    #[test]
    fn any_file_is_read(
        known in proptest::collection::vec(changes(), 0..140),
        damage in proptest::collection::vec((0..FILE_LEN, any::<u8>()), 0..40),
        cut in 0..=FILE_LEN,
        mut next in changes(),
    ) {
        let mut file = fill(&known);
        for (at, byte) in damage {
            file[at] = byte;
        }
        let mut rings = found(&file);
        let at = rings.place(&mut next);
        prop_assert!(at + LEN <= FILE_LEN && at.is_multiple_of(LEN));
        for change in parse_file(&file[..cut]) {
            prop_assert!(ServiceChange::parse(&change.to_text()).is_some());
        }
        file[at..at + LEN].copy_from_slice(&next.to_text());
        let read = parse_file(&file);
        prop_assert!(read.contains(&next) || read.contains(&without_counters(next)));
        let _ = latest_counters(&file[..cut]);
    }
}
