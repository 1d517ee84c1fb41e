//! User and group ids of this process.

use crate::{Result, kernel};

/// The effective user id.
#[must_use]
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Sets the supplementary groups.
///
/// # Errors
/// EPERM: not permitted. EINVAL: too many groups.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    kernel::setgroups(groups)
}

/// Sets the effective group id; with privilege also the real and the saved one.
///
/// # Errors
/// EPERM: not permitted.
pub fn set_gid(gid: u32) -> Result<()> {
    kernel::setgid(gid)
}

/// Sets the effective user id; with privilege also the real and the saved one.
///
/// # Errors
/// EPERM: not permitted. EAGAIN: the user has too many processes.
pub fn set_uid(uid: u32) -> Result<()> {
    kernel::setuid(uid)
}
