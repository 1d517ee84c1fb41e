//! What can happen to a logger at one of its system calls.

use crate::fault::{self, Kind, jump};
use crate::random::Random;
use linux_raw_sys::errno::{EAGAIN, EINTR, EIO, EMFILE, ENOMEM, ENOSPC};
use linux_raw_sys::general as nr;

/// Which process of a logger a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// multilog itself.
    Logger,
    /// Its standby process.
    Standby,
    /// A processor, from its fork on.
    Processor,
}

impl fault::Role for Role {
    const LETTERS: &'static [(char, Self)] =
        &[('L', Self::Logger), ('S', Self::Standby), ('P', Self::Processor)];
}

/// A fault of a logger.
pub type PlannedFault = fault::PlannedFault<Role>;

/// The faults of a logger in a world that is rich, or whose power fails.
pub(super) fn faults(random: &mut Random, is_rich: bool, is_power: bool) -> Vec<PlannedFault> {
    let mut faults = Vec::new();
    // Most loggers die early or in the middle; some see only errors.
    let reach = random.one_of(&[40, 100, 300, 1000]);
    for _ in 0..random.below(3) {
        let kind = match random.below(8) {
            0 => Kind::Alarm,
            1..=2 => Kind::Short(usize::try_from(1 + random.below(2000)).unwrap_or(1)),
            3..=4 if is_rich => Kind::Clock(jump(random)),
            _ => Kind::Error(random.next()),
        };
        faults.push(PlannedFault { role: Role::Logger, call: random.below(reach), kind });
    }
    if is_power && random.one_in(5) {
        let fault =
            PlannedFault { role: Role::Processor, call: random.below(30), kind: Kind::Power };
        faults.push(fault);
    }
    let kind = match random.below(10) {
        0..=1 => Kind::Terminate,
        2..=3 if is_rich => Kind::Memory,
        2..=7 if is_power => Kind::Power,
        _ => Kind::Kill,
    };
    faults.push(PlannedFault { role: Role::Logger, call: random.below(reach), kind });
    if random.one_in(3) {
        let call = random.below(60);
        let kind = match random.below(4) {
            0..=1 => Kind::Error(random.next()),
            2 if is_power => Kind::Power,
            2 if is_rich => Kind::Memory,
            _ => Kind::Kill,
        };
        faults.push(PlannedFault { role: Role::Standby, call, kind });
    }
    if is_rich && random.one_in(4) {
        let kind = Kind::Kill;
        faults.push(PlannedFault { role: Role::Processor, call: random.below(30), kind });
    }
    faults
}

/// The errors that a system call can have in a logger.
pub(super) fn errors(number: usize) -> &'static [u32] {
    match u32::try_from(number).unwrap_or(u32::MAX) {
        nr::__NR_write | nr::__NR_pwrite64 => &[ENOSPC, EIO, EINTR],
        nr::__NR_writev => &[EINTR],
        nr::__NR_read => &[EINTR],
        nr::__NR_openat => &[EMFILE, ENOMEM],
        nr::__NR_mkdirat | nr::__NR_linkat | nr::__NR_renameat => &[ENOSPC, EIO],
        nr::__NR_fsync | nr::__NR_fdatasync | nr::__NR_fchmod | nr::__NR_ftruncate => &[EIO],
        nr::__NR_unlinkat => &[EIO],
        nr::__NR_clone => &[EAGAIN, ENOMEM],
        nr::__NR_pipe2 | nr::__NR_signalfd4 => &[EMFILE],
        nr::__NR_tee | nr::__NR_splice => &[ENOMEM, EINTR],
        nr::__NR_ppoll => &[EINTR],
        nr::__NR_getdents64 => &[EIO],
        _ => &[],
    }
}
