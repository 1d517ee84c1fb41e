//! What a service says on its notify socket, in systemd's words.
//!
//! A datagram holds lines of the form `KEY=value`. Those that we know become [`Line`]s; the rest
//! means nothing to us, and is no error.

use crate::Pid;
use crate::decimal;
use crate::supervise::Word;
use core::time::Duration;

/// The longest datagram that is read; what is longer is cut.
pub const LONGEST: usize = 4096;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Something that its supervision depends on.
    Word(Word),
    /// `MAINPID=`: the service is this process.
    Main(Pid),
    /// `STATUS=`: something for people.
    Status(&'a [u8]),
}

/// The lines of a datagram, in order. Of `BARRIER=1` nothing is to be told: it asks that the
/// descriptor that came with it be closed when all that was said before has been heard.
pub fn lines(datagram: &[u8]) -> impl Iterator<Item = Line<'_>> {
    datagram.split(|&c| c == b'\n').filter_map(|line| {
        let at = memchr::memchr(b'=', line)?;
        let (key, value) = (line.get(..at)?, line.get(at + 1..)?);
        let micros = || decimal::parse(value).map(Duration::from_micros);
        Some(match (key, value) {
            (b"READY", b"1") => Line::Word(Word::Ready),
            (b"RELOADING", b"1") => Line::Word(Word::Reloading),
            (b"STOPPING", b"1") => Line::Word(Word::Stopping),
            (b"WATCHDOG", b"1") => Line::Word(Word::Alive),
            (b"WATCHDOG", b"trigger") => Line::Word(Word::Sick),
            // Nothing would be in time.
            (b"WATCHDOG_USEC", _) => {
                Line::Word(Word::WatchdogTime(micros().filter(|time| !time.is_zero())?))
            }
            (b"EXTEND_TIMEOUT_USEC", _) => Line::Word(Word::Extend(micros()?)),
            (b"MAINPID", _) => Line::Main(Pid::new(i32::try_from(decimal::parse(value)?).ok()?)?),
            (b"STATUS", _) => Line::Status(value),
            _ => return None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn all_that_systemd_documents_and_we_heed() {
        let said = b"READY=1\nSTATUS=ready = \xff\nMAINPID=4711\nWATCHDOG=1\nWATCHDOG=trigger\n\
            WATCHDOG_USEC=20000000\nEXTEND_TIMEOUT_USEC=1\nRELOADING=1\nSTOPPING=1";
        let heard: Vec<Line<'_>> = lines(said).collect();
        let expected = [
            Line::Word(Word::Ready),
            Line::Status(b"ready = \xff"),
            Line::Main(Pid::new(4711).unwrap()),
            Line::Word(Word::Alive),
            Line::Word(Word::Sick),
            Line::Word(Word::WatchdogTime(Duration::from_secs(20))),
            Line::Word(Word::Extend(Duration::from_micros(1))),
            Line::Word(Word::Reloading),
            Line::Word(Word::Stopping),
        ];
        assert_eq!(heard, expected);
    }

    #[test]
    fn what_is_wrong_or_unknown_means_nothing() {
        for said in [
            &b""[..],
            b"READY",
            b"READY=0",
            b"READY=1 ",
            b"ready=1",
            b"MAINPID=0",
            b"MAINPID=-1",
            b"MAINPID=2147483648",
            b"WATCHDOG_USEC=0",
            b"WATCHDOG_USEC=x",
            b"BARRIER=1",
            b"ERRNO=2\n\n=\nX_CUSTOM=1",
        ] {
            assert_eq!(lines(said).next(), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_heard_in_peace(said in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = lines(&said).count();
        }
    }
}
