//! `personality`: the member of the daemontools family that a service directory was written for.

/// The rules for names that other members of the family use for something else, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Personality {
    /// The original: `run`, `down`, `log/`.
    #[default]
    Daemontools,
    /// daemontools-encore: `start`, `stop`, `notify`, a file `log`, exit code 100, sessions.
    Encore,
    /// s6: `finish` with s6's arguments, exit code 125, sessions.
    S6,
    /// runit: `finish` with runit's arguments, `check`, `control/`.
    Runit,
}

pub(super) const EXPECTED: &str = "daemontools, encore, s6 or runit, as in s6";

impl Personality {
    /// The personality with this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"daemontools" => Self::Daemontools,
            b"encore" => Self::Encore,
            b"s6" => Self::S6,
            b"runit" => Self::Runit,
            _ => return None,
        })
    }
}
