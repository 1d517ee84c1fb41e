//! System calls in plain words.

use crate::kernel::{Kernel, Pid};
use crate::world::Fault;
use linux_raw_sys::general as nr;
use machine::{Call, copy_in, read_string};

/// The name of a system call.
#[must_use]
pub fn name(number: usize) -> String {
    if number == machine::SHARE_MEMORY {
        return "vfork".into();
    }
    let name = match u32::try_from(number).unwrap_or(u32::MAX) {
        nr::__NR_read => "read",
        nr::__NR_pread64 => "pread64",
        nr::__NR_write => "write",
        nr::__NR_pwrite64 => "pwrite64",
        nr::__NR_writev => "writev",
        nr::__NR_tee => "tee",
        nr::__NR_splice => "splice",
        nr::__NR_lseek => "lseek",
        nr::__NR_ftruncate => "ftruncate",
        nr::__NR_getdents64 => "getdents64",
        nr::__NR_fsync => "fsync",
        nr::__NR_fdatasync => "fdatasync",
        nr::__NR_ppoll => "ppoll",
        nr::__NR_clock_gettime => "clock_gettime",
        nr::__NR_flock => "flock",
        nr::__NR_exit_group => "exit_group",
        nr::__NR_clone => "fork",
        nr::__NR_execve => "execve",
        nr::__NR_wait4 => "wait4",
        nr::__NR_waitid => "waitid",
        nr::__NR_kill => "kill",
        nr::__NR_rt_sigprocmask => "rt_sigprocmask",
        nr::__NR_rt_sigaction => "rt_sigaction",
        nr::__NR_signalfd4 => "signalfd4",
        nr::__NR_openat => "openat",
        nr::__NR_openat2 => "openat2",
        nr::__NR_close => "close",
        nr::__NR_pipe2 => "pipe2",
        nr::__NR_fcntl => "fcntl",
        nr::__NR_fstat => "fstat",
        nr::__NR_statx => "statx",
        nr::__NR_fstatfs => "fstatfs",
        nr::__NR_fchmod => "fchmod",
        nr::__NR_fchmodat => "fchmodat",
        nr::__NR_mkdirat => "mkdirat",
        nr::__NR_unlinkat => "unlinkat",
        nr::__NR_renameat => "renameat",
        nr::__NR_linkat => "linkat",
        nr::__NR_fchdir => "fchdir",
        nr::__NR_umask => "umask",
        nr::__NR_newfstatat => "newfstatat",
        nr::__NR_chdir => "chdir",
        nr::__NR_mknodat => "mknodat",
        nr::__NR_readlinkat => "readlinkat",
        nr::__NR_pidfd_open => "pidfd_open",
        nr::__NR_pidfd_send_signal => "pidfd_send_signal",
        nr::__NR_ioctl => "ioctl",
        nr::__NR_prctl => "prctl",
        nr::__NR_getpgid => "getpgid",
        nr::__NR_getpid => "getpid",
        nr::__NR_geteuid => "geteuid",
        nr::__NR_getppid => "getppid",
        nr::__NR_dup2 => "dup2",
        nr::__NR_dup3 => "dup3",
        nr::__NR_close_range => "close_range",
        nr::__NR_inotify_init1 => "inotify_init1",
        nr::__NR_inotify_add_watch => "inotify_add_watch",
        nr::__NR_epoll_create1 => "epoll_create1",
        nr::__NR_epoll_ctl => "epoll_ctl",
        nr::__NR_epoll_pwait => "epoll_pwait",
        nr::__NR_memfd_create => "memfd_create",
        nr::__NR_prlimit64 => "prlimit64",
        _ => return format!("system call {number}"),
    };
    name.into()
}

/// A call of a process whose memory is in place.
#[must_use]
pub fn call(_kernel: &Kernel, _pid: Pid, call: Call) -> String {
    let Call { number, arguments: [a, b, c, d, ..] } = call;
    let path =
        |address| String::from_utf8_lossy(&read_string(address).unwrap_or_default()).into_owned();
    let name = name(number);
    match u32::try_from(number).unwrap_or(u32::MAX) {
        nr::__NR_openat
        | nr::__NR_unlinkat
        | nr::__NR_mkdirat
        | nr::__NR_statx
        | nr::__NR_openat2
        | nr::__NR_newfstatat
        | nr::__NR_mknodat
        | nr::__NR_readlinkat
        | nr::__NR_fchmodat => {
            format!("{name} {}", path(b))
        }
        nr::__NR_execve | nr::__NR_chdir => format!("{name} {}", path(a)),
        nr::__NR_inotify_add_watch => format!("{name} {}", path(b)),
        nr::__NR_kill => format!("{name} of {a} with signal {b}"),
        nr::__NR_renameat | nr::__NR_linkat => format!("{name} {} to {}", path(b), path(d)),
        nr::__NR_write | nr::__NR_pwrite64 => {
            let start = copy_in(b, c.min(48)).unwrap_or_default();
            match start.starts_with(b"multilog batch") {
                true => format!("{name} of the batch mark"),
                false => format!("{name} of {c} bytes, {:?}", String::from_utf8_lossy(&start)),
            }
        }
        nr::__NR_read
        | nr::__NR_tee
        | nr::__NR_fsync
        | nr::__NR_close
        | nr::__NR_flock
        | nr::__NR_fchmod
        | nr::__NR_fstat => format!("{name} of {a}"),
        _ => name,
    }
}

/// What a fault does.
#[must_use]
pub fn fault(fault: Fault) -> String {
    match fault {
        Fault::Kill => "killed before it".into(),
        Fault::Signal(signal) => format!("gets signal {signal} before it"),
        Fault::Error(error) => format!("fails with {}", error_text(error)),
        Fault::Short(most) => format!("transfers {most} bytes only"),
        Fault::Power => "the power fails before it".into(),
        Fault::Clock(seconds) => format!("the wall clock jumps by {seconds} seconds before it"),
        Fault::Memory => "gets no new memory from now on".into(),
    }
}

fn error_text(error: u32) -> &'static str {
    daemontools_core::text::errno::text(i32::try_from(error).unwrap_or(0))
}

/// The result of a call.
#[must_use]
pub fn result(result: Option<isize>) -> String {
    match result {
        None => "no return".into(),
        Some(value @ 0..) => value.to_string(),
        Some(negated) => error_text(u32::try_from(-negated).unwrap_or(0)).into(),
    }
}
