//! `supervise/history` and `supervise/requests`: any bytes are read, a supervise goes on with any file, and
//! what was read is written back.
#![no_main]

use daemontools_core::state_dir::history::{
    self, Moment, Observation, RING_STARTS, Rings, ServiceChange, Trigger, latest_counters,
    parse_file,
};
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::state_dir::request_note::{self, match_notes, next_place, parse_notes};
use daemontools_fuzz::{assert_harmless, moment, parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [changes, notes, label] = parts(data);
    // Lines of the right length, whatever the length of the input.
    let changes = padded(changes, history::LEN);
    let notes = padded(notes, request_note::LEN);
    let found = parse_file(&changes);
    for change in &found {
        let line = change.to_text();
        // A line that is full has no counters.
        let read = ServiceChange::parse(&line);
        let bare = ServiceChange { counters: None, ..*change };
        assert!(read == Some(*change) || read == Some(bare), "{}", line.escape_ascii());
        assert_harmless(line.trim_ascii_end());
        assert!(slowly_read(&changes).contains(&change.number));
    }
    assert!(found.is_sorted_by_key(|change| change.number));
    let counters = latest_counters(&changes);
    assert_eq!(counters.is_some(), found.iter().any(|change| change.counters.is_some()));
    assert!(found.len() <= 2 * history::RING);
    go_on(&changes, label);

    let read = parse_notes(&notes);
    for note in &read {
        let line = note.to_text();
        assert_harmless(line.trim_ascii_end());
        // Long values are cut once.
        if let Some(again) = request_note::RequestNote::parse(&line) {
            assert_eq!(again.to_text(), line);
        } else {
            assert!(note.message.is_empty());
        }
    }
    let (_, place) = next_place(&notes);
    assert!(place < request_note::FILE_LEN && place.is_multiple_of(request_note::LEN));
    let matched = match_notes(&found, &read);
    assert_eq!(matched.len(), found.len());
    for (change, index) in found.iter().zip(matched) {
        let Some(index) = index else { continue };
        assert!(matches!(change.trigger, Some(Trigger::Command(..))));
        assert!(read[index].when <= change.when);
    }
});

/// Cuts a text at its newlines, and pads the lines with spaces.
fn padded(text: &[u8], length: usize) -> Vec<u8> {
    let mut file = Vec::new();
    for line in text.split(|&c| c == b'\n') {
        let start = file.len();
        file.extend(line.iter().take(length - 1));
        file.resize(start + length - 1, b' ');
        file.push(b'\n');
    }
    file
}

/// The second words of all lines that are numbers.
fn slowly_read(file: &[u8]) -> Vec<u32> {
    let text = String::from_utf8_lossy(file);
    let second = |line: &str| line.split(' ').filter(|it| !it.is_empty()).nth(1)?.parse().ok();
    text.lines().filter_map(second).collect()
}

/// A supervise finds a place in the file for its next change, and readers find that change.
fn go_on(file: &[u8], label: &[u8]) {
    let mut file = file.to_vec();
    file.resize(history::FILE_LEN, 0);
    let mut rings = Rings::default();
    for (ring, start) in RING_STARTS.into_iter().enumerate() {
        rings.find(ring, 0, &file[start..]);
    }
    let before = Moment { phase: Phase::Up, pid: None };
    let when = moment(label);
    let seen = Observation { when, before, reason: None, end: None, trigger: Some(Trigger::Begin) };
    let mut change = seen.change(before).expect("a supervise that begins is a change");
    let at = rings.place(&mut change);
    file[at..at + history::LEN].copy_from_slice(&change.to_text());
    let is_valid = when.seconds >> 63 == 0 && when.nanoseconds < 1_000_000_000;
    assert!(!is_valid || parse_file(&file).contains(&change));
}
