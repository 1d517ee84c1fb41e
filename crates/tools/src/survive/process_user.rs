//! Whose a process is, and whether it executes our program.

use crate::common::paths::of_process;
use crate::survive::proc_files;
use daemontools_core::Pid;
use daemontools_core::text::decimal;
use daemontools_sys::fs;
use daemontools_sys::ids::effective_user;

/// Whether a process belongs to another user, who is not root.
pub(crate) fn is_foreign(pid: Pid) -> bool {
    real_user(pid).is_some_and(|user| user != 0 && user != effective_user().into())
}

/// Whether a process certainly belongs to our user or to root. Such a process has our rights already.
pub(crate) fn is_own(pid: Pid) -> bool {
    real_user(pid).is_some_and(|user| user == 0 || user == effective_user().into())
}

/// Whether a user may send signals to a process, as kill(2) defines it. Root and our own user have our
/// rights.
pub(crate) fn may_signal(user: u32, pid: Pid) -> bool {
    user == 0
        || user == effective_user()
        || users_of(pid).is_some_and(|[real, _, saved, _]| [real, saved].contains(&u64::from(user)))
}

/// Whether a process executes the same file as this one.
pub(crate) fn runs_our_program(pid: Pid) -> bool {
    let mut room = [0; 48];
    let identity = |path| fs::cached_identity(fs::HERE, path);
    let running = of_process(&mut room, pid, b"exe").and_then(identity);
    running.is_ok() && running == identity(c"/proc/self/exe")
}

/// The real user of a process, which a set-user-ID program keeps; `None` if /proc does not show it.
fn real_user(pid: Pid) -> Option<u64> {
    users_of(pid).map(|[real, ..]| real)
}

/// The real, effective, saved and file system user of a process.
fn users_of(pid: Pid) -> Option<[u64; 4]> {
    let status = proc_files::read(pid, b"status").ok()?;
    let mut words =
        proc_files::status_field(&status, b"Uid")?.split(|&c| c == b'\t').map(decimal::parse);
    let mut next = || words.next().flatten();
    Some([next()?, next()?, next()?, next()?])
}
