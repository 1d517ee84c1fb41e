//! Programs of the scenarios: services that write lines, the script of a logger, and a `cp -R` that takes its time.

use daemontools_sys::fs::{self, Opening};
use daemontools_sys::process::{self, Strings, arg};
use daemontools_sys::{AsFd as _, BorrowedFd, fd, poll, signal};
use std::ffi::CStr;
use std::time::Duration;

/// A line of a service, which is not in the text of another one.
fn line(number: u64) -> Vec<u8> {
    format!("line {number} of process {}\n", process::id()).into_bytes()
}

/// `#!/bin/speaker KIND`, the script of a service: it writes lines, fewer and fewer.
pub fn speaker() -> i32 {
    let kind = arg(1).map(CStr::to_bytes).unwrap_or_default();
    if kind == b"ignores" {
        signal::ignore(signal::TERM);
    }
    for number in 0.. {
        if kind == b"exits" && number == 12 {
            return 3;
        }
        if fd::write_all(fd::stdout(), &line(number)).is_err() {
            return 111;
        }
        poll::pause(Duration::from_millis(match number {
            // Two lines at once, and then a pause.
            0..8 if number % 2 == 0 => 0,
            0..8 => 50,
            8..20 => 300,
            _ => 20_000,
        }));
    }
    0
}

/// The script of a logger: `exec multilog ./main`.
pub fn listener() -> i32 {
    let arguments = Strings::of([c"multilog", c"./main"]);
    let environment = Strings::of(process::environ());
    process::exec(c"/bin/multilog", &arguments, &environment);
    111
}

/// `copier PATH KIND LOG MILLISECONDS`: makes a service directory, with a pause between two files. LOG is 1 for a
/// logger.
pub fn copier() -> i32 {
    let word = |n| arg(n).unwrap_or_default();
    let pause = word(4).to_str().ok().and_then(|it| it.parse().ok()).unwrap_or(0);
    match copy(word(1), word(2).to_bytes(), word(3) == c"1", Duration::from_millis(pause)) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn copy(path: &CStr, kind: &[u8], log: bool, pause: Duration) -> daemontools_sys::Result<()> {
    fs::mkdir(fs::HERE, path, 0o755)?;
    // As cp does: the directory stays the same if it gets another name.
    let directory = fs::reach_dir(fs::HERE, path)?;
    poll::pause(pause);
    let text = [b"#!/bin/speaker ", kind, b"\n"].concat();
    if log {
        fs::mkdir(directory.as_fd(), c"log", 0o755)?;
        poll::pause(pause);
        script(directory.as_fd(), c"log/run", b"#!/bin/listener\n")?;
        poll::pause(pause);
    }
    script(directory.as_fd(), c"run", &text)
}

fn script(directory: BorrowedFd<'_>, name: &CStr, text: &[u8]) -> daemontools_sys::Result<()> {
    let file = fs::open(directory, name, Opening::UPDATE)?;
    fd::write_all(file.as_fd(), text)?;
    fs::fchmod(file.as_fd(), 0o755)
}
