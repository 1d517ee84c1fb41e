//! The record in `supervise/status`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// What `want` says when neither up nor down is wanted: after `o`.
pub const PENDING: u8 = 0;

/// The TAI64 label of 1970 in this package, which knows no leap seconds.
const EPOCH: u64 = (1 << 62) + 10;

/// The raw bytes of a `supervise/status`.
#[derive(Clone, PartialEq, Eq)]
pub struct Status(pub Vec<u8>);

impl Status {
    /// The bytes of a record: Unix time, pid, paused byte, want byte.
    #[must_use]
    pub fn record(seconds: i64, pid: u32, paused: u8, want: u8) -> Vec<u8> {
        let mut raw = EPOCH.wrapping_add_signed(seconds).to_be_bytes().to_vec();
        raw.extend(500_u32.to_be_bytes());
        raw.extend(pid.to_le_bytes());
        raw.extend([paused, want]);
        raw
    }

    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0
            .get(at..at + N)
            .and_then(|part| part.try_into().ok())
            .unwrap_or_else(|| panic!("{self:?} is too short"))
    }

    /// The seconds of the label.
    #[must_use]
    pub fn label(&self) -> u64 {
        u64::from_be_bytes(self.part(0))
    }

    /// The nanoseconds of the label.
    #[must_use]
    pub fn nanoseconds(&self) -> u32 {
        u32::from_be_bytes(self.part(8))
    }

    /// The label as time since 1970.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + std::time::Duration::new(self.label().wrapping_sub(EPOCH), self.nanoseconds())
    }

    /// The pid; 0 means down.
    #[must_use]
    pub fn pid(&self) -> u32 {
        u32::from_le_bytes(self.part(12))
    }

    /// The paused byte.
    #[must_use]
    pub fn paused(&self) -> u8 {
        self.part::<1>(16)[0]
    }

    /// The want byte: `u`, `d`, or [`PENDING`].
    #[must_use]
    pub fn want(&self) -> u8 {
        self.part::<1>(17)[0]
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status")?;
        self.0.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
    }
}
