//! Paths made of parts, without a heap.

use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::decimal::Decimal;
use daemontools_sys::{Errno, OwnedFd, Result, fs};

/// Longer paths are refused by the kernel.
pub(crate) const PATH_MAX: usize = 4096;

/// `dir/name` with a NUL, in `room`; `None` if it does not fit.
pub(crate) fn join<'a>(room: &'a mut [u8], dir: &[u8], name: &[u8]) -> Option<&'a CStr> {
    let (place, rest) = room.split_at_mut_checked(dir.len())?;
    place.copy_from_slice(dir);
    let (slash, rest) = rest.split_first_mut()?;
    *slash = b'/';
    let (place, rest) = rest.split_at_mut_checked(name.len())?;
    place.copy_from_slice(name);
    *rest.first_mut()? = 0;
    CStr::from_bytes_until_nul(room).ok()
}

/// `/proc/PID/name`, in `room`.
///
/// # Errors
/// ENAMETOOLONG if it does not fit.
pub(crate) fn of_process<'a>(room: &'a mut [u8; 48], pid: Pid, name: &[u8]) -> Result<&'a CStr> {
    let digits = Decimal::new(pid.get().cast_unsigned().into());
    let mut dir = [0; 32];
    let dir = join(&mut dir, b"/proc", digits.as_bytes()).ok_or(Errno::NAMETOOLONG)?;
    join(room, dir.to_bytes(), name).ok_or(Errno::NAMETOOLONG)
}

/// Opens a directory in such a way that it has to be both readable and searchable, as for the
/// original, which goes there: as `DIR/.`.
///
/// # Errors
/// What opening says; ENOENT for an empty name, as for chdir.
pub(crate) fn open_searchable(dir: &CStr) -> Result<OwnedFd> {
    if dir.is_empty() {
        return Err(Errno::NOENT);
    }
    let mut room = [0; PATH_MAX];
    let inside = join(&mut room, dir.to_bytes(), b".").ok_or(Errno::NAMETOOLONG)?;
    fs::open_dir(fs::HERE, inside)
}
