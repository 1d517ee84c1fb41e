//! Compiled time zone files, as in /usr/share/zoneinfo (tzfile(5), RFC 8536).

use alloc::vec::Vec;

/// From a time on another offset holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Unix time.
    pub(super) at: i64,
    /// Seconds east of UTC.
    pub(super) offset: i64,
}

/// From a time on another number of leap seconds has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leap {
    /// The time, as the file counts it: with the leap seconds before it.
    pub(super) at: i64,
    /// The leap seconds that have passed.
    pub(super) total: i64,
}

/// The content of a time zone file.
pub(super) struct ZoneFile {
    /// The changes of the offset, in order.
    pub(super) changes: Vec<Change>,
    /// The offset before the first change, in seconds east of UTC.
    pub(super) before: i64,
    /// The changes of the leap seconds, in order.
    pub(super) leaps: Vec<Leap>,
    /// The POSIX TZ string for the time after the last change; empty if the file has none.
    pub(super) tz_string: Vec<u8>,
}

impl ZoneFile {
    /// Parses a file; `None` if it is damaged.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = Header::read(bytes)?;
        if header.version == 0 {
            return header.body(bytes, 4, &[]);
        }
        // The first data block has 32-bit times, for programs that know only version 1.
        let second = bytes.get(Header::LEN + header.body_len(4)..)?;
        let header = Header::read(second)?;
        let footer = second.get(Header::LEN + header.body_len(8)..)?;
        let footer = footer.strip_prefix(b"\n").unwrap_or_default();
        let end = footer.iter().position(|&c| c == b'\n').unwrap_or(0);
        header.body(second, 8, footer.get(..end).unwrap_or_default())
    }
}

/// The counts in the header of a data block.
struct Header {
    version: u8,
    leaps: usize,
    changes: usize,
    types: usize,
    names: usize,
    /// The length of the two lists of indicators, which are unused here.
    flags: usize,
}

impl Header {
    const LEN: usize = 44;

    fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"TZif")?;
        let (&version, rest) = rest.split_first()?;
        let counts = rest.get(15..39)?;
        let mut counts = counts.chunks_exact(4).map(|c| usize::try_from(number(c)).ok());
        let mut next = || counts.next().flatten();
        let (ut_flags, std_flags) = (next()?, next()?);
        Some(Self {
            version,
            leaps: next()?,
            changes: next()?,
            types: next()?,
            names: next()?,
            flags: ut_flags.checked_add(std_flags)?,
        })
    }

    /// The length of the data block after the header, with times of `width` bytes.
    const fn body_len(&self, width: usize) -> usize {
        self.changes
            .saturating_mul(width + 1)
            .saturating_add(self.types.saturating_mul(6))
            .saturating_add(self.names)
            .saturating_add(self.leaps.saturating_mul(width + 4))
            .saturating_add(self.flags)
    }

    fn body(&self, part: &[u8], width: usize, footer: &[u8]) -> Option<ZoneFile> {
        let body = part.get(Self::LEN..)?.get(..self.body_len(width))?;
        let (times, rest) = body.split_at_checked(self.changes * width)?;
        let (indices, rest) = rest.split_at_checked(self.changes)?;
        let (types, rest) = rest.split_at_checked(self.types * 6)?;
        let leaps = rest.get(self.names..)?;

        let offset_of = |kind: &[u8]| kind.get(..4).map(number);
        let types: Vec<&[u8]> = types.chunks_exact(6).collect();
        // The C library's choice before the first change: the first type that is not summer time.
        let first = types.iter().find(|t| t.get(4) == Some(&0)).or(types.first())?;
        let mut changes = Vec::with_capacity(self.changes);
        for (time, index) in times.chunks_exact(width).zip(indices) {
            let offset = offset_of(types.get(usize::from(*index))?)?;
            changes.push(Change { at: number(time), offset });
        }
        let leaps = leaps.chunks_exact(width + 4).take(self.leaps).filter_map(|leap| {
            let (at, total) = leap.split_at_checked(width)?;
            Some(Leap { at: number(at), total: number(total) })
        });
        let (before, leaps) = (offset_of(first)?, leaps.collect());
        Some(ZoneFile { changes, before, leaps, tz_string: footer.to_vec() })
    }
}

/// A signed big-endian number of four or eight bytes.
fn number(bytes: &[u8]) -> i64 {
    let start = match bytes.first() {
        Some(0x80..) => -1,
        _ => 0,
    };
    bytes.iter().fold(start, |n, &byte| n << 8 | i64::from(byte))
}
