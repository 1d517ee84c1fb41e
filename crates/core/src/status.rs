//! `supervise/status`: what third parties read, and the line which svstat makes of it.

use crate::Pid;
use crate::decimal::Decimal;
use crate::tai::Tai64n;
use alloc::vec::Vec;

/// Length of the original's record.
pub const LEN: usize = 18;

/// Length of encore's record.
pub const ENCORE_LEN: usize = 20;

/// What supervise wants of a service; the last byte of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Run it, and run it again when it ends.
    Up,
    /// Keep it down.
    Down,
    /// Leave it as it is: it was started once.
    Once,
}

/// encore's state byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateCode {
    /// 0
    Stopped,
    /// 1: its start script runs, or it is about to
    Starting,
    /// 2: nothing is to run, and that is well
    Started,
    /// 3
    Running,
    /// 4: it was asked to end
    Stopping,
    /// 5: it will not be started again
    Failed,
    /// Any other value.
    Unknown,
}

impl StateCode {
    const fn number(self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Starting => 1,
            Self::Started => 2,
            Self::Running => 3,
            Self::Stopping => 4,
            Self::Failed => 5,
            Self::Unknown => u8::MAX,
        }
    }
}

/// One record: 18 bytes of the original, and two more of encore.
///
/// | offset | content |
/// |---|---|
/// | 0-7 | seconds of the TAI64N label, big-endian |
/// | 8-11 | its nanoseconds, big-endian |
/// | 12-15 | process id, little-endian; 0 is down |
/// | 16 | 1 if paused |
/// | 17 | `u`, `d` or 0: see [`Want`] |
/// | 18-19 | encore only: [`StateCode`] and 0 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When the process was started or ended.
    pub since: Tai64n,
    /// The process, or 0.
    pub pid: u32,
    /// Whether it was stopped by `p`. Only with a process.
    pub paused: bool,
    /// What is wanted.
    pub want: Want,
    /// encore's state, if the record has one.
    pub state: Option<StateCode>,
}

impl Record {
    /// The original's 18 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut out = [0; LEN];
        let (since, rest) = out.split_at_mut(12);
        since.copy_from_slice(&self.since.to_bytes());
        let (pid, flags) = rest.split_at_mut(4);
        pid.copy_from_slice(&self.pid.to_le_bytes());
        let want = match self.want {
            Want::Up => b'u',
            Want::Down => b'd',
            Want::Once => 0,
        };
        flags.copy_from_slice(&[u8::from(self.paused && self.pid != 0), want]);
        out
    }

    /// encore's 20 bytes, if the record has a state.
    #[must_use]
    pub fn to_encore_bytes(&self) -> Option<[u8; ENCORE_LEN]> {
        let code = self.state?.number();
        let mut out = [0; ENCORE_LEN];
        let (original, rest) = out.split_at_mut(LEN);
        original.copy_from_slice(&self.to_bytes());
        rest.copy_from_slice(&[code, 0]);
        Some(out)
    }

    /// Whether this is the process it tells of.
    #[must_use]
    pub const fn names(&self, pid: Pid) -> bool {
        self.pid == pid.get().cast_unsigned()
    }

    /// Whether the service is up, for those who do not ask about a process: for encore, one that
    /// has done its work by being started is, and one that is between two processes.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.pid != 0 || matches!(self.state, Some(StateCode::Started | StateCode::Running))
    }

    /// Reads one record from the front of `bytes`; `None` if there are fewer than 18.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (since, rest) = bytes.split_first_chunk::<12>()?;
        let (pid, rest) = rest.split_first_chunk::<4>()?;
        let ([paused, want], rest) = rest.split_first_chunk::<2>()?;
        Some(Self {
            since: Tai64n::from_bytes(*since),
            pid: u32::from_le_bytes(*pid),
            paused: *paused != 0,
            want: match want {
                b'u' => Want::Up,
                b'd' => Want::Down,
                _ => Want::Once,
            },
            state: rest.first().map(|code| match code {
                0 => StateCode::Stopped,
                1 => StateCode::Starting,
                2 => StateCode::Started,
                3 => StateCode::Running,
                4 => StateCode::Stopping,
                5 => StateCode::Failed,
                _ => StateCode::Unknown,
            }),
        })
    }
}

/// The records of a status file: of the service, and of its log script if there is one. A file is
/// 18 bytes long, 20, or 40 (of which 38 will do); whatever else follows the 18 means nothing.
#[must_use]
pub fn parse_file(bytes: &[u8]) -> Option<(Record, Option<Record>)> {
    match bytes.len() {
        20 => Some((Record::from_bytes(bytes)?, None)),
        38.. => Some((Record::from_bytes(bytes)?, bytes.get(20..).and_then(Record::from_bytes))),
        _ => Some((Record::from_bytes(bytes.get(..LEN)?)?, None)),
    }
}

/// Writes the records of a status file to the front of `room`, and gives what was written. The log
/// script's is there only beside a record of encore's length.
pub fn write_file<'a>(
    main: &Record,
    log: Option<&Record>,
    room: &'a mut [u8; 2 * ENCORE_LEN],
) -> &'a [u8] {
    let mut length = LEN;
    let (first, second) = room.split_at_mut(ENCORE_LEN);
    match main.to_encore_bytes() {
        None => {
            if let Some(place) = first.get_mut(..LEN) {
                place.copy_from_slice(&main.to_bytes());
            }
        }
        Some(bytes) => {
            first.copy_from_slice(&bytes);
            length = ENCORE_LEN;
            if let Some(bytes) = log.and_then(Record::to_encore_bytes) {
                second.copy_from_slice(&bytes);
                length = 2 * ENCORE_LEN;
            }
        }
    }
    room.get(..length).unwrap_or_default()
}

/// What svstat says of a record, without the name before it and the line end behind it.
/// `normally_up` is whether the service has no `down` file. The age is in whole seconds, whatever
/// the nanoseconds, and 0 for a moment to come.
pub fn describe(record: &Record, normally_up: bool, now: Tai64n, out: &mut Vec<u8>) {
    let Record { since, pid, paused, want, state } = *record;
    let up = pid != 0;
    if up {
        out.extend_from_slice(b"up (pid ");
        out.extend_from_slice(Decimal::new(pid.into()).as_bytes());
        out.extend_from_slice(b") ");
    } else {
        out.extend_from_slice(b"down ");
    }
    let seconds = now.seconds.saturating_sub(since.seconds);
    out.extend_from_slice(Decimal::new(seconds).as_bytes());
    out.extend_from_slice(b" seconds");
    let remarks = [
        (up && !normally_up, ", normally down"),
        (!up && normally_up, ", normally up"),
        (up && paused, ", paused"),
        (!up && want == Want::Up, ", want up"),
        (up && want == Want::Down, ", want down"),
        (up && want == Want::Once && state.is_some(), ", once"),
    ];
    for (holds, remark) in remarks {
        if holds {
            out.extend_from_slice(remark.as_bytes());
        }
    }
    if let Some(state) = state {
        out.extend_from_slice(match state {
            StateCode::Stopped => b", stopped",
            StateCode::Starting => b", starting",
            StateCode::Started => b", started",
            StateCode::Running => b", running",
            StateCode::Stopping => b", stopping",
            StateCode::Failed => b", failed",
            StateCode::Unknown => b", status unknown",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    /// From the spec: 2026-11-21 04:06:39 UTC, process 9199.
    const ORIGINAL: [u8; 18] =
        [0x40, 0, 0, 0, 0x6b, 0x01, 0x18, 0xd9, 0x2c, 0xb2, 0xc5, 0x9c, 0xef, 0x23, 0, 0, 0, b'u'];

    fn said(record: &Record, normally_up: bool, after: u64) -> String {
        let mut out = Vec::new();
        let now = Tai64n { seconds: record.since.seconds + after, nanoseconds: 0 };
        describe(record, normally_up, now, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_of_the_original_is_read_and_written_again() {
        let record = Record::from_bytes(&ORIGINAL).unwrap();
        assert_eq!(record.pid, 9199);
        assert_eq!(record.since, Tai64n::from_unix(1_795_233_999, 749_913_500));
        assert_eq!(record.want, Want::Up);
        assert_eq!(record.to_bytes(), ORIGINAL);
        assert_eq!(said(&record, true, 4), "up (pid 9199) 4 seconds");
        assert_eq!(said(&record, false, 1), "up (pid 9199) 1 seconds, normally down");
    }

    #[test]
    fn short_files_are_refused_at_every_length() {
        for n in 0..18 {
            assert_eq!(parse_file(&ORIGINAL[..n]), None);
        }
    }

    #[test]
    fn encores_forty_bytes_are_two_records() {
        // From the spec: main 29934 and log 29922, both running.
        let mut bytes = [0_u8; 40];
        bytes[12..14].copy_from_slice(&[0xee, 0x74]);
        bytes[17..19].copy_from_slice(b"u\x03");
        bytes[32..34].copy_from_slice(&[0xe2, 0x74]);
        bytes[37..39].copy_from_slice(&[0, 3]);
        let (main, log) = parse_file(&bytes).unwrap();
        assert_eq!(said(&main, true, 0), "up (pid 29934) 0 seconds, running");
        assert_eq!(said(&log.unwrap(), true, 0), "up (pid 29922) 0 seconds, once, running");
        assert_eq!(parse_file(&bytes[..20]).unwrap().1, None);
        let mut room = [1; 40];
        assert_eq!(write_file(&main, log.as_ref(), &mut room), bytes);
        assert_eq!(write_file(&main, None, &mut room), &bytes[..20]);
        let plain = Record { state: None, ..main };
        assert_eq!(write_file(&plain, log.as_ref(), &mut room), &bytes[..18]);
    }

    #[test]
    fn up_is_what_has_a_process_or_says_so() {
        let mut bytes = [0_u8; 20];
        assert!(!Record::from_bytes(&bytes[..LEN]).unwrap().is_up());
        for (code, up) in [(0, false), (1, false), (2, true), (3, true), (4, false), (5, false)] {
            bytes[18] = code;
            assert_eq!(Record::from_bytes(&bytes).unwrap().is_up(), up, "{code}");
        }
        bytes[12] = 1;
        assert!(Record::from_bytes(&bytes).unwrap().is_up());
    }

    #[test]
    fn every_remark_in_its_order() {
        let mut record = Record {
            since: Tai64n::from_unix(0, 0),
            pid: 7,
            paused: true,
            want: Want::Down,
            state: None,
        };
        assert_eq!(
            said(&record, false, 0),
            "up (pid 7) 0 seconds, normally down, paused, want down"
        );
        record.pid = 0;
        record.want = Want::Up;
        assert_eq!(said(&record, true, 0), "down 0 seconds, normally up, want up");
        assert_eq!(record.to_bytes()[16], 0, "nothing that is down is paused");
    }

    #[test]
    fn a_start_in_the_future_is_zero_seconds_ago() {
        let record = Record::from_bytes(&ORIGINAL).unwrap();
        let mut out = Vec::new();
        describe(&record, true, Tai64n::from_unix(0, 0), &mut out);
        assert_eq!(out, b"up (pid 9199) 0 seconds");
    }
}
