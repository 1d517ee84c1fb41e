//! The last stamp in an output directory, so that the next one is not before it.

use super::file_access::{FileAccess, unless_short};
use alloc::ffi::CString;
use alloc::vec;
use core::ffi::CStr;
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::fs::Opening;
use daemontools_sys::{AsFd as _, BorrowedFd, Result, dir, fs};

const CURRENT: &CStr = c"current";

/// The last TAI64N label at the beginning of a line in the newest files. After a KILL, `current` is empty,
/// and a file can contain only a part of a line.
///
/// # Errors
/// A shortage that passes. After another error the file counts as one without labels.
pub(super) fn last_label(dir: BorrowedFd<'_>, access: &FileAccess) -> Result<Option<Tai64n>> {
    // The output of a processor can have no labels at all.
    const MOST_FILES: usize = 10;
    let mut name = CString::from(CURRENT);
    for _ in 0..MOST_FILES {
        let file = unless_short(access.open(dir, &name, Opening::READ))?;
        let label = file.and_then(|file| label_in(file.as_fd()));
        if label.is_some() {
            return Ok(label);
        }
        let Some(older) = old_file_before(dir, &name)? else { break };
        name = older;
    }
    Ok(None)
}

/// The name of the newest old file, or of the one before the old file `name`.
fn old_file_before(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<CString>> {
    let is_first = name == CURRENT;
    let Some(dir) = unless_short(fs::open_dir(dir, c"."))? else { return Ok(None) };
    let mut newest: Option<CString> = None;
    let read = dir::names(dir.as_fd(), |other| {
        let is_older = is_first || other < name;
        let is_newest = newest.as_deref().is_none_or(|newest| newest < other);
        if is_older && is_newest && Tai64n::from_label(other.to_bytes()).is_some() {
            newest = Some(other.into());
        }
    });
    Ok(unless_short(read)?.and(newest))
}

/// The last TAI64N label at the beginning of a line in the last 64 KiB of a file.
fn label_in(file: BorrowedFd<'_>) -> Option<Tai64n> {
    // Large enough for the allocator to return the memory to the system.
    const PART: usize = 64 * 1024;
    let size = fs::size(file).ok().filter(|size| *size > 0)?;
    let mut room = vec![0; PART];
    let from = size.saturating_sub(PART as u64);
    let text = fs::read_at(file, from, &mut room).ok()?;
    // The first piece is the end of a line, unless the file starts here.
    let lines = text.split_inclusive(|c| *c == b'\n').skip(usize::from(from > 0));
    lines.filter_map(Tai64n::from_label).last()
}
