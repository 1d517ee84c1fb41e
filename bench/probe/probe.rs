//! The helper that does the bare work, as small as a program can be, so that what is measured is not
//! the helper.
//!
//! * `probe exit` does nothing: the program behind a chain loader.
//! * `probe exec PROGRAM ARGUMENTS` becomes that program: the least that a chain loader can do. All in
//!   one argument, as the kernel gives it for `#!/path/to/probe exec PROGRAM ARGUMENTS`, it is the
//!   script of a logger without the cost of a shell.
//! * Called in any other way it is the `./run` of a service, whose directory has a number as its name.
//!   It looks at the clock first, tells the benchmark by `../fifo` that it runs, says one line for its
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
        Some([]) => become_program(&process::args(2).collect::<Vec<_>>()),
        // The name of the script comes after what is in its first line.
        Some(line) => {
            let words = line.trim_ascii().split(|&byte| byte == b' ');
            let words: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
            become_program(&words.iter().map(CString::as_c_str).collect::<Vec<_>>())
        }
        None if role == b"exit" => 0,
        None => match tell(now) {
            Some(()) => loop {
                poll::pause(Duration::MAX);
            },
            None => 111,
        },
    }
}

fn become_program(words: &[&CStr]) -> i32 {
    let Some(program) = words.first() else { return 100 };
    let words = Strings::of(words.iter().copied());
    let _ = process::exec(program, &words, &Strings::own_environment());
    111
}

/// Writes the record of this start: when, which process, which service.
fn tell(now: u64) -> Option<()> {
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
