//! The FIFOs `control` and `ok` of a state directory.

use super::state::{Kernel, trace};

impl Kernel {
    /// Opens the FIFO `ok` for writing; succeeds only if it has a reader.
    pub(crate) const fn listens(&self, dir: usize) -> bool {
        self.dirs[dir].ok_readers > 0
    }

    /// Opens the FIFO `control` for writing; succeeds only if it has a reader.
    pub(crate) const fn control_has_reader(&self, dir: usize) -> bool {
        self.dirs[dir].control_readers > 0
    }

    /// Writes command bytes, without zeros, to `control`; returns whether it has a reader.
    pub(crate) fn write_control(&mut self, dir: usize, bytes: &[u8]) -> bool {
        if !self.control_has_reader(dir) {
            return false;
        }
        let bytes = bytes.iter().filter(|&&byte| byte != 0);
        let before = self.dirs[dir].control.len();
        self.dirs[dir].control.extend(bytes);
        self.stats.commands += (self.dirs[dir].control.len() - before) as u64;
        true
    }

    /// svc stops waiting for a reader, and reports it.
    pub(crate) fn give_up(&mut self, dir: usize) {
        self.dirs[dir].given_up = true;
    }

    /// Reads all bytes of `control`.
    pub(crate) fn read_control(&mut self, dir: usize) -> Vec<u8> {
        let bytes = core::mem::take(&mut self.dirs[dir].control);
        trace!(self, "supervise of {dir} reads {:?}", core::str::from_utf8(&bytes));
        for &byte in &bytes {
            self.ledgers[dir].note_byte(byte);
        }
        bytes
    }

    /// Discards the bytes in `control` when no process has it open.
    pub(super) fn drain_control(&mut self, dir: usize) {
        let state = &mut self.dirs[dir];
        if state.control_readers + state.control_writers == 0 && !state.control.is_empty() {
            assert!(state.given_up, "commands for {dir} are lost without a word");
            state.given_up = false;
            self.stats.commands_lost += state.control.len() as u64;
            state.control.clear();
            trace!(self, "commands for {dir} are lost");
        }
    }
}
