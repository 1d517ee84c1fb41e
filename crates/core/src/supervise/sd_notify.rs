//! The datagrams on a notify socket, in the format of sd_notify(3).
//!
//! A datagram holds lines of the form `KEY=value`. The known ones become [`Line`]s; others are
//! ignored.

use crate::Pid;
use crate::supervise::Notification;
use crate::text::decimal;
use core::time::Duration;

/// The longest datagram that is read. The rest of a longer one is lost.
pub const MAX_DATAGRAM: usize = 4096;

/// A known line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A state of the service, which the machine takes as an event.
    Notification(Notification),
    /// `MAINPID=`: the service is this process.
    MainPid(Pid),
    /// `STATUS=`: a message for people.
    Status(&'a [u8]),
}

/// The known lines of a datagram, in order. `BARRIER=1` is not one of them: the receiver answers it
/// when it closes the descriptor that came with the datagram.
pub fn lines(datagram: &[u8]) -> impl Iterator<Item = Line<'_>> {
    datagram.split(|&c| c == b'\n').filter_map(|line| {
        let at = memchr::memchr(b'=', line)?;
        let (key, value) = (line.get(..at)?, line.get(at + 1..)?);
        let micros = || decimal::parse(value).map(Duration::from_micros);
        Some(match (key, value) {
            (b"READY", b"1") => Line::Notification(Notification::Ready),
            (b"RELOADING", b"1") => Line::Notification(Notification::Reloading),
            (b"STOPPING", b"1") => Line::Notification(Notification::Stopping),
            (b"WATCHDOG", b"1") => Line::Notification(Notification::KeepAlive),
            (b"WATCHDOG", b"trigger") => Line::Notification(Notification::WatchdogTrigger),
            // With a time of 0, every keep-alive would be late.
            (b"WATCHDOG_USEC", _) => Line::Notification(Notification::WatchdogTimeout(
                micros().filter(|time| !time.is_zero())?,
            )),
            (b"EXTEND_TIMEOUT_USEC", _) => {
                Line::Notification(Notification::ExtendTimeout(micros()?))
            }
            (b"MAINPID", _) => {
                Line::MainPid(Pid::new(i32::try_from(decimal::parse(value)?).ok()?)?)
            }
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
    fn each_known_line_is_parsed() {
        let datagram =
            b"READY=1\nSTATUS=ready = \xff\nMAINPID=4711\nWATCHDOG=1\nWATCHDOG=trigger\n\
            WATCHDOG_USEC=20000000\nEXTEND_TIMEOUT_USEC=1\nRELOADING=1\nSTOPPING=1";
        let parsed: Vec<Line<'_>> = lines(datagram).collect();
        let expected = [
            Line::Notification(Notification::Ready),
            Line::Status(b"ready = \xff"),
            Line::MainPid(Pid::new(4711).unwrap()),
            Line::Notification(Notification::KeepAlive),
            Line::Notification(Notification::WatchdogTrigger),
            Line::Notification(Notification::WatchdogTimeout(Duration::from_secs(20))),
            Line::Notification(Notification::ExtendTimeout(Duration::from_micros(1))),
            Line::Notification(Notification::Reloading),
            Line::Notification(Notification::Stopping),
        ];
        assert_eq!(parsed, expected);
    }

    #[test]
    fn malformed_and_unknown_lines_are_ignored() {
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
        fn any_bytes_are_parsed_without_a_panic(said in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = lines(&said).count();
        }
    }
}
