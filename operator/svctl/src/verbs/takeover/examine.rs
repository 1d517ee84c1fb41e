//! What runs on a scan directory: the scanner, and the supervisor of each service and logger.

use super::adoptable;
use crate::escape::escape;
use crate::failure::Failure;
use crate::selection::{Target, all};
use crate::verbs::doctor::files;
use daemontools_core::sorting::sort_by_key;
use daemontools_core::state_dir::status::{StatusRecord, Want, parse_file};
use rustix::process::geteuid;
use servicedir::{EntryKind, Process, ProcessTable, ScanDir, ServiceDir};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The suite that a program belongs to, as far as a takeover differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// daemontools-rs.
    Ours,
    /// svscan and supervise of daemontools 0.76 or daemontools-encore.
    Daemontools,
    /// runsvdir and runsv.
    Runit,
}

/// A running scanner or supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    /// `svscan`, `supervise`, `runsvdir` or `runsv`.
    pub(crate) name: String,
    pub(crate) suite: Suite,
    /// The file of its program.
    pub(crate) program: PathBuf,
}

impl Running {
    fn of(process: &Process) -> Self {
        let program = files::link(process.pid, "exe").unwrap_or_default();
        let suite = if process.name.starts_with("runsv") {
            Suite::Runit
        } else if is_ours(&program) {
            Suite::Ours
        } else {
            Suite::Daemontools
        };
        Self { pid: process.pid, name: process.name.clone(), suite, program }
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = escape(&self.program.to_string_lossy());
        write!(f, "{} (pid {}, {program})", self.name, self.pid)
    }
}

/// Whether a program is the executable of daemontools-rs, which has every command. An upgrade may have
/// removed the file since the start.
pub(crate) fn is_ours(program: &Path) -> bool {
    let name = program.file_name().map(|name| name.as_bytes()).unwrap_or_default();
    name == b"daemontools" || name == b"daemontools (deleted)"
}

/// A service or a logger.
#[derive(Debug)]
pub(crate) struct Part {
    /// `web` or `web/log`.
    pub(crate) name: String,
    pub(crate) dir: ServiceDir,
    pub(crate) supervisor: Option<Running>,
    /// The status, if there is one.
    pub(crate) record: Option<StatusRecord>,
    /// encore: the status of the logger that the same supervise runs, from a file `log`.
    pub(crate) logger: Option<StatusRecord>,
    /// Its file `personality` contains `encore`.
    pub(crate) is_encore: bool,
    /// Why a supervise of ours would not adopt the process or the logger.
    pub(crate) doubt: Option<&'static str>,
}

impl Part {
    /// The service process; 0 if it is down.
    pub(crate) fn pid(&self) -> u32 {
        self.record.map_or(0, |record| record.pid)
    }

    /// The service process and that of the logger.
    pub(crate) fn pids(&self) -> (u32, u32) {
        (self.pid(), self.logger.map_or(0, |record| record.pid))
    }

    pub(crate) fn want(&self) -> Want {
        self.record.map_or(Want::Up, |record| record.want)
    }

    /// The file that keeps a new supervisor from starting the service.
    pub(crate) fn down_file(&self) -> PathBuf {
        self.dir.path().join("down")
    }

    /// Its process in words.
    pub(crate) fn shown_process(&self) -> String {
        match self.pid() {
            0 => "down".to_owned(),
            pid => format!("pid {pid}"),
        }
    }

    pub(crate) fn is_under(&self, suite: Suite) -> bool {
        self.supervisor.as_ref().is_some_and(|it| it.suite == suite)
    }

    /// Whether encore's supervise runs the logger as well. After `x` it waits for the end of the
    /// logger, and ends it only when the service was stopped.
    pub(crate) fn has_encore_logger(&self) -> bool {
        self.logger.is_some() && self.is_under(Suite::Daemontools)
    }
}

/// Everything on a scan directory at one moment.
#[derive(Debug)]
pub(crate) struct Scene {
    /// More than one only if two scanners compete.
    pub(crate) scanners: Vec<Running>,
    pub(crate) parts: Vec<Part>,
    /// A process of s6, whose services cannot be taken over.
    pub(crate) s6_process: Option<Running>,
}

impl Scene {
    pub(crate) fn look(scan: &ScanDir) -> Result<Self, Failure> {
        let failure = |e| Failure::system("read /proc", &e);
        let table = ProcessTable::read().map_err(failure)?;
        let supervisors = Supervisors::new(&table);
        let mut parts = Vec::new();
        for target in all(scan)?.into_iter().filter(|it| it.kind == EntryKind::Service) {
            let logger = target.dir.logger();
            let name = target.shown();
            parts.push(supervisors.part(name.clone(), &target));
            if let Some(dir) = logger {
                let target = Target { dir, ..target };
                parts.push(supervisors.part(format!("{name}/log"), &target));
            }
        }
        share_doubts(&mut parts);
        let s6_process = s6_process(&table, scan.path(), &parts);
        Ok(Self { scanners: scanners(&table, scan.path()), parts, s6_process })
    }

    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }
}

/// A runsv has two processes, and both are adopted or none.
fn share_doubts(parts: &mut [Part]) {
    let shared: Vec<(u32, &'static str)> = parts
        .iter()
        .filter(|part| part.is_under(Suite::Runit))
        .filter_map(|part| Some((part.supervisor.as_ref()?.pid, part.doubt?)))
        .collect();
    for part in parts.iter_mut().filter(|part| part.doubt.is_none()) {
        let pid = part.supervisor.as_ref().map(|it| it.pid);
        part.doubt = shared.iter().find(|(other, _)| Some(*other) == pid).map(|(_, why)| *why);
    }
}

fn scanners(table: &ProcessTable, path: &Path) -> Vec<Running> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let scans = |process: &&Process| match &*process.name {
        "svscan" => files::link(process.pid, "cwd").is_some_and(|dir| dir == path),
        "runsvdir" => scans_by_argument(process.pid, &path),
        _ => false,
    };
    let mut found: Vec<_> = table
        .iter()
        .filter(|it| it.state != 'Z' && is_trusted(it.pid))
        .filter(scans)
        .map(Running::of)
        .collect();
    sort_by_key(&mut found, |it| it.pid);
    found
}

/// A process of s6 that supervises the scan directory or one of its services. Beside it our supervise
/// would start a second copy of the service.
fn s6_process(table: &ProcessTable, scan: &Path, parts: &[Part]) -> Option<Running> {
    let dirs = parts.iter().map(|part| part.dir.path()).chain([scan]);
    let dirs: HashSet<PathBuf> = dirs.filter_map(|dir| dir.canonicalize().ok()).collect();
    let mut all: Vec<&Process> = table.iter().filter(|it| it.name.starts_with("s6-s")).collect();
    sort_by_key(&mut all, |it| it.pid);
    let is_here = |it: &&Process| files::link(it.pid, "cwd").is_some_and(|dir| dirs.contains(&dir));
    all.into_iter().find(is_here).map(Running::of)
}

/// Whether a process is of this user or of root. The new svscan inherits from the old one, and another
/// user can give a process any name, directory and environment.
fn is_trusted(pid: u32) -> bool {
    let own = [0, geteuid().as_raw()];
    let users = files::status_field(pid, "Uid").unwrap_or_default();
    let mut users = users.split_ascii_whitespace().map(|user| user.parse().ok());
    // The real and the effective one: a setuid program has the environment of its caller.
    let mut next = || users.next().flatten().is_some_and(|user| own.contains(&user));
    next() && next()
}

/// runsvdir enters its directory only for a moment: `runsvdir [-P] DIR [LOG]`.
fn scans_by_argument(pid: u32, path: &Path) -> bool {
    let words = files::of_process(pid, "cmdline");
    let dir = words.split('\0').skip(1).find(|word| !word.starts_with('-'));
    let Some(dir) = dir else { return false };
    let base = files::link(pid, "cwd").unwrap_or_default();
    base.join(dir).canonicalize().is_ok_and(|found| found == path)
}

/// All supervisors by their directories.
struct Supervisors<'a>(HashMap<PathBuf, Vec<&'a Process>>);

impl<'a> Supervisors<'a> {
    fn new(table: &'a ProcessTable) -> Self {
        let mut by_dir: HashMap<PathBuf, Vec<&Process>> = HashMap::new();
        let is_one = |it: &&Process| ["supervise", "runsv"].contains(&&*it.name);
        for process in table.iter().filter(is_one).filter(|it| is_trusted(it.pid)) {
            if let Some(dir) = files::link(process.pid, "cwd") {
                by_dir.entry(dir).or_default().push(process);
            }
        }
        Self(by_dir)
    }

    fn part(&self, name: String, target: &Target) -> Part {
        let dir = target.dir.clone();
        let status = files::read(&dir.state_dir().join("status")).ok().flatten();
        let (record, logger) = status
            .and_then(|bytes| parse_file(&bytes))
            .map_or((None, None), |(service, logger)| (Some(service), logger));
        let supervisor = self.of(&dir, record.map_or(0, |record| record.pid));
        let personality = fs::read(dir.path().join("personality")).unwrap_or_default();
        let is_encore = personality.trim_ascii() == b"encore";
        let running = [record, logger].into_iter().flatten().filter(|record| record.pid != 0);
        let doubt = running.filter_map(|record| adoptable::doubt(&dir, &record)).next();
        Part { name, dir, supervisor, record, logger, is_encore, doubt }
    }

    /// The supervisor that holds the lock of a service. Until its exec, the service process has the name and
    /// the files of its supervise.
    fn of(&self, dir: &ServiceDir, service: u32) -> Option<Running> {
        let full = dir.path().canonicalize().ok()?;
        let lock = fs::metadata(dir.state_dir().join("lock")).ok()?.ino();
        // runsv stands in the directory of the service, also for the logger.
        let here = self.0.get(&full).into_iter();
        let above = full.parent().and_then(|dir| self.0.get(dir)).into_iter();
        let above = above.flatten().filter(|it| it.name == "runsv");
        let all: Vec<&Process> = here.flatten().chain(above).copied().collect();
        all.into_iter().find(|it| it.pid != service && holds(it.pid, lock)).map(Running::of)
    }
}

/// Whether a process has a locked file with this inode open. The supervisor stands in the directory of
/// the file, so that the device need not be compared. /proc/locks can miss a lock while others change.
fn holds(pid: u32, inode: u64) -> bool {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let mut texts = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.any(|text| has_lock(&text, inode))
}

/// Whether the text of a file in /proc/PID/fdinfo has a lock of flock(2) on an inode.
fn has_lock(text: &str, inode: u64) -> bool {
    let inode = format!(":{inode}");
    text.lines().filter_map(|line| line.strip_prefix("lock:")).any(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.get(1) == Some(&"FLOCK") && words.get(5).is_some_and(|file| file.ends_with(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_told_by_the_name_of_its_file() {
        assert!(is_ours(Path::new("/usr/lib/daemontools-rs/daemontools")));
        assert!(is_ours(Path::new("/usr/bin/daemontools (deleted)")));
        assert!(!is_ours(Path::new("/usr/bin/supervise")));
    }

    #[test]
    fn a_lock_is_found_by_its_inode() {
        let text = "pos:\t0\nino:\t518\nlock:\t1: FLOCK  ADVISORY  WRITE 42 08:01:517 0 EOF\n";
        assert!(has_lock(text, 517));
        assert!(!has_lock(text, 17));
        assert!(!has_lock(text, 518));
        assert!(!has_lock("lock:\t1: POSIX  ADVISORY  WRITE 42 08:01:517 0 EOF\n", 517));
    }
}
