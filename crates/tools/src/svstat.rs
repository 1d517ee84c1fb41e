//! svstat: one line about each service.

use crate::diag;
use crate::options::{complain, options};
use crate::records::{self, Only};
use crate::state_dir::StateDir;
use crate::time::label;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::detail::{self, Found, Usage};
use daemontools_core::getopt::Opt;
use daemontools_core::status::{self, Record};
use daemontools_core::tai::Tai64n;
use daemontools_core::{Ended, Pid, errno, identity};
use daemontools_sys::{AsFd as _, Errno, fd, fs, guarded, process};

/// Exit code: 0 whatever the services do; 100 for a bad option.
pub(crate) fn main() -> i32 {
    let mut only = Only::default();
    let mut extended = false;
    let mut options = options(b"lLx");
    for option in options.by_ref() {
        match option {
            Opt::Letter(b'l') => only = Only::MAIN,
            Opt::Letter(b'L') => only = Only::LOG,
            Opt::Letter(_) => extended = true,
            _ => {
                complain(option);
                return diag::usage("svstat", "svstat [-L] [-l] [-x] dir [dir ...]");
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
        match read_status(dir, extended) {
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
    more: Option<More>,
}

/// What `-x` shows.
struct More {
    /// The state file, if there is one.
    state: Option<Vec<u8>>,
    /// How the last process ended.
    end: Option<(Pid, Ended)>,
}

impl More {
    fn read(state: &StateDir<'_>) -> Self {
        let mut room = [0; detail::LEN];
        let text = state.file("state", |path| guarded::read_start(fs::HERE, path, &mut room));
        let text = records::beside(text).map(<[u8]>::to_vec);
        let mut room = [0; identity::LEN];
        let process = state.file("process", |path| guarded::read_start(fs::HERE, path, &mut room));
        let end = process.ok().and_then(identity::Record::parse).and_then(|record| record.end);
        Self { state: text, end }
    }

    fn show(&self, main: &Record, now: Tai64n, out: &mut Vec<u8>) {
        let found = Found::judge(self.state.as_deref(), main);
        let detail = found.detail();
        let usage = detail.map_or_else(Usage::default, |detail| usage(detail.cgroup));
        detail::describe(detail, self.end, usage, now, out);
    }
}

/// What a control group takes; nothing without one, or where that is not counted.
fn usage(cgroup: &[u8]) -> Usage {
    let read = |file: &[u8]| {
        let path = CString::new([cgroup, b"/", file].concat()).unwrap_or_default();
        let text = guarded::read_whole(fs::HERE, &path, detail::LEN);
        text.ok().filter(|_| !cgroup.is_empty()).unwrap_or_default()
    };
    Usage::parse(&read(b"memory.current"), &read(b"cpu.stat"))
}

impl Service {
    fn show(&self, dir: &[u8], only: &Only, out: &mut Vec<u8>) {
        let now = label();
        if !only.log {
            out.extend_from_slice(dir);
            out.extend_from_slice(b": ");
            status::describe(&self.main, self.normally_up, now, out);
            if let Some(more) = &self.more {
                more.show(&self.main, now, out);
            }
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
fn read_status(dir: &CStr, extended: bool) -> Result<Service, Vec<u8>> {
    let trouble = |what: &[&[u8]], error: Errno| {
        [&what.concat()[..], b": ", errno::text(error.raw_os_error()).as_bytes()].concat()
    };
    fs::chdir(dir).map_err(|e| trouble(&[b"unable to chdir"], e))?;
    let down = fs::exists(fs::HERE, c"down").map_err(|e| trouble(&[b"unable to stat down"], e))?;
    let state =
        StateDir::of_current_dir().map_err(|e| trouble(&[b"unable to find state directory"], e))?;
    let named = |what: &[u8], file: &[u8], e| trouble(&[what, state.path(), file], e);
    match state.file("ok", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE)) {
        Ok(ok) if fs::is_fifo(ok.as_fd()) => {}
        Ok(_) | Err(Errno::NXIO) => return Err(b"supervise not running".to_vec()),
        Err(e) => return Err(named(b"unable to open ", b"/ok", e)),
    }
    let file = state
        .file("status", |path| guarded::open(fs::HERE, path, fs::Opening::READ))
        .map_err(|e| named(b"unable to open ", b"/status", e))?;
    let (main, log) =
        records::read(&file)
            .map_err(|e| named(b"unable to read ", b"/status", e))?
            .ok_or_else(|| [b"unable to read ", state.path(), b"/status: bad format"].concat())?;
    // After the status, to which it may belong.
    let more = extended.then(|| More::read(&state));
    Ok(Service { main, log, normally_up: !down, more })
}
