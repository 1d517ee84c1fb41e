//! What the process of the tests inherits from its caller: a shell, cron, nohup, CI, an editor.
//!
//! Programs under test inherit all of it, except the environment, which each command replaces. So
//! that a test means the same for every caller, all of it gets fixed values here.

use crate::note;
use daemontools_sys::{fd, signal};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Replaces what this process has inherited from its caller, except the blocked signals, which belong
/// to a thread: see [`unblock_signals`]. To be called once, before the first program is started.
///
/// Hard limits and priorities stay, because an ordinary user cannot raise them.
pub(crate) fn reset_inherited() {
    umask(Mode::from_raw_mode(0o022));
    default_ignored_signals();
    set_limits();
    keep_descriptors();
}

/// Unblocks all signals in this thread. To be called before each start of a program, because the
/// threads of the tests inherit the blocked signals of the caller, and programs inherit those of the
/// thread.
pub(crate) fn unblock_signals() {
    signal::unblock_all();
}

/// Gives each ignored signal its default effect, except PIPE: std ignores PIPE in this process and not
/// in its children. Afterwards Ctrl-C ends these tests even if they run in the background.
fn default_ignored_signals() {
    let status = fs::read_to_string("/proc/self/status").expect("read /proc/self/status");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).expect("SigIgn");
    let ignored = (1..=64).filter(|&s| s != signal::PIPE && mask & (1 << (s - 1)) != 0);
    signal::unblock(&ignored.collect::<Vec<_>>());
}

/// Sets the soft limits: those of most machines for descriptors and the stack, no core files, and
/// else as much as the caller allows.
fn set_limits() {
    let limits = [
        (Resource::Core, Some(0)),
        (Resource::Nofile, Some(1024)),
        (Resource::Stack, Some(8 << 20)),
        (Resource::As, None),
        (Resource::Cpu, None),
        (Resource::Data, None),
        (Resource::Fsize, None),
        (Resource::Nproc, None),
    ];
    for (resource, wanted) in limits {
        let maximum = getrlimit(resource).maximum;
        let current = match (wanted, maximum) {
            (Some(wanted), Some(maximum)) => Some(u64::min(wanted, maximum)),
            (wanted, maximum) => wanted.or(maximum),
        };
        if current < wanted {
            note(&format!(
                "the caller limits {resource:?} to {current:?}, the tests want {wanted:?}"
            ));
        }
        // Cannot fail up to the hard limit.
        let _ = setrlimit(resource, Rlimit { current, maximum });
    }
}

/// Keeps the caller's descriptors, except the standard ones, from the programs under test. std opens
/// every descriptor with CLOEXEC, so those without it are the caller's.
fn keep_descriptors() {
    let numbers: Vec<i32> = fs::read_dir("/proc/self/fd")
        .expect("read /proc/self/fd")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in numbers.into_iter().filter_map(fd::take_inherited) {
        // It stays open for this process, for its owner may be a library.
        std::mem::forget(descriptor);
    }
}

/// The directory for temporary files: `TMPDIR` if it suits all tests, otherwise `/tmp`.
///
/// Programs of other users work in it, and names of sockets, which have at most 107 bytes.
pub(crate) fn temporary_dir() -> PathBuf {
    const LONGEST: usize = 40;
    let suits = |dir: &PathBuf| {
        let open = |dir: &Path| {
            dir.metadata().is_ok_and(|meta| meta.is_dir() && meta.permissions().mode() & 0o1 != 0)
        };
        dir.as_os_str().len() <= LONGEST && dir.ancestors().all(open)
    };
    let named = env::var_os("TMPDIR").and_then(|dir| Path::new(&dir).canonicalize().ok());
    named.filter(suits).unwrap_or_else(|| PathBuf::from("/tmp"))
}
