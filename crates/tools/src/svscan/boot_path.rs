//! The PATH that svscanboot gives to svscan and the services.

use crate::common::paths::{PATH_MAX, join};
use alloc::vec::Vec;
use daemontools_core::loaders::path_search;
use daemontools_sys::{fs, process};

/// The original's value.
const ORIGINAL: &[u8] = b"/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:\
    /usr/X11R6/bin";

/// The original's value. The directory of this program comes first if that is the only way to its own
/// svscan: another version may be in one of the others.
pub(super) fn path() -> Vec<u8> {
    match own_dir() {
        Some(dir) if svscan_in(&dir).is_some_and(|own| first_svscan() != Some(own)) => {
            [&dir, &b":"[..], ORIGINAL].concat()
        }
        _ => ORIGINAL.to_vec(),
    }
}

/// The directory from which this program was started, as an absolute path that PATH can name.
fn own_dir() -> Option<Vec<u8>> {
    let path = process::executed_path()?.to_bytes();
    let end = path.iter().rposition(|&byte| byte == b'/')?;
    let dir = path.get(..end.max(1))?;
    let dir = if dir.starts_with(b"/") {
        dir.to_vec()
    } else {
        [fs::current_dir().ok()?.to_bytes(), b"/", dir].concat()
    };
    (!dir.contains(&b':')).then_some(dir)
}

/// The svscan that the original's value leads to.
fn first_svscan() -> Option<u64> {
    path_search::directories(b"svscan", Some(ORIGINAL)).find_map(svscan_in)
}

/// The inode of the svscan in a directory.
fn svscan_in(dir: &[u8]) -> Option<u64> {
    let mut room = [0; PATH_MAX];
    let path = join(&mut room, dir, b"svscan")?;
    if fs::is_executable(fs::HERE, path) { fs::inode(fs::HERE, path).ok() } else { None }
}
