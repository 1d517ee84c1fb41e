//! Resource limits.

use crate::Result;
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
