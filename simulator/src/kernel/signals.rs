//! Signals.

use super::{Kernel, Outcome, Pid, Result};
use linux_raw_sys::errno::{EAGAIN, EFAULT, EINVAL, ESRCH};
use linux_raw_sys::general::{
    SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN,
    SIGTTOU, SIGURG, SIGWINCH,
};
use machine::{copy_in, copy_out};

/// The bit of a signal in a set.
pub(crate) const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// Signals without effect by default.
const HARMLESS: u64 = bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH);

/// Signals that stop a process by default. STOP cannot be blocked or ignored.
const STOPS: u64 = bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);

/// Signals that no process can block or ignore.
const FORCED: u64 = bit(SIGKILL) | bit(SIGSTOP);

/// The first signal of which each one is delivered.
const FIRST_QUEUED: u32 = 32;

/// What comes with a signal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SignalInfo {
    signal: u32,
    /// `SI_USER`, `SI_QUEUE` or one of the kernel's.
    code: i32,
    sender: Pid,
    value: u64,
}

/// The length of `struct signalfd_siginfo`.
const RECORD: usize = 128;

impl Kernel {
    /// Makes a signal pending, or ends the process.
    pub(crate) fn signal(&mut self, pid: Pid, signal: u32) {
        self.signal_with(pid, SignalInfo { signal, ..SignalInfo::default() });
    }

    fn signal_with(&mut self, pid: Pid, info: SignalInfo) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.ended.is_some() {
            return;
        }
        let signal = info.signal;
        if process.pending & bit(signal) == 0 || signal >= FIRST_QUEUED {
            process.signal_infos.retain(|it| process.pending & bit(it.signal) != 0);
            process.signal_infos.push(info);
        }
        process.pending |= bit(signal);
        if signal == SIGCONT {
            process.pending &= !STOPS;
            process.is_stopped = false;
        } else if STOPS & bit(signal) != 0 {
            process.pending &= !bit(SIGCONT);
        }
        self.changed();
        self.deliver(pid);
    }

    /// Performs the default actions of pending signals that are not blocked.
    pub(crate) fn deliver(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let open = process.pending & !(process.blocked & !FORCED);
        if process.is_stopped && open & bit(SIGKILL) == 0 {
            return;
        }
        let ignored = open & (process.ignored | HARMLESS) & !FORCED;
        process.pending &= !ignored;
        let fatal = open & !ignored & !STOPS;
        if fatal == 0 && open & STOPS & !ignored != 0 {
            process.pending &= !STOPS;
            process.is_stopped = true;
            return;
        }
        let fatal = if open & bit(SIGKILL) != 0 { bit(SIGKILL) } else { fatal };
        if fatal != 0 {
            self.end(pid, super::Ended::Killed(fatal.trailing_zeros() + 1));
        }
    }

    pub(crate) fn kill(&mut self, pid: Pid, to: Pid, signal: usize) -> Result<usize> {
        self.send(to, signal, SignalInfo { sender: pid, ..SignalInfo::default() })
    }

    /// pidfd_send_signal with a `siginfo_t`: signal, error, code, and from 16 on the sender, the user and the value.
    pub(crate) fn queue(&mut self, to: Pid, signal: usize, address: usize) -> Result<usize> {
        let info = copy_in(address, 32).ok_or(EFAULT)?;
        let number = |at: usize| i32::from_ne_bytes(info[at..at + 4].try_into().expect("4 bytes"));
        let value = u64::from_ne_bytes(info[24..].try_into().expect("8 bytes"));
        self.send(to, signal, SignalInfo { signal: 0, code: number(8), sender: number(16), value })
    }

    fn send(&mut self, to: Pid, signal: usize, info: SignalInfo) -> Result<usize> {
        let signal = u32::try_from(signal).map_err(|_| EINVAL)?;
        if to <= 0 || signal > 64 {
            return Err(EINVAL);
        }
        if !self.processes.contains_key(&to) {
            return Err(ESRCH);
        }
        if signal > 0 {
            self.signal_with(to, SignalInfo { signal, ..info });
        }
        Ok(0)
    }

    pub(crate) fn set_mask(
        &mut self,
        pid: Pid,
        how: usize,
        new: usize,
        old: usize,
    ) -> Result<usize> {
        let process = self.processes.get_mut(&pid).ok_or(ESRCH)?;
        let before = process.blocked;
        if new != 0 {
            let set = copy_in(new, 8).ok_or(EFAULT)?;
            let set = u64::from_ne_bytes(set.try_into().map_err(|_| EINVAL)?);
            process.blocked = match u32::try_from(how) {
                Ok(SIG_BLOCK) => before | set,
                Ok(SIG_UNBLOCK) => before & !set,
                Ok(SIG_SETMASK) => set,
                _ => return Err(EINVAL),
            };
        }
        if old != 0 && !copy_out(old, &before.to_ne_bytes()) {
            return Err(EFAULT);
        }
        self.deliver(pid);
        Ok(0)
    }

    /// `struct sigaction` of the kernel: handler, flags, restorer, mask.
    pub(crate) fn set_action(
        &mut self,
        pid: Pid,
        signal: usize,
        new: usize,
        old: usize,
    ) -> Result<usize> {
        let signal = u32::try_from(signal).ok().filter(|it| (1..=64).contains(it)).ok_or(EINVAL)?;
        let process = self.processes.get_mut(&pid).ok_or(ESRCH)?;
        let was_ignored = u64::from(process.ignored & bit(signal) != 0);
        if new != 0 {
            match machine::read_word(new).ok_or(EFAULT)? {
                0 => process.ignored &= !bit(signal),
                1 => process.ignored |= bit(signal),
                // The programs have no handlers.
                _ => return Err(EINVAL),
            }
            // A signal without effect does not stay pending, even if it is blocked.
            if (process.ignored | HARMLESS) & bit(signal) != 0 {
                process.pending &= !bit(signal);
            }
        }
        if old != 0 && !copy_out(old, &[was_ignored, 0, 0, 0].map(u64::to_ne_bytes).concat()) {
            return Err(EFAULT);
        }
        self.deliver(pid);
        Ok(0)
    }

    pub(crate) fn read_signals(
        &mut self,
        pid: Pid,
        set: u64,
        buffer: usize,
        length: usize,
        waits: bool,
    ) -> Result<Outcome> {
        if length < RECORD {
            return Err(EINVAL);
        }
        let process = self.processes.get_mut(&pid).ok_or(ESRCH)?;
        let mut bytes = Vec::new();
        while process.pending & set != 0 && bytes.len() + RECORD <= length {
            let signal = (process.pending & set).trailing_zeros() + 1;
            let place = process.signal_infos.iter().position(|it| it.signal == signal);
            let info = place.map(|place| process.signal_infos.remove(place)).unwrap_or_default();
            if process.signal_infos.iter().all(|it| it.signal != signal) {
                process.pending &= !bit(signal);
            }
            let end = bytes.len() + RECORD;
            bytes.extend(signal.to_ne_bytes());
            bytes.extend([0, info.code, info.sender].map(i32::to_ne_bytes).concat());
            bytes.resize(end - RECORD + 44, 0);
            // The lower half, and all of it.
            bytes.extend(&info.value.to_ne_bytes()[..4]);
            bytes.extend(info.value.to_ne_bytes());
            bytes.resize(end, 0);
        }
        match bytes.is_empty() {
            true if waits => Ok(Outcome::Wait),
            true => Err(EAGAIN),
            false if copy_out(buffer, &bytes) => Ok(Outcome::Return(bytes.len())),
            false => Err(EFAULT),
        }
    }
}
