//! Files that another user may have arranged: no FIFO blocks, and no device is read.

use rustix::fs::{Mode, OFlags, open};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// At most the first `limit` bytes of a regular file; `None` for a file of another kind.
///
/// It never blocks, and opens no device. The file may be a link.
///
/// # Errors
/// Those of opening and reading it.
pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    // A device may do something when it is opened, so look before.
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
