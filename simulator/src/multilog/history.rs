//! What has happened to the loggers of a scenario.

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// KILLs that have hit a logger.
    pub kills: u64,
    /// KILLs since the last loss of power.
    pub recent_kills: u64,
    /// Faults that have hit a standby process.
    pub standby_faults: u64,
    /// Losses of power.
    pub power_cuts: u64,
    /// Where in the input the present writer began.
    pub from: usize,
    /// A logger got TERM.
    pub has_term: bool,
    /// A logger got ALRM.
    pub has_alarm: bool,
    /// An old file was removed.
    pub has_pruned: bool,
    /// An old file could not be removed.
    pub has_failed_removal: bool,
    /// The clock was set back by more than a day.
    pub has_gone_back: bool,
}

impl History {
    /// How often a line can end early, with text of another line behind it.
    #[must_use]
    pub const fn cuts(&self) -> u64 {
        // A loss of power can leave zeros in several files.
        self.kills + self.standby_faults + 8 * self.power_cuts
    }
}
