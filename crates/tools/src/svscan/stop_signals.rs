//! The signals that stop svscan and svscanboot in order.

use alloc::vec::Vec;
use daemontools_sys::Result;
use daemontools_sys::signal::{self, Signals};

/// TERM and INT; QUIT, the stop signal of some container images; RTMIN+3, the stop signal of systemd
/// and podman for process 1; PWR, that of lxc and of a power failure.
const STOP: [i32; 5] = [signal::TERM, signal::INT, signal::QUIT, signal::PWR, signal::RTMIN_3];

/// Whether this signal stops everything in order.
pub(super) fn is_stop(signal: i32) -> bool {
    STOP.contains(&signal)
}

/// Receives the stop signals and others as events. QUIT stays ignored if it is ignored at the start, as
/// in the background of a shell. `mask` is that of a handover.
///
/// # Errors
/// As for [`Signals::take_over`].
pub(super) fn take_over(others: &[i32], mask: Option<u64>) -> Result<Signals> {
    let keeps_quit = signal::is_ignored(signal::QUIT);
    let stop = STOP.iter().filter(|number| !(keeps_quit && **number == signal::QUIT));
    let wanted: Vec<i32> = others.iter().chain(stop).copied().collect();
    Signals::take_over_after_upgrade(&wanted, mask)
}
