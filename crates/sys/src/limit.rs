//! Resource limits.

use crate::{Errno, Result};
pub use rustix::process::Resource;
use rustix::process::{Rlimit, getrlimit, setrlimit};

/// Sets the soft limit to `soft`, or to the hard limit if that is lower or `soft` is `None`. The
/// hard limit stays as it is.
///
/// # Errors
/// What setrlimit says.
pub fn lower(resource: Resource, soft: Option<u64>) -> Result<()> {
    let mut limit = getrlimit(resource);
    // `None` is "no limit" in an Rlimit.
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
/// EPERM without privilege, if there is a hard limit.
pub fn lift(resource: Resource) -> Result<()> {
    setrlimit(resource, Rlimit { current: None, maximum: None })
}

/// The limits by the kernel's numbers.
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

/// Sets a limit by its number (0 to 15, as on most architectures: CPU, FSIZE, DATA, STACK, CORE,
/// RSS, NPROC, NOFILE, MEMLOCK, AS, LOCKS, SIGPENDING, MSGQUEUE, NICE, RTPRIO, RTTIME). `None`
/// leaves the soft or the hard one as it is, only that a soft limit is lowered with the hard one;
/// `u64::MAX` is "no limit".
///
/// # Errors
/// EPERM for a higher hard limit without privilege; EINVAL for a soft limit above the hard one, and
/// for other numbers.
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

/// The limit on the number of open files, raised for ourselves and put back for our children.
#[derive(Clone, Copy)]
pub struct OpenFiles(Rlimit);

impl OpenFiles {
    /// Raises the soft limit as far as it goes; `None` if it cannot be raised any more.
    #[must_use]
    pub fn raise() -> Option<Self> {
        let inherited = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: inherited.maximum, maximum: inherited.maximum };
        if raised == inherited {
            return None;
        }
        setrlimit(Resource::Nofile, raised).ok().map(|()| Self(inherited))
    }

    /// The soft limit that our children get.
    #[must_use]
    pub fn inherited(self) -> u64 {
        self.0.current.unwrap_or(u64::MAX)
    }

    /// Ours was raised before this program was run in our process; children get this soft limit.
    #[must_use]
    pub fn raised_from(soft: u64) -> Self {
        let maximum = getrlimit(Resource::Nofile).maximum;
        Self(Rlimit { current: Some(soft).filter(|soft| *soft != u64::MAX), maximum })
    }

    /// In a child, before it runs another program: the limit as we found it.
    pub fn put_back(self) {
        // Lowering a limit is always allowed.
        let _ = setrlimit(Resource::Nofile, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_its_number() {
        let text = std::fs::read_to_string("/proc/self/limits").unwrap();
        assert_eq!(text.lines().count(), 1 + ALL.len());
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        assert!(ALL.iter().enumerate().all(|(number, &resource)| number == resource as usize));
        // All but the one that the other test sets at the same time.
        for number in (0..16).filter(|&number| number != 10) {
            set_rlimit(number, None, None).unwrap();
        }
        assert_eq!(set_rlimit(16, None, None), Err(Errno::INVAL));
    }

    #[test]
    fn each_of_the_two_can_be_set() {
        // Nobody here locks files in the way that this was once about.
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
