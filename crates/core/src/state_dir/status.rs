//! `supervise/status`: the status of a service in the formats of daemontools and encore.

use crate::Pid;
use crate::text::decimal::Decimal;
use crate::time::tai::Tai64n;
use alloc::vec::Vec;

/// The length of a record in the original's format.
pub const LEN: usize = 18;

/// The length of a record in encore's format.
pub const ENCORE_LEN: usize = 20;

/// The wanted state of a service: byte 17 of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// `u`: it runs, and is restarted when it exits.
    Up,
    /// `d`: it stays down.
    Down,
    /// 0: it was started once, and is not restarted.
    Once,
}

/// The state byte of encore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateCode {
    /// 0
    Stopped,
    /// 1: its start script runs, or is about to run
    Starting,
    /// 2: it is up without a process
    Started,
    /// 3
    Running,
    /// 4: it was told to stop
    Stopping,
    /// 5: it is not restarted any more
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

/// A record of the status file: 18 bytes, and two more in encore's format.
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
pub struct StatusRecord {
    /// The time of the last start or exit.
    pub since: Tai64n,
    /// The process id; 0 if the service is down.
    pub pid: u32,
    /// Whether `p` stopped the process. Always false without a process.
    pub paused: bool,
    /// The wanted state.
    pub want: Want,
    /// The state, in encore's format.
    pub state: Option<StateCode>,
}

impl StatusRecord {
    /// The record in the original's format.
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

    /// The record in encore's format; `None` without a state.
    #[must_use]
    pub fn to_encore_bytes(&self) -> Option<[u8; ENCORE_LEN]> {
        let code = self.state?.number();
        let mut out = [0; ENCORE_LEN];
        let (original, rest) = out.split_at_mut(LEN);
        original.copy_from_slice(&self.to_bytes());
        rest.copy_from_slice(&[code, 0]);
        Some(out)
    }

    /// Whether `pid` is the process of the record.
    #[must_use]
    pub const fn names(&self, pid: Pid) -> bool {
        self.pid == pid.get().cast_unsigned()
    }

    /// Whether the service is up, for svup and dependencies.
    ///
    /// In encore's format a service without a process is up, too, if it is started
    /// or between two processes.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.pid != 0 || matches!(self.state, Some(StateCode::Started | StateCode::Running))
    }

    /// Parses the record at the beginning of `bytes`; `None` if these are fewer than 18.
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

/// Parses a status file: the record of the service, and that of its log script if there is one.
///
/// A file has 18, 20 or 40 bytes; of 40 the last two may be missing. In files of other lengths only
/// the first 18 bytes count. `None` if the file is shorter.
#[must_use]
pub fn parse_file(bytes: &[u8]) -> Option<(StatusRecord, Option<StatusRecord>)> {
    match bytes.len() {
        20 => Some((StatusRecord::from_bytes(bytes)?, None)),
        38.. => Some((
            StatusRecord::from_bytes(bytes)?,
            bytes.get(20..).and_then(StatusRecord::from_bytes),
        )),
        _ => Some((StatusRecord::from_bytes(bytes.get(..LEN)?)?, None)),
    }
}

/// Writes the content of a status file to `room`, and returns the part of `room` that it fills.
///
/// The record of the log script is written only if both records have a state.
pub fn write_file<'a>(
    main: &StatusRecord,
    log: Option<&StatusRecord>,
    room: &'a mut [u8; 2 * ENCORE_LEN],
) -> &'a [u8] {
    let mut length = LEN;
    let (first, second) = room.split_at_mut(ENCORE_LEN);
    match main.to_encore_bytes() {
        None => {
            if let Some(out) = first.get_mut(..LEN) {
                out.copy_from_slice(&main.to_bytes());
            }
        }
        Some(bytes) => {
            first.copy_from_slice(&bytes);
            length = ENCORE_LEN;
            if let Some(bytes) = log.and_then(StatusRecord::to_encore_bytes) {
                second.copy_from_slice(&bytes);
                length = 2 * ENCORE_LEN;
            }
        }
    }
    room.get(..length).unwrap_or_default()
}

/// Appends the text that svstat prints for a record, without the name and the line end.
///
/// `normally_up` is true if the service has no `down` file. The age is the difference of the labels'
/// seconds, as in the original; it is 0 for a time in the future.
pub fn describe(record: &StatusRecord, normally_up: bool, now: Tai64n, out: &mut Vec<u8>) {
    let StatusRecord { since, pid, paused, want, state } = *record;
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

    /// Written by the original: 2026-11-21 04:06:39 UTC, process 9199.
    const ORIGINAL: [u8; 18] =
        [0x40, 0, 0, 0, 0x6b, 0x01, 0x18, 0xd9, 0x2c, 0xb2, 0xc5, 0x9c, 0xef, 0x23, 0, 0, 0, b'u'];

    fn described(record: &StatusRecord, normally_up: bool, after: u64) -> String {
        let mut out = Vec::new();
        let now = Tai64n { seconds: record.since.seconds + after, nanoseconds: 0 };
        describe(record, normally_up, now, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn records_of_the_original_are_read_back() {
        let record = StatusRecord::from_bytes(&ORIGINAL).unwrap();
        assert_eq!(record.pid, 9199);
        assert_eq!(record.since, Tai64n::from_unix(1_795_233_999, 749_913_500));
        assert_eq!(record.want, Want::Up);
        assert_eq!(record.to_bytes(), ORIGINAL);
        assert_eq!(described(&record, true, 4), "up (pid 9199) 4 seconds");
        assert_eq!(described(&record, false, 1), "up (pid 9199) 1 seconds, normally down");
    }

    #[test]
    fn short_files_are_refused() {
        for n in 0..18 {
            assert_eq!(parse_file(&ORIGINAL[..n]), None);
        }
    }

    #[test]
    fn files_of_40_bytes_have_two_records() {
        // Written by encore: main 29934 and log 29922, both running.
        let mut bytes = [0_u8; 40];
        bytes[12..14].copy_from_slice(&[0xee, 0x74]);
        bytes[17..19].copy_from_slice(b"u\x03");
        bytes[32..34].copy_from_slice(&[0xe2, 0x74]);
        bytes[37..39].copy_from_slice(&[0, 3]);
        let (main, log) = parse_file(&bytes).unwrap();
        assert_eq!(described(&main, true, 0), "up (pid 29934) 0 seconds, running");
        assert_eq!(described(&log.unwrap(), true, 0), "up (pid 29922) 0 seconds, once, running");
        assert_eq!(parse_file(&bytes[..20]).unwrap().1, None);
        let mut room = [1; 40];
        assert_eq!(write_file(&main, log.as_ref(), &mut room), bytes);
        assert_eq!(write_file(&main, None, &mut room), &bytes[..20]);
        let plain = StatusRecord { state: None, ..main };
        assert_eq!(write_file(&plain, log.as_ref(), &mut room), &bytes[..18]);
    }

    #[test]
    fn up_depends_on_process_and_state() {
        let mut bytes = [0_u8; 20];
        assert!(!StatusRecord::from_bytes(&bytes[..LEN]).unwrap().is_up());
        for (code, up) in [(0, false), (1, false), (2, true), (3, true), (4, false), (5, false)] {
            bytes[18] = code;
            assert_eq!(StatusRecord::from_bytes(&bytes).unwrap().is_up(), up, "{code}");
        }
        bytes[12] = 1;
        assert!(StatusRecord::from_bytes(&bytes).unwrap().is_up());
    }

    #[test]
    fn remarks_have_a_fixed_order() {
        let mut record = StatusRecord {
            since: Tai64n::from_unix(0, 0),
            pid: 7,
            paused: true,
            want: Want::Down,
            state: None,
        };
        assert_eq!(
            described(&record, false, 0),
            "up (pid 7) 0 seconds, normally down, paused, want down"
        );
        record.pid = 0;
        record.want = Want::Up;
        assert_eq!(described(&record, true, 0), "down 0 seconds, normally up, want up");
        assert_eq!(record.to_bytes()[16], 0, "a service without a process is not paused");
    }

    #[test]
    fn the_age_of_a_future_start_is_zero() {
        let record = StatusRecord::from_bytes(&ORIGINAL).unwrap();
        let mut out = Vec::new();
        describe(&record, true, Tai64n::from_unix(0, 0), &mut out);
        assert_eq!(out, b"up (pid 9199) 0 seconds");
    }
}
