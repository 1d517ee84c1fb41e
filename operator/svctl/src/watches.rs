//! The inotify watches that tell of every change of a service.

use crate::selection::Target;
use rustix::fs::inotify::{self, WatchFlags};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Watches which names are in a scan directory.
pub(crate) fn watch_names(inotify: BorrowedFd<'_>, path: &Path) -> Result<i32, Errno> {
    let names = WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::ONLYDIR;
    inotify::add_watch(inotify, path, names)
}

/// Watches whether a service directory gets a state directory.
pub(crate) fn watch_service(inotify: BorrowedFd<'_>, target: &Target) -> Result<i32, Errno> {
    let created = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
    inotify::add_watch(inotify, target.dir.path(), created)
}

/// Watches the state directory: supervise replaces `status` there at every change. With `more`, other
/// events are reported as well.
pub(crate) fn watch_state(
    inotify: BorrowedFd<'_>,
    target: &Target,
    more: WatchFlags,
) -> Result<i32, Errno> {
    let content = WatchFlags::MOVED_TO | WatchFlags::MODIFY | WatchFlags::CREATE;
    inotify::add_watch(inotify, target.dir.state_dir(), content | WatchFlags::ONLYDIR | more)
}

/// Watches `ok`, which supervise opens when it starts and closes when it ends.
pub(crate) fn watch_ok(
    inotify: BorrowedFd<'_>,
    target: &Target,
    flags: WatchFlags,
) -> Result<i32, Errno> {
    match inotify::add_watch(inotify, target.dir.state_dir().join("ok"), flags) {
        // The group of `svctl grant` may not read ok. The directory reports the same events.
        Err(Errno::ACCESS) => watch_state(inotify, target, flags),
        other => other,
    }
}

/// Watches the end of a supervise that does not read `ok`: it has not opened it yet, or it dies, and the
/// kernel closes `ok` before `control`.
pub(crate) fn watch_control(inotify: BorrowedFd<'_>, target: &Target) -> Result<i32, Errno> {
    let control = target.dir.state_dir().join("control");
    inotify::add_watch(inotify, control, WatchFlags::CLOSE_NOWRITE)
}
