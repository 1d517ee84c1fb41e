//! Paths in buffers on the stack.

use alloc::ffi::CString;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::{Errno, OwnedFd, Result, fs};

/// The kernel's limit for a path, with its NUL.
pub(crate) const PATH_MAX: usize = 4096;

/// Builds `dir/name` in `room`; `None` if it does not fit.
pub(crate) fn join<'a>(room: &'a mut [u8], dir: &[u8], name: &[u8]) -> Option<&'a CStr> {
    let (part, rest) = room.split_at_mut_checked(dir.len())?;
    part.copy_from_slice(dir);
    let (slash, rest) = rest.split_first_mut()?;
    *slash = b'/';
    let (part, rest) = rest.split_at_mut_checked(name.len())?;
    part.copy_from_slice(name);
    *rest.first_mut()? = 0;
    CStr::from_bytes_until_nul(room).ok()
}

/// Builds `/proc/PID/name` in `room`.
///
/// # Errors
/// ENAMETOOLONG if it does not fit.
pub(crate) fn of_process<'a>(room: &'a mut [u8; 48], pid: Pid, name: &[u8]) -> Result<&'a CStr> {
    let digits = Decimal::new(pid.get().cast_unsigned().into());
    let mut dir = [0; 32];
    // qemu-user invents the content of /proc/PID of the process itself, but only for this spelling: with two
    // slashes it is the kernel's, as in every other process.
    let dir = join(&mut dir, b"/proc/", digits.as_bytes()).ok_or(Errno::NAMETOOLONG)?;
    join(room, dir.to_bytes(), name).ok_or(Errno::NAMETOOLONG)
}

/// The path of the current directory, if messages about it say only `log`, as svscan calls the
/// supervise of every logger; else empty.
pub(crate) fn place_of(dir: &CStr) -> CString {
    if dir == c"log" { fs::current_dir().unwrap_or_default() } else { CString::default() }
}

/// Opens a directory that must be readable and searchable, as `DIR/.`.
///
/// The original changes to the directory, which needs both rights.
///
/// # Errors
/// The error of opening; ENOENT for an empty name, as by chdir(2).
pub(crate) fn open_searchable(dir: &CStr) -> Result<OwnedFd> {
    if dir.is_empty() {
        return Err(Errno::NOENT);
    }
    let mut room = [0; PATH_MAX];
    let inside = join(&mut room, dir.to_bytes(), b".").ok_or(Errno::NAMETOOLONG)?;
    fs::open_dir(fs::HERE, inside)
}
