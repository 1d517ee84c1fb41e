//! svstat: one line about each service.

use crate::diag;
use crate::options::{complain, options};
use crate::state_dir::StateDir;
use crate::time::label;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::errno;
use daemontools_core::getopt::Opt;
use daemontools_core::status::{self, Record};
use daemontools_sys::{AsFd as _, Errno, fd, fs, process};

/// encore's `-l` and `-L`: which records to show.
#[derive(Default)]
struct Only {
    main: bool,
    log: bool,
}

/// Exit code: 0 whatever the services do; 100 for a bad option.
pub(crate) fn main() -> i32 {
    let mut only = Only::default();
    let mut options = options(b"lL");
    for option in options.by_ref() {
        match option {
            Opt::Letter(b'l') => only = Only { main: true, log: false },
            Opt::Letter(_) => only = Only { main: false, log: true },
            _ => {
                complain(option);
                return diag::usage("svstat", "svstat [-L] [-l] dir [dir ...]");
            }
        }
    }
    let home = match fs::open_read(fs::HERE, c".") {
        Ok(home) => home,
        Err(error) => return diag::fatal("svstat", &[b"unable to open current directory"], error),
    };
    let mut out = Vec::new();
    for dir in process::args(options.operand()) {
        let shown = dir.to_bytes();
        match read_status(dir) {
            Ok(service) => service.show(shown, &only, &mut out),
            Err(trouble) => {
                out.extend_from_slice(shown);
                out.extend_from_slice(b": ");
                out.extend_from_slice(&trouble);
                out.push(b'\n');
            }
        }
        if out.len() > 4096 {
            flush(&mut out);
        }
        if let Err(error) = fs::fchdir(home.as_fd()) {
            flush(&mut out);
            return diag::fatal("svstat", &[b"unable to set directory"], error);
        }
    }
    flush(&mut out);
    0
}

/// Nobody left to read it is no failure of ours.
fn flush(out: &mut Vec<u8>) {
    let _ = fd::write_all(fd::stdout(), out);
    out.clear();
}

struct Service {
    main: Record,
    log: Option<Record>,
    normally_up: bool,
}

impl Service {
    fn show(&self, dir: &[u8], only: &Only, out: &mut Vec<u8>) {
        let now = label();
        if !only.log {
            out.extend_from_slice(dir);
            out.extend_from_slice(b": ");
            status::describe(&self.main, self.normally_up, now, out);
            out.push(b'\n');
        }
        match &self.log {
            Some(log) if !only.main => {
                out.extend_from_slice(dir);
                out.extend_from_slice(b" log: ");
                status::describe(log, self.normally_up, now, out);
                out.push(b'\n');
            }
            None if only.log => {
                out.extend_from_slice(dir);
                out.extend_from_slice(b": no log service\n");
            }
            _ => {}
        }
    }
}

/// What is known of the service, or the words for why nothing is.
fn read_status(dir: &CStr) -> Result<Service, Vec<u8>> {
    let trouble = |what: &[&[u8]], error: Errno| {
        [&what.concat()[..], b": ", errno::text(error.raw_os_error()).as_bytes()].concat()
    };
    fs::chdir(dir).map_err(|e| trouble(&[b"unable to chdir"], e))?;
    let down = fs::exists(fs::HERE, c"down").map_err(|e| trouble(&[b"unable to stat down"], e))?;
    let state =
        StateDir::of_current_dir().map_err(|e| trouble(&[b"unable to find state directory"], e))?;
    let named = |what: &[u8], file: &[u8], e| trouble(&[what, state.path(), file], e);
    match state.file("ok", |path| fs::open_write(fs::HERE, path)) {
        Ok(ok) if fs::is_fifo(ok.as_fd()) => {}
        Ok(_) | Err(Errno::NXIO) => return Err(b"supervise not running".to_vec()),
        Err(e) => return Err(named(b"unable to open ", b"/ok", e)),
    }
    let file = state
        .file("status", |path| fs::open_read(fs::HERE, path))
        .map_err(|e| named(b"unable to open ", b"/status", e))?;
    let mut bytes = [0; 40];
    let mut length = 0;
    while let Some(room @ [_, ..]) = bytes.get_mut(length..) {
        match fd::read(file.as_fd(), room) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(e) => return Err(named(b"unable to read ", b"/status", e)),
        }
    }
    let (main, log) = status::parse_file(bytes.get(..length).unwrap_or_default())
        .ok_or_else(|| [b"unable to read ", state.path(), b"/status: bad format"].concat())?;
    Ok(Service { main, log, normally_up: !down })
}
