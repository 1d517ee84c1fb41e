//! Resource limits.

use crate::{Errno, Result};
pub use rustix::process::Resource;
use rustix::process::{Rlimit, getrlimit, setrlimit};

/// Sets the soft limit to `soft`, or to the hard limit if that is lower or `soft` is `None`. Does
/// not change the hard limit.
///
/// # Errors
/// Those of setrlimit(2).
pub fn lower(resource: Resource, soft: Option<u64>) -> Result<()> {
    let mut limit = getrlimit(resource);
    // In an `Rlimit`, `None` means "no limit".
    limit.current = match (soft, limit.maximum) {
        (Some(soft), Some(hard)) => Some(soft.min(hard)),
        (Some(u64::MAX) | None, hard) => hard,
        (Some(soft), None) => Some(soft),
    };
    setrlimit(resource, limit)
}

/// Removes both the soft and the hard limit.
///
/// # Errors
/// EPERM: there is a hard limit, and the process is not privileged.
pub fn lift(resource: Resource) -> Result<()> {
    setrlimit(resource, Rlimit { current: None, maximum: None })
}

/// The resources in the order of the kernel's numbers.
const ALL: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

/// Sets the limits of a resource by its number, 0 to 15 as on most architectures: CPU, FSIZE, DATA,
/// STACK, CORE, RSS, NPROC, NOFILE, MEMLOCK, AS, LOCKS, SIGPENDING, MSGQUEUE, NICE, RTPRIO, RTTIME.
///
/// `None` keeps the soft or the hard limit, except that a soft limit never stays above a new hard
/// limit. `u64::MAX` means "no limit".
///
/// # Errors
/// EPERM: a higher hard limit without privilege. EINVAL: a soft limit above the hard one, or
/// another number.
pub fn set_rlimit(resource: u8, soft: Option<u64>, hard: Option<u64>) -> Result<()> {
    let resource = *ALL.get(usize::from(resource)).ok_or(Errno::INVAL)?;
    let before = getrlimit(resource);
    let finite = |limit: u64| Some(limit).filter(|limit| *limit != u64::MAX);
    let maximum = hard.map_or(before.maximum, finite);
    let current = soft.map_or_else(
        || match (before.current, maximum) {
            (Some(soft), Some(hard)) => Some(soft.min(hard)),
            (soft, hard) => soft.or(hard),
        },
        finite,
    );
    setrlimit(resource, Rlimit { current, maximum })
}

/// The soft limit on open files: one more than the highest number that a descriptor can get.
#[must_use]
pub fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The inherited limit on open files, while this process uses a higher one.
#[derive(Clone, Copy)]
pub struct OpenFiles(Rlimit);

impl OpenFiles {
    /// Raises the soft limit to the hard limit; `None` if it cannot be raised.
    #[must_use]
    pub fn raise() -> Option<Self> {
        let inherited = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: inherited.maximum, maximum: inherited.maximum };
        if raised == inherited {
            return None;
        }
        setrlimit(Resource::Nofile, raised).ok().map(|()| Self(inherited))
    }

    /// The soft limit that children get.
    #[must_use]
    pub fn inherited(self) -> u64 {
        self.0.current.unwrap_or(u64::MAX)
    }

    /// The state after an exec, if the earlier program image raised the limit: children get the
    /// soft limit `soft`.
    #[must_use]
    pub fn raised_from(soft: u64) -> Self {
        let maximum = getrlimit(Resource::Nofile).maximum;
        Self(Rlimit { current: Some(soft).filter(|soft| *soft != u64::MAX), maximum })
    }

    /// In a child before exec: restores the inherited limit.
    pub fn restore(self) {
        // Lowering a limit is always allowed.
        let _ = setrlimit(Resource::Nofile, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_that_of_its_resource() {
        let text = std::fs::read_to_string("/proc/self/limits").unwrap();
        assert_eq!(text.lines().count(), 1 + ALL.len());
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        assert!(ALL.iter().enumerate().all(|(number, &resource)| number == resource as usize));
        // The other test sets number 10 at the same time.
        for number in (0..16).filter(|&number| number != 10) {
            set_rlimit(number, None, None).unwrap();
        }
        assert_eq!(set_rlimit(16, None, None), Err(Errno::INVAL));
    }

    #[test]
    fn soft_and_hard_limit_can_be_set_separately() {
        // No test depends on this limit; current kernels ignore it.
        let (number, resource) = (10, Resource::Locks);
        let is = |current, maximum| {
            assert_eq!(getrlimit(resource), Rlimit { current, maximum });
        };
        set_rlimit(number, Some(70), Some(90)).unwrap();
        is(Some(70), Some(90));
        set_rlimit(number, Some(80), None).unwrap();
        is(Some(80), Some(90));
        set_rlimit(number, None, Some(85)).unwrap();
        is(Some(80), Some(85));
        set_rlimit(number, None, Some(60)).unwrap();
        is(Some(60), Some(60));
        assert_eq!(set_rlimit(number, Some(61), None), Err(Errno::INVAL));
        assert_eq!(set_rlimit(number, Some(u64::MAX), None), Err(Errno::INVAL));
        is(Some(60), Some(60));
        match set_rlimit(number, Some(u64::MAX), Some(u64::MAX)) {
            Ok(()) => is(None, None),
            Err(error) => assert_eq!(error, Errno::PERM),
        }
    }
}
