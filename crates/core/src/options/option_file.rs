//! The names of option files.

/// An option file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptionFile {
    /// `background`
    Background,
    /// `check-failures`
    CheckFailures,
    /// `check-interval`
    CheckInterval,
    /// `command`
    Command,
    /// `down-signal`
    DownSignal,
    /// `essential`
    Essential,
    /// `flag-timeout-killpg`
    FlagTimeoutKillpg,
    /// `listen`
    Listen,
    /// `listen-on-demand`
    ListenOnDemand,
    /// `lock-fd`
    LockFd,
    /// `max-death-tally`
    MaxDeathTally,
    /// `needs`
    Needs,
    /// `no-setsid`
    NoSetsid,
    /// `nosetsid`, as s6 calls it
    Nosetsid,
    /// `notification-fd`
    NotificationFd,
    /// `notify-socket`
    NotifySocket,
    /// `personality`
    Personality,
    /// `resource-limits`
    ResourceLimits,
    /// `restart-delay`
    RestartDelay,
    /// `restart-limit`
    RestartLimit,
    /// `stop-scope`
    StopScope,
    /// `timeout-check`
    TimeoutCheck,
    /// `timeout-finish`
    TimeoutFinish,
    /// `timeout-kill`
    TimeoutKill,
    /// `timeout-ready`
    TimeoutReady,
    /// `timeout-watchdog`
    TimeoutWatchdog,
}

impl OptionFile {
    /// All option files, in the order of their names.
    pub const ALL: [Self; 26] = [
        Self::Background,
        Self::CheckFailures,
        Self::CheckInterval,
        Self::Command,
        Self::DownSignal,
        Self::Essential,
        Self::FlagTimeoutKillpg,
        Self::Listen,
        Self::ListenOnDemand,
        Self::LockFd,
        Self::MaxDeathTally,
        Self::Needs,
        Self::NoSetsid,
        Self::Nosetsid,
        Self::NotificationFd,
        Self::NotifySocket,
        Self::Personality,
        Self::ResourceLimits,
        Self::RestartDelay,
        Self::RestartLimit,
        Self::StopScope,
        Self::TimeoutCheck,
        Self::TimeoutFinish,
        Self::TimeoutKill,
        Self::TimeoutReady,
        Self::TimeoutWatchdog,
    ];

    /// The option file with this name; `None` for other files.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name().as_bytes() == name)
    }

    /// The name of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::CheckFailures => "check-failures",
            Self::CheckInterval => "check-interval",
            Self::Command => "command",
            Self::DownSignal => "down-signal",
            Self::Essential => "essential",
            Self::FlagTimeoutKillpg => "flag-timeout-killpg",
            Self::Listen => "listen",
            Self::ListenOnDemand => "listen-on-demand",
            Self::LockFd => "lock-fd",
            Self::MaxDeathTally => "max-death-tally",
            Self::Needs => "needs",
            Self::NoSetsid => "no-setsid",
            Self::Nosetsid => "nosetsid",
            Self::NotificationFd => "notification-fd",
            Self::NotifySocket => "notify-socket",
            Self::Personality => "personality",
            Self::ResourceLimits => "resource-limits",
            Self::RestartDelay => "restart-delay",
            Self::RestartLimit => "restart-limit",
            Self::StopScope => "stop-scope",
            Self::TimeoutCheck => "timeout-check",
            Self::TimeoutFinish => "timeout-finish",
            Self::TimeoutKill => "timeout-kill",
            Self::TimeoutReady => "timeout-ready",
            Self::TimeoutWatchdog => "timeout-watchdog",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(OptionFile::ALL.is_sorted());
        assert!(OptionFile::ALL.map(OptionFile::name).is_sorted());
        for file in OptionFile::ALL {
            assert_eq!(OptionFile::named(file.name().as_bytes()), Some(file));
        }
        assert_eq!(OptionFile::named(b"run"), None);
        assert_eq!(OptionFile::named(b""), None);
    }
}
