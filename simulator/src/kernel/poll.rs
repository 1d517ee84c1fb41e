//! poll, and time.

use super::files::Content;
use super::open::OpenFile;
use super::{Kernel, Outcome, Pid, Result};
use linux_raw_sys::errno::{EFAULT, EINVAL};
use linux_raw_sys::general::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, POLLERR, POLLHUP,
    POLLIN, POLLNVAL, POLLOUT,
};
use machine::{copy_in, copy_out, read_word};

impl Kernel {
    /// What poll(2) tells about a descriptor.
    fn events(&self, pid: Pid, fd: i32, asked: u32) -> u32 {
        match self.open_file(pid, fd.unsigned_abs() as usize) {
            Ok((_, file)) => self.file_events(pid, file) & (asked | POLLERR | POLLHUP),
            Err(_) => POLLNVAL,
        }
    }

    /// The events of an open file.
    pub(crate) fn file_events(&self, pid: Pid, file: &OpenFile) -> u32 {
        match &self.inodes[&file.inode].content {
            Content::Pipe(pipe) => {
                let mut now = 0;
                if file.reads() {
                    now |= if pipe.bytes.is_empty() { 0 } else { POLLIN };
                    now |= if pipe.writers == 0 { POLLHUP } else { 0 };
                }
                if file.writes() {
                    // The real one has room when a page is free.
                    now |= if pipe.room() >= 4096 { POLLOUT } else { 0 };
                    now |= if pipe.readers == 0 { POLLERR | POLLOUT } else { 0 };
                }
                now
            }
            Content::Signals(set) => {
                if self.processes[&pid].pending & set != 0 {
                    POLLIN
                } else {
                    0
                }
            }
            Content::ProcessHandle(serial) => self.handle_events(*serial),
            Content::Watches(watches) if watches.is_readable() => POLLIN,
            Content::Watches(_) => 0,
            Content::EventSet(members) if self.set_events(pid, members).is_empty() => 0,
            Content::EventSet(_) => POLLIN,
            _ => POLLIN | POLLOUT,
        }
    }

    pub(crate) fn poll(
        &mut self,
        pid: Pid,
        fds: usize,
        count: usize,
        timeout: usize,
    ) -> Result<Outcome> {
        let array = copy_in(fds, 8 * count).ok_or(EFAULT)?;
        let mut answer = array.clone();
        let mut ready = 0;
        for entry in answer.chunks_exact_mut(8) {
            let fd = i32::from_ne_bytes(entry[..4].try_into().expect("4 bytes"));
            let asked = u16::from_ne_bytes([entry[4], entry[5]]);
            let events = if fd < 0 { 0 } else { self.events(pid, fd, u32::from(asked)) };
            ready += usize::from(events != 0);
            entry[6..8].copy_from_slice(&u16::try_from(events).unwrap_or(0).to_ne_bytes());
        }
        let deadline = match (self.processes[&pid].deadline, timeout) {
            (known @ Some(_), _) => known,
            (None, 0) => None,
            (None, at) => {
                let seconds = read_word(at).ok_or(EFAULT)? as u64;
                let rest = read_word(at + 8).ok_or(EFAULT)? as u64;
                let length = seconds.saturating_mul(1_000_000_000).saturating_add(rest);
                Some(self.now.saturating_add(length))
            }
        };
        if ready == 0 && deadline.is_none_or(|deadline| deadline > self.now) {
            self.processes.get_mut(&pid).expect("the caller's process").deadline = deadline;
            return Ok(Outcome::Wait);
        }
        if !copy_out(fds, &answer) {
            return Err(EFAULT);
        }
        Ok(Outcome::Return(ready))
    }

    pub(crate) fn clock(&self, id: usize, address: usize) -> Result<usize> {
        let time = match u32::try_from(id) {
            Ok(CLOCK_REALTIME) => self.wall_time(),
            Ok(CLOCK_MONOTONIC | CLOCK_BOOTTIME) => self.now,
            // No program computes for long.
            Ok(CLOCK_PROCESS_CPUTIME_ID) => 0,
            _ => return Err(EINVAL),
        };
        let [seconds, rest] = [time / 1_000_000_000, time % 1_000_000_000].map(u64::to_ne_bytes);
        if copy_out(address, &[seconds, rest].concat()) { Ok(0) } else { Err(EFAULT) }
    }

    /// The next moment at which a wait ends by itself.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let running = self.processes.values().filter(|process| !process.is_stopped);
        running.filter_map(|process| process.deadline).min()
    }

    /// Sets the wall clock, by a number of seconds.
    pub(crate) const fn set_clock_by(&mut self, seconds: i64) {
        self.wall = self.wall.saturating_add_signed(seconds.saturating_mul(1_000_000_000));
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
        if self.next_deadline().is_some_and(|due| due <= self.now) {
            self.changed();
        }
    }
}
