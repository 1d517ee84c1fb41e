//! What the checks look at: the services, the processes, and the svscans.

use super::elf::Elf;
use super::files;
use super::shell_script::ShellScript;
use crate::accounts::Accounts;
use crate::selection::Target;
use crate::times::age;
use crate::verbs::log_tail::{LogTail, last_lines};
use crate::view::{View, is_fault};
use daemontools_core::sorting::sort_by_key;
use servicedir::{EntryKind, Process, ProcessTable, ScanDir, Snapshot, State};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A service that has died and is younger than this has trouble.
const YOUNG: Duration = Duration::from_secs(5);

/// The device and the inode of a file.
pub(crate) type FileId = (u64, u64);

/// A running svscan.
#[derive(Debug)]
pub(crate) struct Svscan {
    pub(crate) pid: u32,
    /// Its scan directory.
    pub(crate) dir: PathBuf,
}

/// The system at the moment of the examination.
#[derive(Debug)]
pub(crate) struct Examination<'a> {
    pub(crate) scan: &'a ScanDir,
    pub(crate) table: ProcessTable,
    pub(crate) svscans: Vec<Svscan>,
    /// Whether the owner of the scan directory runs an svscan, and this user may not see where it stands.
    pub(crate) is_svscan_hidden: bool,
    /// The supervisors by their directories.
    supervises: HashMap<PathBuf, Vec<u32>>,
    /// The processes that no svscan and no supervise started.
    strays: OnceCell<Vec<Stray>>,
    svscan: OnceCell<Option<u32>>,
    accounts: OnceCell<Accounts>,
    /// The number of threads of each real user.
    threads: OnceCell<HashMap<u32, u64>>,
    /// The headers of programs, by their paths.
    programs: RefCell<HashMap<PathBuf, Option<Elf>>>,
}

/// A process that no supervise started, or that has left its parents.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(crate) process: Process,
    /// Its standard output and its standard error.
    outputs: [Option<PathBuf>; 2],
    /// Its directory, if svscan is its parent now.
    directory: Option<PathBuf>,
}

impl Stray {
    /// Whether it writes to a pipe, or was left to svscan in a directory.
    pub(crate) fn is_of(&self, pipe: Option<&Path>, directory: &Path) -> bool {
        pipe.is_some_and(|pipe| self.outputs.iter().any(|it| it.as_deref() == Some(pipe)))
            || self.directory.as_deref() == Some(directory)
    }
}

/// What `run` is.
#[derive(Debug)]
pub(crate) enum Run {
    Missing,
    /// It cannot be read by this user, or is no regular file.
    Unreadable,
    File(Metadata, Vec<u8>),
}

/// A service or a logger.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) target: Target,
    pub(crate) view: View,
    pub(crate) run: Run,
    /// The program and the arguments of `command`, which counts without `run`.
    pub(crate) command: Option<Vec<CString>>,
    pub(crate) script: Option<ShellScript>,
    /// Its supervise.
    pub(crate) supervise: Option<u32>,
}

/// The identity of a file.
pub(crate) fn file_id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// The directory of a process that has the mounts of this one.
///
/// The directory itself is not touched: it can be on a file system that does not answer.
fn directory(process: &Process, mounts: &Path) -> Option<PathBuf> {
    files::link(process.pid, "ns/mnt").filter(|it| it == mounts)?;
    files::link(process.pid, "cwd")
}

/// Whether this user may not see where a process stands.
fn is_hidden(process: &Process) -> bool {
    let place = fs::read_link(format!("/proc/{}/cwd", process.pid));
    place.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

impl<'a> Examination<'a> {
    pub(crate) fn begin(scan: &'a ScanDir) -> io::Result<Self> {
        let table = ProcessTable::read()?;
        let mut svscans = Vec::new();
        let mut is_svscan_hidden = false;
        let owner = fs::metadata(scan.path()).ok().map(|found| found.uid());
        let mut supervises: HashMap<PathBuf, Vec<u32>> = HashMap::new();
        let mounts = fs::read_link("/proc/self/ns/mnt")?;
        let is_ours = |process: &&Process| ["svscan", "supervise"].contains(&&*process.name);
        for process in table.iter().filter(is_ours) {
            let Some(dir) = directory(process, &mounts) else {
                is_svscan_hidden |= process.name == "svscan"
                    && process.state != 'Z'
                    && files::user_of(process.pid) == owner
                    && is_hidden(process);
                continue;
            };
            if process.name == "svscan" {
                svscans.push(Svscan { pid: process.pid, dir });
            } else {
                supervises.entry(dir).or_default().push(process.pid);
            }
        }
        sort_by_key(&mut svscans, |svscan| svscan.pid);
        Ok(Self {
            scan,
            table,
            svscans,
            is_svscan_hidden,
            supervises,
            strays: OnceCell::new(),
            svscan: OnceCell::new(),
            accounts: OnceCell::new(),
            threads: OnceCell::new(),
            programs: RefCell::default(),
        })
    }

    /// The svscan of the scan directory: the holder of its lock, or one that runs there.
    pub(crate) fn svscan(&self) -> Option<u32> {
        *self.svscan.get_or_init(|| {
            let holder = self.scan.svscan().ok().flatten().map(std::num::NonZeroU32::get);
            holder.or_else(|| {
                let dir = self.scan.path().canonicalize().ok()?;
                self.svscans.iter().find(|svscan| svscan.dir == dir).map(|svscan| svscan.pid)
            })
        })
    }

    /// The pipe to the logger of a service, as a link in /proc. `None` if its supervise writes
    /// elsewhere, such as to the standard output of svscan, or if that is unknown.
    pub(crate) fn logger_pipe(&self, service: &Subject) -> Option<PathBuf> {
        let output = files::link(service.supervise?, "fd/1")?;
        let of_svscan = self.svscan().and_then(|pid| files::link(pid, "fd/1"));
        let is_pipe = output.as_os_str().as_encoded_bytes().starts_with(b"pipe:");
        (is_pipe && Some(&output) != of_svscan.as_ref()).then_some(output)
    }

    /// The number of threads of a real user.
    pub(crate) fn threads_of(&self, user: u32) -> u64 {
        let threads = self.threads.get_or_init(|| {
            let mut threads: HashMap<u32, u64> = HashMap::new();
            for process in self.table.iter() {
                let Some(user) = files::real_user_of(process.pid) else { continue };
                let own = files::status_field(process.pid, "Threads");
                let own = own.and_then(|number| number.parse().ok()).unwrap_or(1);
                *threads.entry(user).or_default() += own;
            }
            threads
        });
        threads.get(&user).copied().unwrap_or_default()
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        self.accounts.get_or_init(|| Accounts::read().unwrap_or_default())
    }

    /// The header of a program; `None` if it is none, or cannot be read.
    pub(crate) fn program(&self, path: &Path) -> Option<Elf> {
        let mut programs = self.programs.borrow_mut();
        if let Some(known) = programs.get(path) {
            return known.clone();
        }
        let elf = files::read(path).ok().flatten().and_then(|file| Elf::parse(&file));
        programs.insert(path.to_owned(), elf.clone());
        elf
    }

    pub(crate) fn subject(&self, target: &Target) -> Subject {
        let run = read_run(&target.dir.path().join("run"));
        let command = target.dir.command();
        let script = match (&run, &command) {
            (Run::File(_, text), _) => ShellScript::parse(text),
            (Run::Missing, Some(command)) => Some(ShellScript::of_arguments(command)),
            _ => None,
        };
        let view = View::read(target);
        let supervises = self.supervises_of(target);
        // A second one cannot get the lock, and has no service.
        let pid = view.snapshot().and_then(|it| it.status.pid);
        let parent = pid.and_then(|pid| self.table.get(pid.get())).map(|process| process.parent);
        let holder = parent.filter(|parent| supervises.contains(parent));
        let supervise = holder.or_else(|| supervises.first().copied());
        Subject { target: target.clone(), view, run, command, script, supervise }
    }

    /// The supervisors that run in the directory of a service.
    pub(crate) fn supervises_of(&self, target: &Target) -> &[u32] {
        let full = target.dir.path().canonicalize().ok();
        full.and_then(|full| self.supervises.get(&full)).map_or(&[], Vec::as_slice)
    }

    /// The logger of a service, if the service has one.
    pub(crate) fn logger(&self, service: &Subject) -> Option<Subject> {
        let dir = service.target.dir.logger()?;
        let mut name = service.target.name.clone();
        name.push("/log");
        Some(self.subject(&Target::new(name, dir.path(), EntryKind::Service)))
    }

    /// The processes that are not below a supervise, and have no terminal. svscan is the parent of
    /// those that daemons leave behind.
    pub(crate) fn strays(&self) -> &[Stray] {
        self.strays.get_or_init(|| {
            let own = ["supervise", "multilog", "readproctitle"];
            let is_stray = |process: &&Process| {
                let mut at = Some(*process);
                // A table that was read while processes moved can contain a circle.
                for _ in 0..100 {
                    match at {
                        Some(process) if own.contains(&&*process.name) => return false,
                        Some(process) => at = self.table.get(process.parent),
                        None => break,
                    }
                }
                process.terminal == 0 && process.state != 'Z' && process.name != "svscan"
            };
            let look = |process: &Process| {
                let link = |name| files::link(process.pid, name);
                let is_left = self.svscans.iter().any(|svscan| svscan.pid == process.parent);
                Stray {
                    process: process.clone(),
                    outputs: [link("fd/1"), link("fd/2")],
                    directory: is_left.then(|| link("cwd")).flatten(),
                }
            };
            self.table.iter().filter(is_stray).map(look).collect()
        })
    }

    /// The name of the service that a process belongs to.
    pub(crate) fn service_of(&self, pid: u32) -> Option<String> {
        let mut at = self.table.get(pid)?;
        for _ in 0..100 {
            if at.name == "supervise" {
                let dir = files::link(at.pid, "cwd")?;
                return dir.file_name().map(|name| name.to_string_lossy().into_owned());
            }
            at = self.table.get(at.parent)?;
        }
        None
    }
}

fn read_run(path: &Path) -> Run {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Run::Missing,
        Err(_) => Run::Unreadable,
        Ok(found) => match files::read(path) {
            Ok(Some(text)) => Run::File(found, text),
            Ok(None) | Err(_) => Run::Unreadable,
        },
    }
}

impl Subject {
    pub(crate) fn name(&self) -> &OsStr {
        &self.target.name
    }

    /// Its name in a message.
    pub(crate) fn shown(&self) -> String {
        self.target.shown()
    }

    pub(crate) fn path(&self) -> &Path {
        self.target.dir.path()
    }

    /// Whether `command` counts: a link `run` to nothing is a `run`.
    pub(crate) fn has_command(&self) -> bool {
        self.has_file("command")
            && !self.path().join("run").is_symlink()
            && matches!(self.run, Run::Missing)
    }

    /// The file that says what to start: `run`, or `command` without it.
    pub(crate) fn start_file(&self) -> PathBuf {
        self.path().join(if self.has_command() { "command" } else { "run" })
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.view.snapshot()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.snapshot().and_then(|it| it.status.pid).map(std::num::NonZeroU32::get)
    }

    pub(crate) fn has_file(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// Whether it died by itself and starts again, or has failed.
    pub(crate) fn is_dying(&self) -> bool {
        let Some(snapshot) = self.snapshot() else { return false };
        let is_bad = snapshot.last_end.is_some_and(is_fault);
        match snapshot.state {
            State::Failed => true,
            State::Waiting => self.view.is_failing() && is_bad,
            State::Up | State::Ready | State::Starting => {
                let failures = snapshot.detail.as_ref().map_or(0, |detail| detail.failures);
                is_bad && (failures > 1 || age(snapshot.status.since) < YOUNG)
            }
            _ => false,
        }
    }

    /// Whether it has run for a while.
    pub(crate) fn is_stable(&self) -> bool {
        self.snapshot().is_some_and(|it| it.state.is_usable() && age(it.status.since) >= YOUNG)
    }

    /// The last lines of its log.
    pub(crate) fn last_lines(&self, count: usize) -> LogTail {
        last_lines(&self.target.dir, count)
    }
}
