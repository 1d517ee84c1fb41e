//! The control group of a service: all processes that the service has started, whatever session or
//! parent they have. The group is counted, limited and killed as a whole.
//!
//! It is made below the group of the supervisor, or below the one that DAEMONTOOLS_CGROUP names, in
//! a cgroup2 file system. There a group that has processes itself cannot have child groups with limits.
//!
//! The named directory may be delegated to another user. That user could put a link or a plain
//! directory in the place of a group, or make a group and move processes of other services into it.
//! So nothing is written before the group is known to be the kernel's and made by our user: only its
//! owner and root can then move processes into it.

use crate::common::paths::{PATH_MAX, join};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::options::ResourceLimits;
use daemontools_core::text::decimal::{self, Decimal};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fs, process};

const VARIABLE: &str = "DAEMONTOOLS_CGROUP";

/// Where cgroup2 is mounted: alone, or beside cgroup version 1.
const MOUNTS: [&CStr; 2] = [c"/sys/fs/cgroup", c"/sys/fs/cgroup/unified"];

/// The largest list of processes that is read: more than all process ids of a machine.
const PROCS_LIMIT: usize = 1 << 26;

/// How many processes are signalled in one turn; each needs a descriptor.
const HANDLES_PER_TURN: usize = 64;

/// An existing group.
pub(super) struct Cgroup {
    /// The group in which it was made.
    base: OwnedFd,
    name: CString,
    dir: OwnedFd,
    path: CString,
}

/// A limit that could not be set.
pub(super) struct LimitError {
    pub(super) file: &'static str,
    pub(super) error: Errno,
}

impl Cgroup {
    /// Opens the group of a service, and makes it if it is missing. `inode` distinguishes services
    /// of the same `name`.
    ///
    /// # Errors
    /// ENOENT without cgroup2, EOPNOTSUPP for a directory elsewhere, EACCES without the right to make
    /// groups, EPERM for a group of another user that has processes, and the other errors of mkdir(2)
    /// and open(2).
    pub(super) fn of(name: &[u8], inode: u64) -> Result<Self> {
        let base = match process::env(VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => path.to_bytes().to_vec(),
            None => own()?,
        };
        let name = name.rsplit(|&c| c == b'/').find(|part| !part.is_empty()).unwrap_or_default();
        // The whole name, with the number, may have 255 bytes.
        let name = name.get(..200).unwrap_or(name);
        let name = [name, b".", Decimal::new(inode).as_bytes()].concat();
        let string = |bytes| CString::new(bytes).map_err(|_| Errno::INVAL);
        let path = string([&base, &b"/"[..], &name].concat())?;
        let (base, name) = (string(base)?, string(name)?);
        let base = fs::reach_dir(fs::HERE, &base)?;
        if !fs::is_cgroup(base.as_fd()) {
            return Err(Errno::OPNOTSUPP);
        }
        let dir = make(base.as_fd(), &name)?;
        Ok(Self { base, name, dir, path })
    }

    /// The path of the group.
    pub(super) fn path(&self) -> &[u8] {
        self.path.to_bytes()
    }

    /// Moves this process into the group.
    ///
    /// # Errors
    /// EAGAIN when the group has as many processes as its limit, and the other errors of write(2).
    pub(super) fn enter(&self) -> Result<()> {
        self.write(c"cgroup.procs", b"0")
    }

    /// Sets the limits of the group.
    ///
    /// # Errors
    /// The first limit that could not be set.
    pub(super) fn limit(&self, resources: &ResourceLimits) -> core::result::Result<(), LimitError> {
        let number = |value: u64| Decimal::new(value).as_bytes().to_vec();
        let (memory, pids) = (resources.memory.map(number), resources.pids.map(number));
        // cpu.max: microseconds of processor time in each period of 100,000.
        let cpu = resources.cpu.map(|share| {
            let micros = Decimal::new(u64::from(share.0) * 1000);
            [micros.as_bytes(), b" 100000"].concat()
        });
        let wanted = [
            ("memory.max", c"memory.max", &b"+memory"[..], memory),
            ("cpu.max", c"cpu.max", b"+cpu", cpu),
            ("pids.max", c"pids.max", b"+pids", pids),
        ];
        for (shown, file, controller, value) in wanted {
            let Some(value) = value else {
                // An earlier start may have set it. Without the controller there is no file.
                let _ = self.write(file, b"max");
                continue;
            };
            // The controller may be enabled already, or only another user may enable it. The write
            // of the limit tells.
            let _ = self.write(c"../cgroup.subtree_control", controller);
            self.write(file, &value).map_err(|error| LimitError { file: shown, error })?;
        }
        Ok(())
    }

    /// How many of its processes the kernel has killed because their memory was used up
    /// (`memory.events`, see cgroups(7)); 0 without the controller.
    pub(super) fn out_of_memory_kills(&self) -> u64 {
        self.count_of(c"memory.events", b"oom_kill ")
    }

    /// How many processes the kernel has refused because of a limit (`pids.events`); 0 without the controller.
    pub(super) fn refused_processes(&self) -> u64 {
        self.count_of(c"pids.events", b"max ")
    }

    fn count_of(&self, file: &CStr, name: &[u8]) -> u64 {
        let mut room = [0; 512];
        let text = fs::read_start(self.dir.as_fd(), file, &mut room);
        let mut lines = text.unwrap_or_default().split(|&c| c == b'\n');
        lines.find_map(|line| decimal::parse(line.strip_prefix(name)?)).unwrap_or(0)
    }

    /// The processes of the group.
    pub(super) fn processes(&self) -> Vec<Pid> {
        let text =
            fs::read_whole(self.dir.as_fd(), c"cgroup.procs", PROCS_LIMIT).unwrap_or_default();
        let numbers = text.split(|&c| c == b'\n').filter_map(decimal::parse);
        numbers.filter_map(|number| Pid::new(i32::try_from(number).ok()?)).collect()
    }

    /// Sends a signal to each process of the group except one.
    ///
    /// A number can pass to a foreign process before its handle is open. So the list is read again
    /// after that: a number that is still listed has a right handle.
    pub(super) fn signal_each(&self, except: Pid, signal: i32) {
        for part in self.processes().chunks(HANDLES_PER_TURN) {
            let handles = part.iter().filter(|pid| **pid != except);
            let handles = handles.filter_map(|pid| Some((pid, Handle::open(*pid).ok()??)));
            let handles: Vec<(&Pid, Handle)> = handles.collect();
            let still = self.processes();
            for (_, handle) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
                let _ = handle.signal(signal);
            }
        }
    }

    /// Kills the whole group at once.
    ///
    /// # Errors
    /// ENOENT before Linux 5.14.
    pub(super) fn kill(&self) -> Result<()> {
        self.write(c"cgroup.kill", b"1")
    }

    /// Thaws the group. Returns whether it was frozen: then its processes would notice no signal but
    /// KILL.
    pub(super) fn thaw(&self) -> bool {
        let mut room = [0; 8];
        let state = fs::read_start(self.dir.as_fd(), c"cgroup.freeze", &mut room);
        state.is_ok_and(|state| state.starts_with(b"1"))
            && self.write(c"cgroup.freeze", b"0").is_ok()
    }

    /// Removes the group, unless it has processes.
    pub(super) fn remove(&self) {
        let _ = fs::rmdir(self.base.as_fd(), &self.name);
    }

    fn write(&self, file: &CStr, bytes: &[u8]) -> Result<()> {
        fs::write_file(self.dir.as_fd(), file, bytes)
    }
}

/// Makes and opens a group, or opens one of our user.
fn make(base: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    match fs::mkdir(base, name, 0o755) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let open = || {
        let dir = fs::reach_real_dir(base, name)?;
        let is_right = fs::is_cgroup(dir.as_fd()) && fs::is_own(dir.as_fd());
        if is_right { Ok(dir) } else { Err(Errno::PERM) }
    };
    let opened = open();
    if opened.as_ref().err() != Some(&Errno::PERM) {
        return opened;
    }
    // Another user has made it. Without processes it can be replaced.
    fs::rmdir(base, name).map_err(|_| Errno::PERM)?;
    fs::mkdir(base, name, 0o755)?;
    open()
}

/// The path of the group that the supervisor is in.
fn own() -> Result<Vec<u8>> {
    let mount = MOUNTS
        .into_iter()
        .find(|mount| {
            let mut room = [0; 64];
            let path = join(&mut room, mount.to_bytes(), b"cgroup.procs");
            path.is_some_and(|path| fs::exists(fs::HERE, path) == Ok(true))
        })
        .ok_or(Errno::NOENT)?;
    let text = fs::read_whole(fs::HERE, c"/proc/self/cgroup", PATH_MAX)?;
    let own = text.split(|&c| c == b'\n').find_map(|line| line.strip_prefix(b"0::"));
    let own = own.ok_or(Errno::NOENT)?;
    Ok([mount.to_bytes(), own.strip_suffix(b"/").unwrap_or(own)].concat())
}
