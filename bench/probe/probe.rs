//! The helper of the benchmark. It does so little that its own cost hardly counts.
//!
//! * `probe exit` exits: a program for a process loader to run.
//! * `probe exec PROGRAM ARGUMENTS` execs that program: the minimum that a process loader does. The
//!   words may be one argument, as the kernel passes them for `#!/path/to/probe exec PROGRAM
//!   ARGUMENTS`. So it serves as the script of a logger, without the cost of a shell.
//! * Otherwise it is the `./run` of a service whose directory has a number as its name. It reads the
//!   clock first, reports its start to the benchmark through `../fifo`, writes one line for its
//!   logger, and waits for a signal.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{AsFd as _, clock, fd, fs, poll};

daemontools_sys::start_program!(run);

fn run() -> i32 {
    let now = clock::monotonic();
    let role = process::arg(1).map_or(b"".as_slice(), CStr::to_bytes);
    match role.strip_prefix(b"exec") {
        Some([]) => exec_program(&process::args(2).collect::<Vec<_>>()),
        // The kernel appends the name of the script to the words of its first line.
        Some(line) => {
            let words = line.trim_ascii().split(|&byte| byte == b' ');
            let words: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
            exec_program(&words.iter().map(CString::as_c_str).collect::<Vec<_>>())
        }
        None if role == b"exit" => 0,
        None => match report_start(now) {
            Some(()) => loop {
                poll::pause(Duration::MAX);
            },
            None => 111,
        },
    }
}

/// Execs a program; returns the exit code if that failed.
fn exec_program(words: &[&CStr]) -> i32 {
    let Some(program) = words.first() else { return 100 };
    let words = Strings::of(words.iter().copied());
    let _ = process::exec(program, &words, &Strings::own_environment());
    111
}

/// Writes the record of this start to `../fifo`, 16 bytes in native order: time (u64), process id
/// (i32), service (u32). Writes a line to standard output.
fn report_start(now: u64) -> Option<()> {
    let dir = fs::current_dir().ok()?;
    let name = dir.to_bytes().rsplit(|&byte| byte == b'/').next()?;
    let service: u32 = core::str::from_utf8(name).ok()?.parse().ok()?;
    let pid = process::id().get();
    let mut record = [0; 16];
    let parts = [&now.to_ne_bytes()[..], &pid.to_ne_bytes(), &service.to_ne_bytes()];
    record.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
    let fifo = fs::open_write(fs::HERE, c"../fifo").ok()?;
    fd::write_all(fifo.as_fd(), &record).ok()?;
    fd::write_all(fd::stdout(), b"up\n").ok()
}
