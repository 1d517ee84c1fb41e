//! svstat: prints the status of services.

use crate::common::clock::label;
use crate::common::diag;
use crate::common::getopt::{options, print_error};
use crate::common::state_dir::StateDir;
use crate::common::status_file::{self, OnlyRecord};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::programs::Program;
use daemontools_core::state_dir::describe::{Usage, describe, without_repetition};
use daemontools_core::state_dir::detail::{self, StateFile};
use daemontools_core::state_dir::process_record;
use daemontools_core::state_dir::status::{self, StatusRecord};
use daemontools_core::text::errno;
use daemontools_core::text::getopt::Opt;
use daemontools_core::time::tai::Tai64n;
use daemontools_core::{Ended, Pid};
use daemontools_sys::{AsFd as _, Errno, fd, fs, guarded, process};

/// Exit code: 100 for a bad option, 111 if the start directory is lost; else 0, for all states.
pub(crate) fn main() -> i32 {
    let mut only = OnlyRecord::default();
    let mut extended = false;
    let mut options = options(Program::Svstat);
    for option in options.by_ref() {
        match option {
            Opt::Letter(b'l') => only = OnlyRecord::MAIN,
            Opt::Letter(b'L') => only = OnlyRecord::LOG,
            Opt::Letter(_) => extended = true,
            _ => {
                print_error(option);
                return diag::usage(Program::Svstat);
            }
        }
    }
    let start_dir = match fs::open_read(fs::HERE, c".") {
        Ok(dir) => dir,
        Err(error) => return diag::fatal("svstat", &[b"unable to open current directory"], error),
    };
    let mut out = Vec::new();
    for dir in process::args(options.operand()) {
        let shown = dir.to_bytes();
        match read_status(dir, extended) {
            Ok(service) => service.show(shown, &only, &mut out),
            Err(message) => {
                out.extend_from_slice(shown);
                out.extend_from_slice(b": ");
                out.extend_from_slice(&message);
                out.push(b'\n');
            }
        }
        if out.len() > 4096 {
            flush(&mut out);
        }
        if let Err(error) = fs::fchdir(start_dir.as_fd()) {
            flush(&mut out);
            return diag::fatal("svstat", &[b"unable to set directory"], error);
        }
    }
    flush(&mut out);
    0
}

/// Writes the output. An error is ignored, as in the original.
fn flush(out: &mut Vec<u8>) {
    let _ = fd::write_all(fd::stdout(), out);
    out.clear();
}

/// The status of a service.
struct ServiceStatus {
    main: StatusRecord,
    log: Option<StatusRecord>,
    normally_up: bool,
    details: Option<Details>,
}

/// The data that `-x` adds.
struct Details {
    /// The text of the state file, if there is one.
    state: Option<Vec<u8>>,
    /// The last process, and how it ended.
    end: Option<(Pid, Ended)>,
}

impl Details {
    fn read(state: &StateDir<'_>) -> Self {
        let mut room = [0; detail::LEN];
        let text = state.file("state", |path| guarded::read_start(fs::HERE, path, &mut room));
        let text = status_file::state_text(text).map(<[u8]>::to_vec);
        let mut room = [0; process_record::LEN];
        let process = state.file("process", |path| guarded::read_start(fs::HERE, path, &mut room));
        let end =
            process.ok().and_then(process_record::Record::parse).and_then(|record| record.end);
        Self { state: text, end }
    }

    fn show(&self, main: &StatusRecord, now: Tai64n, out: &mut Vec<u8>) {
        let found = StateFile::classify(self.state.as_deref(), main);
        let detail = found.detail().map(|detail| without_repetition(detail, main.state));
        let detail = detail.as_ref();
        let usage = detail.map_or_else(Usage::default, |detail| usage(detail.cgroup));
        describe(detail, self.end, usage, now, out);
    }
}

/// The resource usage of a control group; empty without one, and for controllers that are off.
fn usage(cgroup: &[u8]) -> Usage {
    let read = |file: &[u8]| {
        let path = CString::new([cgroup, b"/", file].concat()).unwrap_or_default();
        let text = guarded::read_whole(fs::HERE, &path, detail::LEN);
        text.ok().filter(|_| !cgroup.is_empty()).unwrap_or_default()
    };
    Usage::parse(&read(b"memory.current"), &read(b"cpu.stat"))
}

impl ServiceStatus {
    fn show(&self, dir: &[u8], only: &OnlyRecord, out: &mut Vec<u8>) {
        let now = label();
        if !only.log {
            out.extend_from_slice(dir);
            out.extend_from_slice(b": ");
            status::describe(&self.main, self.normally_up, now, out);
            if let Some(details) = &self.details {
                details.show(&self.main, now, out);
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

/// Reads the status of a service. The error is the text to print instead.
fn read_status(dir: &CStr, extended: bool) -> Result<ServiceStatus, Vec<u8>> {
    let message = |what: &[&[u8]], error: Errno| {
        [&what.concat()[..], b": ", errno::text(error.raw_os_error()).as_bytes()].concat()
    };
    fs::chdir(dir).map_err(|e| message(&[b"unable to chdir"], e))?;
    let down = fs::exists(fs::HERE, c"down").map_err(|e| message(&[b"unable to stat down"], e))?;
    let state =
        StateDir::of_current_dir().map_err(|e| message(&[b"unable to find state directory"], e))?;
    let named = |what: &[u8], file: &[u8], e| message(&[what, state.path(), file], e);
    match state.file("ok", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE)) {
        Ok(ok) if fs::is_fifo(ok.as_fd()) => {}
        Ok(_) | Err(Errno::NXIO) => return Err(b"supervise not running".to_vec()),
        Err(e) => return Err(named(b"unable to open ", b"/ok", e)),
    }
    let file = state
        .file("status", |path| guarded::open(fs::HERE, path, fs::Opening::READ))
        .map_err(|e| named(b"unable to open ", b"/status", e))?;
    let (main, log) = status_file::read(&file)
        .map_err(|e| named(b"unable to read ", b"/status", e))?
        .ok_or_else(|| [b"unable to read ", state.path(), b"/status: bad format"].concat())?;
    // After the status: supervise writes the state file first, so it is not older.
    let details = extended.then(|| Details::read(&state));
    Ok(ServiceStatus { main, log, normally_up: !down, details })
}
