//! A scan directory: its services, its other entries, and the svscan that holds it.

use crate::{Process, ServiceDir};
use daemontools_core::sorting::sort_by;
use daemontools_core::text::proc_locks;
use rustix::fs::{Mode, OFlags, Stat, fstat, major, minor, open};
use rustix::process::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long /proc/locks is read.
const LOCKS_TIME: Duration = Duration::from_millis(100);

/// How often /proc/locks is read until it has the lock. The kernel gives a page of it at once, and goes on
/// by the number of the entry: if another lock before it ends between two pages, an entry is left out.
const LOCKS_READINGS: usize = 3;

/// The supervised services that are looked at to find a supervisor.
const MOST_SUPERVISED: usize = 8;

/// A scan directory.
///
/// ```no_run
/// let services = servicedir::ScanDir::new("/service");
/// for entry in services.entries()? {
///     println!("{:?}: {:?}", entry.name, entry.kind);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanDir {
    path: PathBuf,
}

/// An entry of a scan directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What svscan makes of it.
    pub kind: EntryKind,
}

/// What svscan makes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A directory: svscan starts a supervise for it.
    Service,
    /// A file of another kind, which svscan ignores or cannot use.
    NotADirectory,
    /// A link to a path that does not exist.
    DanglingLink(PathBuf),
    /// It cannot be examined, with the reason.
    Unknown(io::ErrorKind),
}

impl ScanDir {
    /// The scan directory at a path. Opens no file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The service directory of a name.
    #[must_use]
    pub fn service(&self, name: impl AsRef<OsStr>) -> ServiceDir {
        ServiceDir::new(self.path.join(name.as_ref()))
    }

    /// The entries, in the order of their names. Names that begin with a dot are left out, as svscan
    /// does.
    ///
    /// # Errors
    /// The errors of reading the directory.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in fs::read_dir(&self.path)? {
            let found = found?;
            let name = found.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            // The type is in the directory itself: no system call for a real directory.
            let kind = match found.file_type() {
                Ok(kind) if kind.is_dir() => EntryKind::Service,
                Ok(kind) if kind.is_symlink() => kind_of_link(&found.path()),
                Ok(_) => EntryKind::NotADirectory,
                Err(error) => EntryKind::Unknown(error.kind()),
            };
            entries.push(Entry { name, kind });
        }
        sort_by(&mut entries, |one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// The process that holds the lock of the scan directory: its svscan. `None` without one, and
    /// under the original's svscan, which takes no lock.
    ///
    /// Every user who may read the directory can lock it. Only a process of root, of the directory's
    /// owner or of this user counts, and it must have the scan directory as its current directory, as
    /// far as this user may see that.
    ///
    /// # Errors
    /// The errors of opening the directory and of reading /proc/locks.
    pub fn svscan(&self) -> io::Result<Option<NonZeroU32>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let stat = fstat(open(&self.path, flags, Mode::empty())?)?;
        let (device, inode) = (stat.st_dev, stat.st_ino);
        let wanted = (inode, (major(device), minor(device)));
        let until = Instant::now() + LOCKS_TIME;
        for _ in 0..LOCKS_READINGS {
            let locks = read_locks(until)?;
            let mut holders = proc_locks::holders(&locks);
            if let Some((.., pid)) = holders.find(|&(inode, device, _)| (inode, device) == wanted) {
                let pid = NonZeroU32::new(pid.get().cast_unsigned());
                return Ok(pid.filter(|pid| is_svscan(*pid, &stat)));
            }
        }
        Ok(None)
    }

    /// Whether a process is an svscan that stands in the scan directory, without a look at its lock: the
    /// kernel needs long to show all locks of a machine. False also if this user may not see where the
    /// process stands.
    #[must_use]
    pub fn is_svscan(&self, process: &Process) -> bool {
        let standing = fs::metadata(format!("/proc/{}/cwd", process.pid));
        let (Ok(dir), Ok(standing)) = (fs::metadata(&self.path), standing) else { return false };
        let Ok(found) = fs::metadata(format!("/proc/{}", process.pid)) else { return false };
        process.name == "svscan"
            && (standing.dev(), standing.ino()) == (dir.dev(), dir.ino())
            && [0, dir.uid(), geteuid().as_raw()].contains(&found.uid())
    }

    /// Whether one of these services is supervised, and no supervisor of the first of them can be seen in /proc:
    /// this process is in another PID namespace, or /proc hides the processes of other users. Then it is not
    /// known whether an svscan runs.
    #[must_use]
    pub fn are_supervisors_hidden<'a>(services: impl Iterator<Item = &'a ServiceDir>) -> bool {
        let supervised: Vec<&ServiceDir> = services
            .filter(|service| service.is_supervised().unwrap_or_default())
            .take(MOST_SUPERVISED)
            .collect();
        if supervised.is_empty() || supervised.iter().any(|service| is_process_visible(service)) {
            return false;
        }
        // A service that is down has no process, but its supervise has a lock.
        let until = Instant::now() + LOCKS_TIME;
        let Ok(locks) = read_locks(until) else { return false };
        let is_holder_visible = |service: &&ServiceDir| {
            let Ok(lock) = fs::metadata(service.state_dir().join("lock")) else { return false };
            let wanted = (lock.ino(), (major(lock.dev()), minor(lock.dev())));
            let mut holders = proc_locks::holders(&locks);
            holders.any(|(inode, device, pid)| {
                (inode, device) == wanted && fs::metadata(format!("/proc/{}", pid.get())).is_ok()
            })
        };
        // A text that was cut proves nothing.
        !supervised.iter().any(is_holder_visible) && Instant::now() < until
    }

    /// Tells the svscan of the scan directory to stop everything in order and to exit with this code,
    /// by `svc -H`. Returns whether svc could do that; it prints why not.
    ///
    /// # Errors
    /// The error of starting `svc`.
    pub fn halt(&self, code: u8) -> io::Result<bool> {
        let mut svc = std::process::Command::new("svc");
        svc.args(["-H", &code.to_string()]).arg(&self.path);
        Ok(svc.stdin(std::process::Stdio::null()).status()?.success())
    }
}

/// Whether the process of a service is seen as the child of a supervise in its directory.
fn is_process_visible(service: &ServiceDir) -> bool {
    let status = service.status().ok().flatten();
    let process = status.and_then(|it| it.pid).and_then(|pid| Process::read(pid.get()));
    let Some(parent) = process.and_then(|it| Process::read(it.parent)) else { return false };
    let place = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino()));
    let stands_there = || {
        // Without the right to see it, the name decides.
        let standing = place(&Path::new("/proc").join(parent.pid.to_string()).join("cwd"));
        standing.is_err() || place(service.path()).is_ok_and(|it| standing.is_ok_and(|at| at == it))
    };
    parent.name == "supervise" && stands_there()
}

/// The text of /proc/locks, or its beginning: any user can make it long, and reading it takes the square
/// of its length.
fn read_locks(until: Instant) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open("/proc/locks")?;
    let mut text = Vec::new();
    let mut room = [0; 16 * 1024];
    loop {
        match file.read(&mut room)? {
            0 => break,
            count => text.extend_from_slice(room.get(..count).unwrap_or_default()),
        }
        if until < Instant::now() {
            break;
        }
    }
    Ok(text)
}

/// Whether the holder of the lock on a directory can be its svscan.
fn is_svscan(pid: NonZeroU32, dir: &Stat) -> bool {
    let Ok(process) = fs::metadata(format!("/proc/{pid}")) else { return false };
    let user = process.uid();
    let is_trusted = [0, dir.st_uid, geteuid().as_raw()].contains(&user);
    let stands_elsewhere = || {
        // Without the right to see it, the user of the process decides.
        let standing = fs::metadata(format!("/proc/{pid}/cwd"));
        standing.is_ok_and(|at| (at.dev(), at.ino()) != (dir.st_dev, dir.st_ino))
    };
    is_trusted && !stands_elsewhere()
}

fn kind_of_link(path: &Path) -> EntryKind {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => EntryKind::Service,
        Ok(_) => EntryKind::NotADirectory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            EntryKind::DanglingLink(fs::read_link(path).unwrap_or_default())
        }
        Err(error) => EntryKind::Unknown(error.kind()),
    }
}
