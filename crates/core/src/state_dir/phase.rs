//! The phase of a service and the reasons of its supervisor, with their words in
//! `supervise/state`.

/// The phase of a service, as `supervise/state` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is down and stays down.
    Down,
    /// It waits for its next start.
    Waiting,
    /// It waits until a dependency is ready.
    Blocked,
    /// It starts with the first connection.
    Listening,
    /// Its `start` script runs, or it is up and not yet ready.
    Starting,
    /// It is up, and nothing reports its readiness.
    Up,
    /// It is ready: it said so, or a health check passed.
    Ready,
    /// It is ready, and reloads its configuration.
    Reloading,
    /// It was told to stop, or says that it stops.
    Stopping,
    /// It has ended, and its `finish` or `stop` script runs.
    Finishing,
    /// It failed: only a command starts it again.
    Failed,
}

impl Phase {
    pub(super) const WORDS: [(Self, &'static str); 11] = [
        (Self::Down, "down"),
        (Self::Waiting, "waiting"),
        (Self::Blocked, "blocked"),
        (Self::Listening, "listening"),
        (Self::Starting, "starting"),
        (Self::Up, "up"),
        (Self::Ready, "ready"),
        (Self::Reloading, "reloading"),
        (Self::Stopping, "stopping"),
        (Self::Finishing, "finishing"),
        (Self::Failed, "failed"),
    ];

    /// The word for it in `supervise/state`.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(self, &Self::WORDS)
    }

    /// The phase of a word.
    pub(super) fn from_word(text: &[u8]) -> Option<Self> {
        meaning(text, &Self::WORDS)
    }

    /// Whether other services can use it. A service that does not report readiness is ready once
    /// it is up.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Up | Self::Ready | Self::Reloading)
    }
}

/// Why supervise last stopped the service by itself, or does not start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It missed its watchdog, or asked for that restart.
    Watchdog,
    /// Its health check failed.
    Check,
    /// It was not ready in time.
    NotReady,
    /// It died too often.
    Deaths,
    /// It exited with code 100.
    Code100,
    /// Its finish script exited with code 125.
    Finish125,
    /// Its start script failed.
    StartScript,
    /// A dependency was lost.
    Needs,
    /// Its dependencies form a cycle.
    Cycle,
    /// An option file has a mistake.
    Options,
    /// What an option file asks for cannot be set up.
    Setup,
}

impl Reason {
    pub(super) const WORDS: [(Self, &'static str); 11] = [
        (Self::Watchdog, "watchdog"),
        (Self::Check, "check"),
        (Self::NotReady, "not-ready"),
        (Self::Deaths, "deaths"),
        (Self::Code100, "code-100"),
        (Self::Finish125, "finish-125"),
        (Self::StartScript, "start-script"),
        (Self::Needs, "needs"),
        (Self::Cycle, "cycle"),
        (Self::Options, "options"),
        (Self::Setup, "setup"),
    ];

    /// The word for it in `supervise/state`.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(self, &Self::WORDS)
    }

    /// The reason of a word.
    #[must_use]
    pub fn from_word(text: &[u8]) -> Option<Self> {
        meaning(text, &Self::WORDS)
    }

    /// A description for messages and `svstat`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Watchdog => "no sign of life",
            Self::Check => "check failed",
            Self::NotReady => "not ready in time",
            Self::Deaths => "too many deaths",
            Self::Code100 => "exit code 100",
            Self::Finish125 => "finish exit code 125",
            Self::StartScript => "start script failed",
            Self::Needs => "what it needs has died",
            Self::Cycle => "needs itself",
            Self::Options => "mistake in its directory",
            Self::Setup => "what its options ask for cannot be set up",
        }
    }
}

/// The word for `value` in a table.
fn word<T: Copy + PartialEq>(value: T, words: &[(T, &'static str)]) -> &'static str {
    words.iter().find(|(it, _)| *it == value).map_or("", |(_, word)| word)
}

/// The value of a word in a table.
fn meaning<T: Copy>(word: &[u8], words: &[(T, &'static str)]) -> Option<T> {
    words.iter().find(|(_, it)| it.as_bytes() == word).map(|(it, _)| *it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_and_each_reason_has_a_word_of_its_own() {
        for (phase, word) in Phase::WORDS {
            assert_eq!(phase.word(), word);
            assert_eq!(Phase::from_word(word.as_bytes()), Some(phase));
        }
        for (reason, word) in Reason::WORDS {
            assert_eq!(reason.word(), word);
            assert_eq!(Reason::from_word(word.as_bytes()), Some(reason));
        }
    }
}
