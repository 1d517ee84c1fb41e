//! multilog of daemontools 0.76 as a model: its system calls in their order, as the specification and the
//! manual describe them. The scenarios use `t`, patterns, `=`, `s`, `n`, `!` and directories.

use crate::multilog::outputs::{Outputs, Selection};
use daemontools_sys::fs::{self, Opening};
use daemontools_sys::process::{self, ExitStatus, Forked, Strings};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, OwnedFd, Result, clock, dir, fd, lock, poll};
use std::ffi::{CStr, CString};
use std::time::Duration;

/// A failure of the system.
const TEMPORARY: i32 = 111;

/// How much it reads at once.
const READ: usize = 1024;

/// The size of a directory's output buffer.
const BUFFER: usize = 512;

/// Patterns and status files see this much of a line.
const HEAD: usize = 1000;

/// A file may end with a line this many bytes before its largest size.
const SLACK: usize = 2000;

/// An output directory.
struct Log {
    dir: OwnedFd,
    /// Held for life.
    _lock: OwnedFd,
    current: OwnedFd,
    bytes: usize,
    size: usize,
    files: usize,
    processor: Option<CString>,
    buffer: Vec<u8>,
    selection: Selection,
    /// It gets the present line.
    is_selected: bool,
}

/// Tries again every five seconds. Signals stay blocked.
fn retry<T>(mut work: impl FnMut() -> Result<T>) -> T {
    loop {
        match work() {
            Ok(value) => return value,
            Err(_) => poll::pause(Duration::from_secs(5)),
        }
    }
}

fn stamp() -> String {
    let (seconds, nanoseconds) = clock::realtime();
    format!("@{:016x}{nanoseconds:08x}", (1_u64 << 62) + 10 + seconds.unsigned_abs())
}

/// The processor of the directory whose settings end at argument `n`.
fn processor(n: usize) -> Option<CString> {
    let before = process::args(1).take(n).filter(|it| it.to_bytes().starts_with(b"!"));
    before.last().and_then(|it| CString::new(&it.to_bytes()[1..]).ok())
}

impl Log {
    fn open(n: usize, path: &CStr, outputs: &Outputs, number: usize) -> Result<Self> {
        let _ = fs::mkdir(fs::HERE, path, 0o700);
        let dir = fs::open_dir(fs::HERE, path)?;
        let lock = fs::open(dir.as_fd(), c"lock", Opening::APPEND)?;
        lock::try_lock(lock.as_fd())?;
        let settings = &outputs.directories[number];
        let (size, files) = (settings.size, settings.files);
        let is_complete = match fs::stat_file(dir.as_fd(), c"current") {
            Ok(stat) => stat.mode & 0o100 != 0,
            Err(_) => false,
        };
        if !is_complete {
            let _ = fs::unlink(dir.as_fd(), c"state");
            let _ = fs::unlink(dir.as_fd(), c"newstate");
            let processed = fs::stat_file(dir.as_fd(), c"processed");
            if processed.is_ok_and(|stat| stat.mode & 0o100 != 0) {
                let _ = fs::unlink(dir.as_fd(), c"previous");
                finish(&dir, c"processed", "s", files);
            } else {
                let _ = fs::unlink(dir.as_fd(), c"processed");
                finish(&dir, c"previous", "u", files);
            }
            finish(&dir, c"current", "u", files);
            drop(fs::open_trunc(dir.as_fd(), c"state")?);
        }
        let current = fs::open(dir.as_fd(), c"current", Opening::APPEND)?;
        fs::fchmod(current.as_fd(), 0o644)?;
        let bytes = usize::try_from(fs::size(current.as_fd())?).unwrap_or(0);
        Ok(Self {
            dir,
            _lock: lock,
            current,
            bytes,
            size,
            files,
            processor: processor(n),
            buffer: Vec::new(),
            selection: settings.selection.clone(),
            is_selected: false,
        })
    }

    fn put(&mut self, text: &[u8]) {
        if self.buffer.len() + text.len() > BUFFER {
            self.flush();
        }
        if text.len() > BUFFER {
            self.write(text);
        } else {
            self.buffer.extend(text);
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.buffer);
        self.write(&text);
    }

    fn write(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            if self.bytes >= self.size {
                self.rotate();
            }
            let mut chunk = &text[..text.len().min(self.size - self.bytes)];
            if self.bytes + chunk.len() >= self.size - SLACK
                && let Some(newline) = chunk.iter().rposition(|c| *c == b'\n')
            {
                chunk = &chunk[..=newline];
            }
            let written = retry(|| fd::write(self.current.as_fd(), chunk));
            self.bytes += written;
            if self.bytes >= self.size - SLACK && chunk[..written].ends_with(b"\n") {
                self.rotate();
            }
            text = &text[written..];
        }
    }

    fn rotate(&mut self) {
        retry(|| fs::sync(self.current.as_fd()));
        retry(|| fs::rename(self.dir.as_fd(), c"current", c"previous"));
        self.current = retry(|| fs::open(self.dir.as_fd(), c"current", Opening::APPEND));
        self.bytes = 0;
        retry(|| fs::fchmod(self.current.as_fd(), 0o644));
        retry(|| fs::chmod(self.dir.as_fd(), c"previous", 0o744));
        let Some(command) = &self.processor else {
            return finish(&self.dir, c"previous", "s", self.files);
        };
        while retry(|| run(&self.dir, command)) != ExitStatus::Exited(0) {
            poll::pause(Duration::from_secs(5));
        }
        let open = |name| retry(|| fs::open(self.dir.as_fd(), name, Opening::APPEND));
        let processed = open(c"processed");
        retry(|| fs::sync(processed.as_fd()));
        retry(|| fs::fchmod(processed.as_fd(), 0o744));
        let new_state = open(c"newstate");
        retry(|| fs::sync(new_state.as_fd()));
        retry(|| fs::unlink(self.dir.as_fd(), c"previous"));
        retry(|| fs::rename(self.dir.as_fd(), c"newstate", c"state"));
        finish(&self.dir, c"processed", "s", self.files);
    }

    fn close(&mut self) {
        self.flush();
        retry(|| fs::sync(self.current.as_fd()));
        retry(|| fs::fchmod(self.current.as_fd(), 0o744));
    }
}

/// Gives a file its final name, and removes the oldest files.
fn finish(dir: &OwnedFd, file: &CStr, code: &str, most: usize) {
    let links = retry(|| match fs::stat_file(dir.as_fd(), file) {
        Err(daemontools_sys::Errno::NOENT) => Ok(0),
        other => other.map(|stat| stat.links),
    });
    if links == 0 {
        return;
    }
    if links == 1 {
        retry(|| {
            let name = CString::new(format!("{}.{code}", stamp())).unwrap_or_default();
            fs::link(dir.as_fd(), file, &name)
        });
    }
    retry(|| fs::unlink(dir.as_fd(), file));
    retry(|| prune(dir, most));
}

fn prune(dir: &OwnedFd, most: usize) -> Result<()> {
    loop {
        let here = fs::open_dir(dir.as_fd(), c".")?;
        let mut names: Vec<CString> = Vec::new();
        dir::names(here.as_fd(), |name| {
            let bytes = name.to_bytes();
            if bytes.starts_with(b"@") && bytes.len() >= 25 {
                names.push(name.to_owned());
            }
        })?;
        let Some(oldest) = names.iter().min().filter(|_| names.len() >= most) else {
            return Ok(());
        };
        fs::unlink(dir.as_fd(), oldest)?;
    }
}

fn run(dir: &OwnedFd, command: &CStr) -> Result<ExitStatus> {
    if let Forked::Parent(child) = process::fork()? {
        return process::wait_for(child);
    }
    signal::unblock_all();
    let connect = || {
        fs::fchdir(dir.as_fd())?;
        let open = |name| fs::open(fs::HERE, name, Opening::READ);
        fd::arrange([
            (open(c"previous")?, 0),
            (fs::open_trunc(fs::HERE, c"processed")?, 1),
            (open(c"state")?, 4),
            (fs::open_trunc(fs::HERE, c"newstate")?, 5),
        ])
    };
    if connect().is_ok() {
        let arguments = Strings::of([c"sh", c"-c", command]);
        process::exec(c"/bin/sh", &arguments, &Strings::own_environment());
    }
    process::exit(TEMPORARY)
}

/// A status file and the lines that it shows.
struct Status {
    file: OwnedFd,
    selection: Selection,
}

/// Everything between the input and the files.
struct Multilog {
    logs: Vec<Log>,
    statuses: Vec<Status>,
    has_stamps: bool,
    /// The present line: all of it until the script has run.
    head: Vec<u8>,
    /// A line has begun, and its head is complete or not.
    is_in_line: bool,
    has_run: bool,
}

impl Multilog {
    fn open() -> Result<Self> {
        let script: Vec<String> =
            process::args(1).map(|it| it.to_string_lossy().into_owned()).collect();
        let outputs = Outputs::new(&script);
        let mut statuses = Vec::new();
        for status in &outputs.status_files {
            let path = CString::new(&status.path[1..]).unwrap_or_default();
            drop(fs::open(fs::HERE, &path, Opening::APPEND)?);
            let file = fs::open(fs::HERE, &path, Opening::WRITE)?;
            statuses.push(Status { file, selection: status.selection.clone() });
        }
        let mut logs = Vec::new();
        for (n, argument) in process::args(1).enumerate() {
            if argument.to_bytes().starts_with(b".") {
                logs.push(Log::open(n, argument, &outputs, logs.len())?);
            }
        }
        let has_stamps = outputs.has_stamps;
        Ok(Self { logs, statuses, has_stamps, head: Vec::new(), is_in_line: false, has_run: false })
    }

    fn run_script(&mut self) {
        // The stamp is not part of what the patterns of the scenarios see.
        let line = if self.has_stamps { &self.head[26..] } else { &self.head[..] };
        for status in self.statuses.iter().filter(|it| it.selection.selects(line)) {
            let mut text = self.head.clone();
            text.resize(HEAD + 1, b'\n');
            retry(|| fs::write_at(status.file.as_fd(), 0, &text));
        }
        for log in &mut self.logs {
            log.is_selected = log.selection.selects(line);
            if log.is_selected {
                log.put(&self.head);
            }
        }
        self.has_run = true;
    }

    fn take(&mut self, byte: u8) {
        if !self.is_in_line {
            self.head.clear();
            if self.has_stamps {
                self.head.extend(stamp().bytes());
                self.head.push(b' ');
            }
            (self.is_in_line, self.has_run) = (true, false);
        }
        if byte != b'\n' && self.head.len() < HEAD {
            self.head.push(byte);
            return;
        }
        if !self.has_run {
            self.run_script();
        }
        for log in self.logs.iter_mut().filter(|log| log.is_selected) {
            log.put(&[byte]);
        }
        self.is_in_line = byte != b'\n';
    }
}

/// `multilog SCRIPT`.
pub fn main() -> i32 {
    fs::set_umask(0o022);
    let Ok(signals) = Signals::take_over(&[signal::TERM, signal::ALRM]) else { return TEMPORARY };
    let Ok(mut multilog) = Multilog::open() else { return TEMPORARY };
    let (mut terminates, mut rotates) = (false, false);
    let mut room = [0; READ];
    loop {
        multilog.logs.iter_mut().for_each(Log::flush);
        if rotates {
            multilog.logs.iter_mut().filter(|log| log.bytes > 0).for_each(Log::rotate);
            rotates = false;
        }
        if terminates && !multilog.is_in_line {
            break;
        }
        let [readable, signalled] = poll::readable([fd::stdin(), signals.fd()], None);
        if signalled {
            for signal in signals.pending() {
                terminates |= signal == signal::TERM;
                rotates |= signal == signal::ALRM;
            }
            continue;
        }
        if !readable {
            continue;
        }
        let most = if terminates { 1 } else { READ };
        match fd::read(fd::stdin(), &mut room[..most]) {
            Ok(length @ 1..) => room[..length].iter().for_each(|byte| multilog.take(*byte)),
            _ => break,
        }
    }
    if multilog.is_in_line {
        multilog.take(b'\n');
    }
    multilog.logs.iter_mut().for_each(Log::close);
    0
}
