//! The simulated kernel's access to the memory of the process whose call it performs.

use crate::image::is_in_a_slot;
use crate::variables;

/// Copies `length` bytes of the process. `None` for an address that no process has.
#[must_use]
pub fn copy_in(address: usize, length: usize) -> Option<Vec<u8>> {
    if address < 4096 {
        return (length == 0).then(Vec::new);
    }
    let start = std::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the program passes what the system call demands: `length` readable bytes. Its memory is in
    // place, because the kernel performs the call of the process that ran last.
    Some(unsafe { std::slice::from_raw_parts(start, length) }.to_vec())
}

/// Writes bytes into the memory of the process. `false` for an address that is neither in its slot nor
/// one of its variables.
#[must_use]
pub fn copy_out(address: usize, bytes: &[u8]) -> bool {
    let is_own = |address| is_in_a_slot(address) || variables::contains(address, bytes.len());
    if bytes.is_empty() {
        return true;
    }
    if !is_own(address) {
        return false;
    }
    let start = std::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: as in `copy_in`, for writable bytes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
    true
}

/// A word of the process.
#[must_use]
pub fn read_word(address: usize) -> Option<usize> {
    let bytes = copy_in(address, size_of::<usize>())?;
    Some(usize::from_ne_bytes(bytes.try_into().ok()?))
}

/// A NUL-terminated string of the process, without the NUL.
#[must_use]
pub fn read_string(address: usize) -> Option<Vec<u8>> {
    if address < 4096 {
        return None;
    }
    let start = std::ptr::with_exposed_provenance(address);
    // SAFETY: the program passes what the system call demands: a terminated string.
    Some(unsafe { std::ffi::CStr::from_ptr(start) }.to_bytes().to_vec())
}
