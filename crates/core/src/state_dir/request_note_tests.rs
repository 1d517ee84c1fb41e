use super::*;
use crate::state_dir::phase::Phase;
use proptest::collection::vec as bytes;
use proptest::prelude::*;

const WHEN: Tai64n = Tai64n { seconds: 0x4000_0000_65a1_b2c3, nanoseconds: 250_000_000 };

fn note(number: u32, message: &[u8], after: u64) -> RequestNote {
    let when = WHEN.plus(Duration::from_millis(after));
    RequestNote { when, number, message: message.to_vec(), ..RequestNote::default() }
}

fn change(letter: u8, after: u64) -> ServiceChange {
    let command = Command::from_byte(letter).unwrap();
    ServiceChange {
        when: WHEN.plus(Duration::from_millis(after)),
        number: 1,
        from: Phase::Up,
        to: Phase::Up,
        pid: None,
        reason: None,
        end: None,
        trigger: Some(Trigger::Command(command, Scope::Process)),
        counters: None,
    }
}

#[test]
fn a_note_is_a_line_of_text() {
    let note = RequestNote {
        user: b"root".to_vec(),
        login: b"ann".to_vec(),
        terminal: b"pts/3".to_vec(),
        command: b"svctl down web\x1b".to_vec(),
        ..note(5, b"d", 0)
    };
    let text = note.to_text();
    assert_eq!(
        text.trim_ascii_end(),
        b"@4000000065a1b2c30ee6b280 5 d user=root login=ann tty=pts/3 command=svctl%20down%20web%1b"
    );
    assert_eq!(RequestNote::parse(&text), Some(note));
}

#[test]
fn long_values_are_cut() {
    let long = vec![b' '; 1000];
    let note = RequestNote {
        number: u32::MAX,
        user: long.clone(),
        login: long.clone(),
        terminal: long.clone(),
        command: long,
        ..note(1, &[b'h'; 100], 0)
    };
    let read = RequestNote::parse(&note.to_text()).unwrap();
    assert_eq!((read.message, read.user), (vec![b'h'; SHORT], vec![b' '; SHORT / 3]));
    assert!(!read.command.is_empty());
}

#[test]
fn commands_find_their_notes() {
    let notes = [note(1, b"du", 0), note(2, b"d", 10), note(3, b"d", 20_000), note(4, b"lLdl", 0)];
    let changes = [
        change(b'd', 1),
        change(b'u', 2),
        change(b'd', 11),
        // Not noted: svc sends this.
        change(b'd', 12),
        change(b'u', 13),
        // Before its note, and long after it.
        change(b'd', 19_999),
        change(b'd', 25_001),
    ];
    let found = match_notes(&changes, &notes);
    assert_eq!(found, [Some(0), Some(0), Some(1), None, None, None, None]);
    assert_eq!(match_notes(&[change(b'd', 25_000)], &notes), [Some(2)]);
    let begin = ServiceChange { trigger: Some(Trigger::Begin), ..change(b'd', 0) };
    assert_eq!(match_notes(&[begin], &notes), [None]);
}

#[test]
fn the_ring_is_bounded_and_in_order() {
    let mut file = Vec::new();
    for written in 1..=3 * u64::try_from(RING).unwrap() {
        let (number, at) = next_place(&file);
        assert_eq!(u64::from(number), written);
        file.resize(file.len().max(at + LEN), 0);
        file[at..at + LEN].copy_from_slice(&note(number, b"d", 0).to_text());
    }
    assert_eq!(file.len(), FILE_LEN);
    let numbers: Vec<u32> = parse_notes(&file).iter().map(|note| note.number).collect();
    assert_eq!(numbers, (129..=192).collect::<Vec<u32>>());
}

proptest! {
    /// A note is read back if its values fit.
    #[test]
    fn every_note_is_read_back(
        (seconds, nanoseconds) in (any::<u64>(), 0..1_000_000_000_u32),
        number: u32,
        message in bytes(any::<u8>(), 1..12),
        values in bytes(bytes(any::<u8>(), 0..12), 4),
    ) {
        let [user, login, terminal, command] = <[Vec<u8>; 4]>::try_from(values).unwrap();
        let when = Tai64n { seconds: seconds >> 1, nanoseconds };
        let note = RequestNote { when, number, message, user, login, terminal, command };
        prop_assert_eq!(RequestNote::parse(&note.to_text()), Some(note));
    }

    /// A line of any content is a note that can be written again, or none.
    #[test]
    fn any_line_is_read(mut line in bytes(prop_oneof![any::<u8>(), 32..127_u8], LEN), good: bool) {
        if good {
            let start = b"@4000000065a1b2c30ee6b280 5 d user=";
            line[..start.len()].copy_from_slice(start);
            line[LEN - 1] = b'\n';
        }
        for note in parse_notes(&line) {
            prop_assert!(RequestNote::parse(&note.to_text()).is_some());
        }
        let (_, at) = next_place(&line);
        prop_assert!(at < FILE_LEN);
    }
}
