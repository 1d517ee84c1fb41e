//! `essential`: a service without which its whole svscan ends.

/// Which end of an essential service ends its svscan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Essential {
    /// `failed`, or an empty file: the service has failed, so that only a command starts it again.
    Failed,
    /// `any`: every end that no command and no lost dependency has caused.
    Any,
}

pub(super) const EXPECTED: &str = "failed or any, as in any";

pub(super) fn parse(line: &[u8]) -> Option<Essential> {
    match line {
        b"" | b"failed" => Some(Essential::Failed),
        b"any" => Some(Essential::Any),
        _ => None,
    }
}
