//! The file `supervise/essential`: how an essential service has ended for good.
//!
//! Its supervisor writes the file and exits; svscan reads it, removes it and stops everything. It is
//! one line: the process id of the supervisor and how the service ended, as in `31 code 3`,
//! `31 signal 9` or `31 unknown`. A file that names another supervisor is an old one.

use crate::state_dir::process_record::parse_end;
use crate::text::decimal::Decimal;
use crate::{Ended, Pid};
use alloc::vec::Vec;

/// The longest text.
pub const LEN: usize = 32;

/// The text for the end that this supervisor has seen.
#[must_use]
pub fn to_text(supervisor: Pid, how: Ended) -> Vec<u8> {
    let pid = Decimal::new(supervisor.get().cast_unsigned().into());
    let (word, number) = match how {
        Ended::Exited(code) => (&b" code "[..], Some(code)),
        Ended::Killed(signal) => (&b" signal "[..], Some(signal)),
        Ended::Unknown => (&b" unknown"[..], None),
    };
    let number = number.map(|number| Decimal::new(number.into()));
    let number = number.as_ref().map_or(&b""[..], Decimal::as_bytes);
    [pid.as_bytes(), word, number, b"\n"].concat()
}

/// The end that this supervisor has written; `None` for a text of another one, or a malformed one.
#[must_use]
pub fn parse(text: &[u8], supervisor: Pid) -> Option<Ended> {
    let (pid, how) = parse_end(text.strip_suffix(b"\n")?)?;
    (pid == supervisor).then_some(how)
}

/// The exit code that tells how a process ended, as shells do: 128 and the number of the signal that
/// killed it; 111 if that is unknown.
#[must_use]
pub const fn exit_code(how: Ended) -> u8 {
    match how {
        Ended::Exited(code) => code,
        Ended::Killed(signal) => signal.saturating_add(128),
        Ended::Unknown => 111,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_read_back() {
        let pid = Pid::new(i32::MAX).unwrap_or(Pid::MIN);
        for how in [Ended::Exited(0), Ended::Exited(255), Ended::Killed(64), Ended::Unknown] {
            let text = to_text(pid, how);
            assert!(text.len() <= LEN);
            assert_eq!(parse(&text, pid), Some(how));
            assert_eq!(Pid::new(7).and_then(|other| parse(&text, other)), None);
        }
    }

    #[test]
    fn malformed_texts_are_no_end() {
        let pid = Pid::new(31).unwrap_or(Pid::MIN);
        for text in ["", "31 code 3", "31 code\n", "31 code 256\n", "31 word 3\n", "x\n", "\0\n"] {
            assert_eq!(parse(text.as_bytes(), pid), None, "{text:?}");
        }
    }

    #[test]
    fn exit_codes_are_those_of_shells() {
        assert_eq!(exit_code(Ended::Exited(7)), 7);
        assert_eq!(exit_code(Ended::Killed(9)), 137);
        assert_eq!(exit_code(Ended::Unknown), 111);
    }
}
