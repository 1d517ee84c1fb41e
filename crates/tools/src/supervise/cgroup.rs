//! The control group of a service: whoever the service has started is in it, wherever it has put
//! itself, and it can be counted, limited and killed as a whole.
//!
//! It is made below our own group, or below the one that DAEMONTOOLS_CGROUP names: a directory in a
//! cgroup2 file system, which only there can have groups with limits if nobody is in it itself.

use crate::paths::{PATH_MAX, join};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::decimal::{self, Decimal};
use daemontools_core::options::Resources;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fs, process};

const VARIABLE: &str = "DAEMONTOOLS_CGROUP";

/// Where systemd and others mount it, alone or beside the first version.
const MOUNTS: [&CStr; 2] = [c"/sys/fs/cgroup", c"/sys/fs/cgroup/unified"];

/// More than any list of processes that we may have to read at once.
const LARGEST: usize = 1 << 20;

/// So many processes of a group are held at once, each with a descriptor.
const HELD_AT_ONCE: usize = 64;

/// A group, which exists.
pub(super) struct Cgroup {
    dir: OwnedFd,
    path: CString,
    /// It is the kernel that says who is in it.
    is_kernels: bool,
}

/// What could not be done with a group, and why.
pub(super) struct Trouble(pub(super) &'static str, pub(super) Errno);

impl Cgroup {
    /// Makes the group of a service, or finds the one that was made before. `name` is what people
    /// call the service, and `inode` tells it from others of that name.
    ///
    /// # Errors
    /// Where there is no cgroup2, or no right to make groups in it.
    pub(super) fn of(name: &[u8], inode: u64) -> Result<Self> {
        let base = match process::env(VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => path.to_bytes().to_vec(),
            None => own()?,
        };
        let name = name.rsplit(|&c| c == b'/').find(|part| !part.is_empty()).unwrap_or_default();
        // A name of 255 bytes has no room for a number.
        let name = name.get(..200).unwrap_or(name);
        let path = [&base, &b"/"[..], name, b".", Decimal::new(inode).as_bytes()].concat();
        let path = CString::new(path).map_err(|_| Errno::INVAL)?;
        match fs::mkdir(fs::HERE, &path, 0o755) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let dir = fs::reach_dir(fs::HERE, &path)?;
        let is_kernels = fs::is_cgroup(dir.as_fd());
        Ok(Self { dir, path, is_kernels })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &[u8] {
        self.path.to_bytes()
    }

    /// Puts this process into it.
    ///
    /// # Errors
    /// What writing says; EAGAIN when it has as many processes as it may.
    pub(super) fn enter(&self) -> Result<()> {
        self.write(c"cgroup.procs", b"0")
    }

    /// Limits all processes of the group together.
    ///
    /// # Errors
    /// The file that could not be written, and why.
    pub(super) fn limit(&self, resources: &Resources) -> core::result::Result<(), Trouble> {
        let number = |value: u64| Decimal::new(value).as_bytes().to_vec();
        let (memory, pids) = (resources.memory.map(number), resources.pids.map(number));
        // So many of 100,000 microseconds.
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
                // What an earlier start has set; where nothing was, there need not be a file.
                let _ = self.write(file, b"max");
                continue;
            };
            // It may be enabled already, or by others only; what counts is the limit.
            let _ = self.write(c"../cgroup.subtree_control", controller);
            self.write(file, &value).map_err(|error| Trouble(shown, error))?;
        }
        Ok(())
    }

    /// The processes in it; none if anybody else than the kernel can say that.
    pub(super) fn processes(&self) -> Vec<Pid> {
        if !self.is_kernels {
            return Vec::new();
        }
        let text = fs::read_whole(self.dir.as_fd(), c"cgroup.procs", LARGEST).unwrap_or_default();
        let numbers = text.split(|&c| c == b'\n').filter_map(decimal::parse);
        numbers.filter_map(|number| Pid::new(i32::try_from(number).ok()?)).collect()
    }

    /// Sends a signal to each of them but this one. Each is taken hold of, and then looked for
    /// again: by then its number could be that of a stranger.
    pub(super) fn signal_each(&self, except: Pid, signal: i32) {
        for part in self.processes().chunks(HELD_AT_ONCE) {
            let held = part.iter().filter(|pid| **pid != except);
            let held = held.filter_map(|pid| Some((pid, Handle::open(*pid).ok()??)));
            let held: Vec<(&Pid, Handle)> = held.collect();
            let still = self.processes();
            for (_, handle) in held.iter().filter(|(pid, _)| still.contains(pid)) {
                let _ = handle.signal(signal);
            }
        }
    }

    /// Kills all of them at once.
    ///
    /// # Errors
    /// ENOENT before Linux 5.14.
    pub(super) fn kill(&self) -> Result<()> {
        self.write(c"cgroup.kill", b"1")
    }

    /// Removes it, unless there is somebody in it.
    pub(super) fn remove(&self) {
        let _ = fs::rmdir(fs::HERE, &self.path);
    }

    fn write(&self, file: &CStr, bytes: &[u8]) -> Result<()> {
        fs::write_file(self.dir.as_fd(), file, bytes)
    }
}

/// The path of our own group.
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
