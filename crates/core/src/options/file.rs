//! The names of the files.

/// A file that an option is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// `background`
    Background,
    /// `check-failures`
    CheckFailures,
    /// `check-interval`
    CheckInterval,
    /// `down-signal`
    DownSignal,
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
    /// `no-setsid`, and s6's `nosetsid`
    NoSetsid,
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

impl File {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 23] = [
        Self::Background,
        Self::CheckFailures,
        Self::CheckInterval,
        Self::DownSignal,
        Self::FlagTimeoutKillpg,
        Self::Listen,
        Self::ListenOnDemand,
        Self::LockFd,
        Self::MaxDeathTally,
        Self::Needs,
        Self::NoSetsid,
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

    /// The file of this name; `None` for names that are no option's.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        if name == b"nosetsid" {
            return Some(Self::NoSetsid);
        }
        Self::ALL.into_iter().find(|file| file.name().as_bytes() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::CheckFailures => "check-failures",
            Self::CheckInterval => "check-interval",
            Self::DownSignal => "down-signal",
            Self::FlagTimeoutKillpg => "flag-timeout-killpg",
            Self::Listen => "listen",
            Self::ListenOnDemand => "listen-on-demand",
            Self::LockFd => "lock-fd",
            Self::MaxDeathTally => "max-death-tally",
            Self::Needs => "needs",
            Self::NoSetsid => "no-setsid",
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
    fn names_are_in_order_and_lead_back() {
        assert!(File::ALL.is_sorted());
        assert!(File::ALL.map(File::name).is_sorted());
        for file in File::ALL {
            assert_eq!(File::named(file.name().as_bytes()), Some(file));
        }
        assert_eq!(File::named(b"nosetsid"), Some(File::NoSetsid));
        assert_eq!(File::named(b"run"), None);
        assert_eq!(File::named(b""), None);
    }
}
