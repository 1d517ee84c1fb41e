//! Status files that other members of the family wrote: they stay readable.

use daemontools_core::state_dir::status::{self, StateCode, StatusRecord, Want};
use daemontools_core::time::tai::Tai64n;

/// The process and the start in the original's files; see `tests/fixtures/README.md`.
const PID: u32 = 9372;
const STARTED: i64 = 1_795_250_561;

fn read(bytes: &[u8]) -> (StatusRecord, Option<StatusRecord>) {
    status::parse_file(bytes).expect("a status file")
}

fn described(bytes: &[u8], after: i64) -> String {
    let mut out = Vec::new();
    status::describe(&read(bytes).0, true, Tai64n::from_unix(STARTED + after, 0), &mut out);
    String::from_utf8(out).expect("ASCII")
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/status/", $name))
    };
}

#[test]
fn files_of_the_original_are_read_and_written_the_same() {
    let cases: [(&[u8], u32, bool, Want, &str); 4] = [
        (fixture!("up"), PID, false, Want::Up, "up (pid 9372) 9 seconds"),
        (fixture!("paused"), PID, true, Want::Up, "up (pid 9372) 9 seconds, paused"),
        (fixture!("once"), PID, false, Want::Once, "up (pid 9372) 9 seconds"),
        (fixture!("down"), 0, false, Want::Down, "down 7 seconds, normally up"),
    ];
    for (bytes, pid, paused, want, line) in cases {
        let (record, log) = read(bytes);
        assert_eq!((record.pid, record.paused, record.want), (pid, paused, want));
        assert_eq!((record.state, log), (None, None));
        assert_eq!(record.to_bytes(), *bytes);
        assert_eq!(described(bytes, 9), line);
    }
}

#[test]
fn files_of_encore_are_read() {
    let (main, log) = read(fixture!("encore-20"));
    assert_eq!((main.pid, main.state, log), (29934, Some(StateCode::Running), None));
    let (main, log) = read(fixture!("encore-40"));
    assert_eq!((main.pid, main.state), (29934, Some(StateCode::Running)));
    assert_eq!(log.map(|log| log.pid), Some(29922));
}
