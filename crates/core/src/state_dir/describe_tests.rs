use super::*;
use crate::state_dir::detail::tests::{SINCE, full};
use crate::state_dir::phase::Reason;
use alloc::string::String;
use proptest::prelude::*;

fn said(detail: Option<&Detail<'_>>, end: Option<Ended>) -> String {
    let mut out = Vec::new();
    let end = end.map(|how| (Pid::MAX, how));
    let usage = Usage::default();
    describe(detail, end, usage, Tai64n::from_unix(1_795_234_003, 0), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn usage_is_shown_as_far_as_it_is_known() {
    let usage = Usage::parse(b"1048576\n", b"usage_usec 2500999\nuser_usec 1\n");
    assert_eq!(usage, Usage { memory: Some(1024), processor: Some(2500) });
    assert_eq!(Usage::parse(b"", b"nr_periods 0\n"), Usage::default());
    let mut out = Vec::new();
    describe(None, None, usage, Tai64n::from_unix(0, 0), &mut out);
    assert_eq!(out, b", memory 1024 KiB, processor 2500 ms");
}

#[test]
fn every_phase_in_words() {
    let words = |phase| said(Some(&Detail::new(SINCE, phase)), None);
    for (phase, word) in Phase::WORDS {
        let expected = match phase {
            Phase::Down | Phase::Waiting | Phase::Up => String::new(),
            Phase::Ready => ", ready 4 seconds".into(),
            Phase::Blocked => ", waiting for ".into(),
            _ => alloc::format!(", {word}"),
        };
        assert_eq!(words(phase), expected);
    }
}

#[test]
fn every_remark_in_its_order() {
    assert_eq!(
        said(Some(&full()), Some(Ended::Exited(1))),
        ", ready 3 seconds, next start in 4 seconds, 3 failures, reason: not ready in time, \
         script (pid 4711), last killed by signal 15, out of memory, status \"3 \u{fc}bers\u{e4}tze, \"all\" well = good\""
    );
    let failed = Detail { reason: Some(Reason::Deaths), ..Detail::new(SINCE, Phase::Failed) };
    let killed = Some(Ended::Killed(9));
    assert_eq!(said(Some(&failed), killed), ", failed: too many deaths, last killed by signal 9");
    let blocked = Detail { waiting_for: b"db", ..Detail::new(SINCE, Phase::Blocked) };
    assert_eq!(said(Some(&blocked), None), ", waiting for db");
    assert_eq!(said(None, Some(Ended::Unknown)), ", last end unknown");
    assert_eq!(said(None, None), "");
    // A start that is overdue.
    let next = Some(SINCE);
    let late = Detail { next, ..Detail::new(SINCE, Phase::Waiting) };
    assert_eq!(said(Some(&late), None), ", next start in 0 seconds");
}

#[test]
fn a_word_of_the_status_line_is_not_repeated() {
    let words = |phase, state| {
        let detail = Detail { reason: Some(Reason::Code100), ..Detail::new(SINCE, phase) };
        said(Some(&without_repetition(&detail, state)), None)
    };
    let again = ", reason: exit code 100";
    assert_eq!(words(Phase::Failed, Some(StateCode::Failed)), again);
    assert_eq!(words(Phase::Starting, Some(StateCode::Starting)), again);
    assert_eq!(words(Phase::Stopping, Some(StateCode::Stopping)), again);
    assert_eq!(words(Phase::Failed, None), ", failed: exit code 100");
    assert_eq!(
        words(Phase::Starting, Some(StateCode::Running)),
        alloc::format!(", starting{again}")
    );
}

#[test]
fn control_characters_in_a_message_are_replaced() {
    let message = b"\x1b[2J\nphase=failed\x7f \xff \xc2\x9b";
    let detail = Detail { message, ..Detail::new(SINCE, Phase::Up) };
    assert_eq!(said(Some(&detail), None), ", status \"?[2J?phase=failed? ? ?\"");
}

proptest! {
    #[test]
    fn any_bytes_make_printable_remarks_or_no_detail(
        bytes in any::<Vec<u8>>(),
        line in "(since|phase|ready|script|failures)=\\PC{0,30}",
    ) {
        for prefix in ["", "since=@400000006b0118d92cb2c59c\nphase=blocked\n"] {
            let bytes = [prefix.as_bytes(), line.as_bytes(), b"\n", &bytes].concat();
            if let Some(detail) = Detail::parse(&bytes) {
                let words = said(Some(&detail), None);
                prop_assert!(!words.contains(|c: char| c.is_control()));
            }
        }
    }

    #[test]
    fn any_values_make_printable_remarks(
        values in prop::array::uniform4(prop::collection::vec(any::<u8>(), 0..2000)),
    ) {
        let [waiting_for, message, socket, cgroup] = &values;
        let detail = Detail { waiting_for, message, socket, cgroup, ..full() };
        let words = said(Some(&detail), None);
        prop_assert!(!words.contains(|c: char| c.is_control()));
    }
}
