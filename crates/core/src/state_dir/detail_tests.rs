use super::*;
use crate::state_dir::status::Want;
use alloc::string::String;
use proptest::prelude::*;
use proptest::{option, sample};

pub(in crate::state_dir) const SINCE: Tai64n = Tai64n::from_unix(1_795_233_999, 749_913_500);

/// A detail with every value.
pub(in crate::state_dir) fn full() -> Detail<'static> {
    Detail {
        since: SINCE,
        phase: Phase::Ready,
        reason: Some(Reason::NotReady),
        ready: Some(Tai64n::from_unix(1_795_234_000, 500)),
        failures: 3,
        next: Some(Tai64n::from_unix(1_795_234_007, 0)),
        waiting_for: b"db",
        message: "3 \u{fc}bers\u{e4}tze, \"all\" well = good".as_bytes(),
        script: Pid::new(4711),
        socket: b"supervise/17/notify",
        cgroup: b"/sys/fs/cgroup/daemontools/web",
        run_end: Some(Ended::Killed(15)),
        out_of_memory: true,
    }
}

fn text(detail: &Detail<'_>) -> String {
    let mut out = Vec::new();
    detail.to_text(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_text_has_one_line_for_each_known_value() {
    assert_eq!(
        text(&full()),
        "since=@400000006b0118d92cb2c59c\n\
         phase=ready\n\
         reason=not-ready\n\
         ready=@400000006b0118da000001f4\n\
         next=@400000006b0118e100000000\n\
         failures=3\n\
         script=4711\n\
         run-end=signal 15\n\
         out-of-memory=1\n\
         waiting-for=db\n\
         socket=supervise/17/notify\n\
         cgroup=/sys/fs/cgroup/daemontools/web\n\
         message=3 \u{fc}bers\u{e4}tze, \"all\" well = good\n"
    );
    let least = Detail::new(SINCE, Phase::Down);
    assert_eq!(text(&least), "since=@400000006b0118d92cb2c59c\nphase=down\n");
}

#[test]
fn unknown_lines_are_ignored_and_wrong_values_are_rejected() {
    let other = b"new=1\nphase=up\nsince=@400000006b0118d92cb2c59c\nreason=weather\n\nx";
    assert_eq!(Detail::parse(other), Some(Detail::new(SINCE, Phase::Up)));
    for wrong in [
        "ready=now",
        "ready=@400000006b0118d92cb2c59",
        "next=400000006b0118d92cb2c59c",
        "failures=-1",
        "failures=4294967296",
        "script=0",
        "script=2147483648",
        "script=",
        "run-end=",
        "run-end=exit",
        "run-end=exit 256",
        "run-end=weather 1",
    ] {
        let text = alloc::format!("{wrong}\nsince=@400000006b0118d92cb2c59c\nphase=up\n");
        assert_eq!(Detail::parse(text.as_bytes()), None, "{wrong}");
    }
    for text in ["", "phase=up", "since=@400000006b0118d92cb2c59c", "phase=new\nsince=@"] {
        assert_eq!(Detail::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn control_characters_and_long_names_do_not_reach_the_text() {
    let message = b"\x1b[2J\nphase=failed\x7f \xff \xc2\x9b";
    let name = [b'x'; VALUE_LEN + 1];
    let detail =
        Detail { message, cgroup: &name, socket: &name[1..], ..Detail::new(SINCE, Phase::Up) };
    let text = text(&detail);
    let read = Detail::parse(text.as_bytes()).unwrap();
    assert_eq!(read.message, b"?[2J?phase=failed? ? ?");
    assert_eq!((read.cgroup, read.socket), (&b""[..], &name[1..]));
}

#[test]
fn a_message_is_cut_between_characters() {
    let long = "\u{fc}".repeat(1000);
    let with = |skip: usize| {
        let message = &long.as_bytes()[skip..];
        let detail = Detail { message, ..Detail::new(SINCE, Phase::Up) };
        let text = text(&detail);
        Detail::parse(text.as_bytes()).unwrap().message.len()
    };
    assert_eq!(with(0), MESSAGE_LEN);
    // Half a character becomes a `?` of one byte.
    assert_eq!(with(1), MESSAGE_LEN - 1);
}

#[test]
fn the_file_belongs_to_the_status_with_its_label() {
    let status = |since| StatusRecord { since, pid: 7, paused: false, want: Want::Up, state: None };
    let text = text(&full());
    let text = Some(text.as_bytes());
    assert_eq!(StateFile::classify(text, &status(SINCE)), StateFile::Current(full()));
    assert!(StateFile::classify(text, &status(SINCE)).is_ready());
    let later = Tai64n { nanoseconds: SINCE.nanoseconds + 1000, ..SINCE };
    assert_eq!(StateFile::classify(text, &status(later)), StateFile::Stale);
    assert_eq!(StateFile::classify(Some(b""), &status(SINCE)), StateFile::Stale);
    assert!(!StateFile::Stale.is_ready());
    assert_eq!(StateFile::classify(None, &status(SINCE)), StateFile::Absent);
    assert!(StateFile::Absent.is_ready());
}

fn labels() -> impl Strategy<Value = Tai64n> {
    any::<(u64, u32)>().prop_map(|(seconds, nanoseconds)| Tai64n { seconds, nanoseconds })
}

proptest! {
    #[test]
    fn a_parsed_text_is_the_detail_that_was_written(
        (since, ready, next) in (labels(), option::of(labels()), option::of(labels())),
        phase in sample::select(&Phase::WORDS[..]),
        reason in option::of(sample::select(&Reason::WORDS[..])),
        (failures, script) in (any::<u32>(), option::of(1..i32::MAX)),
        run_end in option::of(prop_oneof![
            any::<u8>().prop_map(Ended::Exited),
            any::<u8>().prop_map(Ended::Killed),
            Just(Ended::Unknown),
        ]),
        out_of_memory in any::<bool>(),
        [waiting_for, message, socket, cgroup] in [(); 4].map(|()| "\\PC{0,50}"),
    ) {
        let detail = Detail {
            since,
            phase: phase.0,
            reason: reason.map(|reason| reason.0),
            ready,
            failures,
            next,
            waiting_for: waiting_for.as_bytes(),
            message: message.as_bytes(),
            script: script.and_then(Pid::new),
            socket: socket.as_bytes(),
            cgroup: cgroup.as_bytes(),
            run_end,
            out_of_memory,
        };
        let text = text(&detail);
        prop_assert_eq!(Detail::parse(text.as_bytes()), Some(detail));
    }

    #[test]
    fn any_values_make_a_text_that_parses_and_is_short_enough(
        values in prop::array::uniform4(prop::collection::vec(any::<u8>(), 0..2000)),
    ) {
        let [waiting_for, message, socket, cgroup] = &values;
        let detail = Detail { waiting_for, message, socket, cgroup, ..full() };
        let once = text(&detail);
        prop_assert!(once.len() <= LEN);
        let read = Detail::parse(once.as_bytes()).unwrap();
        prop_assert_eq!(read.phase, Phase::Ready);
        // Only printable characters are left, so the second text is the first.
        prop_assert_eq!(text(&read), &*once);
    }
}
