//! Descriptors of processes.

use super::files::Content;
use super::{Ended, Kernel, Pid, Proc, Result};
use linux_raw_sys::errno::{EBADF, EFAULT, EINVAL, ENOTTY, ESRCH};
use linux_raw_sys::general::{O_NONBLOCK, O_RDWR, POLLHUP, POLLIN};
use machine::{copy_in, copy_out};

/// `PIDFD_GET_INFO` with the first version of `struct pidfd_info`.
pub(crate) const GET_INFO: u32 = 0xc040_ff0b;

/// The length of that struct: the mask, 52 bytes of numbers, and the status word of wait(2).
const LENGTH: usize = 64;
const STATUS: usize = 60;

/// `PIDFD_INFO_EXIT`
const EXIT: u64 = 8;

impl Kernel {
    fn by_serial(&self, serial: u64) -> Option<(Pid, &Proc)> {
        let mut processes = self.processes.iter();
        processes.find(|(_, it)| it.serial == serial).map(|(pid, it)| (*pid, it))
    }

    /// pidfd_open
    pub(crate) fn open_handle(&mut self, pid: Pid, of: Pid, flags: u32) -> Result<usize> {
        if of <= 0 || flags & !O_NONBLOCK != 0 {
            return Err(EINVAL);
        }
        let serial = self.processes.get(&of).ok_or(ESRCH)?.serial;
        let number = self.new_inode(Content::ProcessHandle(serial), 0o600);
        self.inodes.get_mut(&number).expect("just made").links = 0;
        let key = self.new_open_file(number, O_RDWR | flags);
        self.install(pid, key, true, 0)
    }

    fn handle(&self, pid: Pid, fd: usize) -> Result<u64> {
        match self.inodes[&self.inode_of(pid, fd)?].content {
            Content::ProcessHandle(serial) => Ok(serial),
            _ => Err(EBADF),
        }
    }

    /// pidfd_send_signal
    pub(crate) fn signal_handle(
        &mut self,
        pid: Pid,
        [fd, signal, info]: [usize; 3],
    ) -> Result<usize> {
        let (to, _) = self.by_serial(self.handle(pid, fd)?).ok_or(ESRCH)?;
        match info {
            0 => self.kill(pid, to, signal),
            info => self.queue(to, signal, info),
        }
    }

    /// What poll(2) tells about the descriptor of a process.
    pub(crate) fn handle_events(&self, serial: u64) -> u32 {
        match self.by_serial(serial) {
            Some((_, process)) if process.ended.is_none() => 0,
            Some(_) => POLLIN,
            None if self.tells_ends => POLLIN | POLLHUP,
            None => POLLIN,
        }
    }

    /// The ioctl PIDFD_GET_INFO, as far as the programs use it.
    pub(crate) fn handle_info(&self, pid: Pid, fd: usize, address: usize) -> Result<usize> {
        let serial = self.handle(pid, fd).map_err(|_| ENOTTY)?;
        if !self.tells_ends {
            return Err(ENOTTY);
        }
        let mut info = copy_in(address, LENGTH).ok_or(EFAULT)?;
        let asked = u64::from_ne_bytes(info[..8].try_into().map_err(|_| EINVAL)?);
        let ended = self.pids.end_of(serial).filter(|_| asked & EXIT != 0);
        let mask = if ended.is_some() { EXIT } else { 0 };
        info[..8].copy_from_slice(&mask.to_ne_bytes());
        if let Some(ended) = ended {
            info[STATUS..].copy_from_slice(&Ended::status(ended).to_ne_bytes());
        }
        if copy_out(address, &info) { Ok(0) } else { Err(EFAULT) }
    }
}
