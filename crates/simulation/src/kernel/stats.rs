//! What happened in the schedules.

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Event counts over all schedules.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl core::ops::AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

stats! {
    /// Steps of processes.
    steps,
    /// Processes killed by the schedule.
    kills,
    /// Kills of a supervise.
    supervises,
    /// Kills of svscan.
    svscans,
    /// TERM signals to svscan, which then stops all services.
    terms,
    /// Kills of a process between fork and exec.
    killed_before_exec,
    /// Processes that were stopped between fork and exec and whose supervise died.
    stopped_before_exec,
    /// Supervises killed by a TERM of svscan before they blocked it.
    terms_too_early,
    /// Services without a link whose supervise was killed: they run on.
    unlinked_running,
    /// Services that a new supervise adopted.
    adoptions,
    /// Killed supervises that left no process record, as the original.
    records_forgotten,
    /// Supervises that a new svscan adopted.
    supervises_adopted,
    /// Pipes that a new svscan reopened.
    pipes_reopened,
    /// Live upgrades of supervise and svscan.
    upgrades,
    /// Starts of services.
    starts,
    /// Command bytes that svc has written.
    commands,
    /// Command bytes lost after no process had read them for two seconds.
    commands_lost,
    /// Lines that services have written to pipes.
    lines,
    /// Lines that a logger had read when it was killed.
    lines_read_and_lost,
    /// Lines in a pipe whose last process was killed, including svscan.
    lines_lost_with_all_users,
    /// Lines in a pipe that svscan closed before the logger had read them.
    lines_cut_off,
    /// Services that wrote to a pipe without a reader and were killed.
    broken_pipes,
    /// Forks that failed.
    forks_failed,
    /// Services whose link was removed while no svscan knew of them.
    unlinked_unknown,
}
