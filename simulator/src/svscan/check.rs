//! What svscan promises.

use crate::kernel::{Content, Ended, InodeNumber, Kernel, Pid, Proc};
use crate::simulation;
use std::fmt;

/// More calls of a svscan than it makes in a short time if it waits for events.
pub const MOST_CALLS: u64 = 8000;

/// The descriptors of a svscan at rest, beside those of pipes and of adopted supervises: three, signals, the
/// directories of the start and of the scan, the lock, two instances of inotify, the mounts and their set, the set
/// of adopted supervises, and the marker.
pub const MOST_DESCRIPTORS: usize = 13;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A service or a logger runs twice.
    Doubled(String, Vec<Pid>),
    /// A service has ended, and nothing has asked for that.
    Stopped(usize, Pid),
    /// A service with a name does not run, or has not one supervise.
    NotUp(usize, String),
    /// A service and its logger have not the same pipe.
    Apart(usize),
    /// A service whose name is gone has something that still runs.
    NotRemoved(usize, String),
    /// The log of a service is not what it has written.
    WrongLog(usize, String),
    /// After the end of svscan there is something left of a service.
    NotEnded(usize, String),
    /// A svscan has ended in this way, without a reason.
    Ended(Ended),
    /// A second svscan on the same directory has not been refused.
    NotRefused(Ended),
    /// svscan makes calls without waiting.
    Busy,
    /// svscan has more descriptors open than it needs.
    Descriptors(usize),
    /// A service has got these descriptors.
    Inherited(Vec<i32>),
    /// An ended process is not reaped.
    Zombie(Pid),
    /// What has kept the pipe of a service is gone: svscan, and the supervise of the logger or the logger. The run
    /// ends here.
    Excused,
    /// The processes never come to rest.
    Endless,
    /// A program has panicked.
    Panic,
    /// A program has made a system call that the simulated kernel does not know.
    UnknownCall(usize),
}

impl simulation::Violation for Violation {
    const PANIC: Self = Self::Panic;

    fn unknown_call(number: usize) -> Self {
        Self::UnknownCall(number)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubled(what, pids) => write!(f, "{what} runs twice: {pids:?}"),
            Self::Stopped(n, pid) => write!(f, "service {n}, process {pid}, has ended unasked"),
            Self::NotUp(n, what) => write!(f, "service {n} has a name, but {what}"),
            Self::Apart(n) => write!(f, "service {n} does not write to its logger"),
            Self::NotRemoved(n, what) => write!(f, "service {n} has no name, but {what}"),
            Self::WrongLog(n, what) => write!(f, "the log of service {n}: {what}"),
            Self::NotEnded(n, what) => write!(f, "after the end of svscan, service {n}: {what}"),
            Self::Ended(how) => write!(f, "svscan has ended: {how:?}"),
            Self::NotRefused(how) => write!(f, "a second svscan has ended: {how:?}"),
            Self::Busy => write!(f, "svscan makes calls without waiting"),
            Self::Descriptors(count) => write!(f, "svscan has {count} descriptors"),
            Self::Inherited(fds) => write!(f, "a service has descriptors of svscan: {fds:?}"),
            Self::Zombie(pid) => write!(f, "process {pid} has ended and is not reaped"),
            Self::Excused => write!(f, "nothing has kept the pipe of a service"),
            Self::Endless => write!(f, "the processes never come to rest"),
            Self::Panic => write!(f, "a program has panicked"),
            Self::UnknownCall(number) => write!(f, "the kernel does not know {number}"),
        }
    }
}

/// The running processes in a directory that `is_it` selects.
fn standing(kernel: &Kernel, directory: InodeNumber, is_it: impl Fn(&Proc) -> bool) -> Vec<Pid> {
    let here = kernel
        .running()
        .filter(|(pid, process)| kernel.directory_of_process(*pid) == directory && is_it(process));
    here.map(|(pid, _)| pid).collect()
}

/// The processes of the service in a directory.
#[must_use]
pub fn services(kernel: &Kernel, directory: InodeNumber) -> Vec<Pid> {
    standing(kernel, directory, |it| it.arguments[0] == b"/bin/speaker")
}

/// The loggers of the directory `log`, whose output directory is `main`. A standby process is none.
#[must_use]
pub fn loggers(kernel: &Kernel, log: InodeNumber, main: Option<InodeNumber>) -> Vec<Pid> {
    let is_logger = |it: &Proc| {
        let name = &it.arguments[0];
        name == b"/bin/listener" || name == b"multilog" && it.has_executed
    };
    let mut found = standing(kernel, log, is_logger);
    found.extend(main.iter().flat_map(|main| standing(kernel, *main, is_logger)));
    found
}

/// The supervises of a directory. A child that is not yet its service is none.
#[must_use]
pub fn supervises(kernel: &Kernel, directory: InodeNumber) -> Vec<Pid> {
    standing(kernel, directory, |it| it.arguments[0] == b"supervise" && it.has_executed)
}

/// A directory with its processes.
#[derive(Debug)]
pub struct Found {
    /// Those of the service.
    pub services: Vec<Pid>,
    /// Its supervises.
    pub supervises: Vec<Pid>,
    /// Its loggers.
    pub loggers: Vec<Pid>,
    /// Their supervises.
    pub log_supervises: Vec<Pid>,
}

impl Found {
    /// Looks at the service directory with this path.
    #[must_use]
    pub fn at(kernel: &Kernel, path: &str) -> Option<Self> {
        let directory = kernel.inode_at(path)?;
        let log = kernel.inode_at(&format!("{path}/log"));
        let main = kernel.inode_at(&format!("{path}/log/main"));
        let of_log = log.map(|log| (loggers(kernel, log, main), supervises(kernel, log)));
        let (loggers, log_supervises) = of_log.unwrap_or_default();
        let (services, supervises) = (services(kernel, directory), supervises(kernel, directory));
        Some(Self { services, supervises, loggers, log_supervises })
    }

    /// Whether nothing runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let all = [&self.services, &self.supervises, &self.loggers, &self.log_supervises];
        all.iter().all(|it| it.is_empty())
    }

    /// Checks a service with a name at rest. One that `lasts` runs.
    ///
    /// # Errors
    /// The broken promise.
    pub fn check_up(&self, n: usize, lasts: bool, has_logger: bool) -> Result<(), Violation> {
        let count = usize::from(has_logger);
        let is_right = self.supervises.len() == 1
            && self.log_supervises.len() == count
            && self.loggers.len() == count
            && (!lasts || self.services.len() == 1);
        if is_right { Ok(()) } else { Err(Violation::NotUp(n, format!("{self:?}"))) }
    }

    /// Checks that the service writes into the pipe that its logger reads.
    ///
    /// # Errors
    /// The broken promise.
    pub fn check_pipe(&self, kernel: &Kernel, n: usize) -> Result<(), Violation> {
        let of = |pids: &[Pid], fd| pids.first().and_then(|pid| kernel.file_of(*pid, fd));
        let ends = [of(&self.services, 1), of(&self.loggers, 0)];
        match ends {
            [Some(one), Some(other)] if one != other => Err(Violation::Apart(n)),
            _ => Ok(()),
        }
    }
}

/// The text in the log of a service.
#[must_use]
pub fn log(kernel: &Kernel, path: &str) -> Vec<u8> {
    match kernel.look_up(&format!("{path}/log/main/current")).map(|it| &it.content) {
        Some(Content::File(text)) => text.clone(),
        _ => Vec::new(),
    }
}

/// Checks that a log is what the service has written into the pipe.
///
/// # Errors
/// The broken promise.
pub fn check_log(n: usize, log: &[u8], written: &[u8]) -> Result<(), Violation> {
    if log == written {
        return Ok(());
    }
    let [log, written] = [log, written].map(String::from_utf8_lossy);
    let same = log.lines().zip(written.lines()).take_while(|(one, other)| one == other).count();
    let [found, wanted] = [&log, &written].map(|it| it.lines().nth(same).unwrap_or("the end"));
    Err(Violation::WrongLog(n, format!("{found:?} in the place of {wanted:?}")))
}
