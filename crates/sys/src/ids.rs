//! Who we are.

use crate::{Result, kernel};

/// The user whose rights we have.
#[must_use]
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Sets the supplementary groups.
///
/// # Errors
/// EPERM without privilege, EINVAL for too many.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    kernel::setgroups(groups)
}

/// Sets the group id, for good if we are privileged.
///
/// # Errors
/// EPERM without privilege.
pub fn set_gid(gid: u32) -> Result<()> {
    kernel::setgid(gid)
}

/// Sets the user id, for good if we are privileged.
///
/// # Errors
/// EPERM without privilege, EAGAIN when the user may have no more processes.
pub fn set_uid(uid: u32) -> Result<()> {
    kernel::setuid(uid)
}
