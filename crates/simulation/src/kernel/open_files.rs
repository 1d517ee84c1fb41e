//! Open files.

use super::state::Kernel;
use super::tables::{File, Kind, Open, bits};

impl Kernel {
    /// Opens a file in process `n`, close-on-exec.
    pub(crate) fn open(&mut self, n: usize, kind: Kind) -> Open {
        let file = self.free_files.trailing_zeros();
        assert!(file < 128, "no more open files");
        self.free_files &= !(1 << file);
        self.files[file as usize] = File { kind, users: 1, how: None };
        self.processes[n].files |= 1 << file;
        match kind {
            Kind::ControlReader(dir) => self.dirs[dir].control_readers += 1,
            Kind::ControlWriter(dir) => self.dirs[dir].control_writers += 1,
            Kind::Ok(dir) => self.dirs[dir].ok_readers += 1,
            Kind::ReadEnd(pipe) => self.pipes[pipe].readers += 1,
            Kind::WriteEnd(pipe) => self.pipes[pipe].writers += 1,
            Kind::Watch => {
                self.world.watched = true;
                self.world.changes.clear();
            }
            Kind::Plain | Kind::ScanLock | Kind::Lock(_) | Kind::Process(..) => {}
        }
        file as Open
    }

    /// Closes a file in process `n`.
    pub(crate) fn close(&mut self, n: usize, file: Open) {
        self.processes[n].files &= !(1 << file);
        self.release(file);
    }

    /// Drops one reference; the last one closes the file.
    pub(super) fn release(&mut self, file: Open) {
        let entry = &mut self.files[file as usize];
        entry.users -= 1;
        if entry.users > 0 {
            return;
        }
        self.free_files |= 1 << file;
        match self.files[file as usize].kind {
            Kind::Plain | Kind::Process(..) => {}
            Kind::Watch => self.world.watched = false,
            Kind::ScanLock => {
                if self.world.scan_lock.is_some_and(|(holder, _)| holder == file) {
                    self.world.scan_lock = None;
                }
            }
            Kind::Lock(dir) => {
                if self.dirs[dir].lock.is_some_and(|(holder, _)| holder == file) {
                    self.dirs[dir].lock = None;
                }
            }
            Kind::ControlReader(dir) => {
                self.dirs[dir].control_readers -= 1;
                self.drain_control(dir);
            }
            Kind::ControlWriter(dir) => {
                self.dirs[dir].control_writers -= 1;
                self.drain_control(dir);
            }
            Kind::Ok(dir) => self.dirs[dir].ok_readers -= 1,
            Kind::ReadEnd(pipe) => {
                self.pipes[pipe].readers -= 1;
                self.drain_pipe(pipe);
            }
            Kind::WriteEnd(pipe) => {
                self.pipes[pipe].writers -= 1;
                self.drain_pipe(pipe);
            }
        }
    }

    /// Whether process `n` has a close-on-exec descriptor of this kind.
    pub(crate) fn is_open(&self, n: usize, kind: Kind) -> bool {
        bits(self.processes[n].files).any(|file| self.files[file as usize].kind == kind)
    }

    /// The number of close-on-exec descriptors of process `n`.
    pub(crate) fn count_files(&self, n: usize) -> u32 {
        self.processes[n].files.count_ones()
    }

    /// Closes all descriptors of this kind in process `n`.
    pub(crate) fn close_kind(&mut self, n: usize, kind: Kind) {
        for file in bits(self.processes[n].files) {
            if self.files[file as usize].kind == kind {
                self.close(n, file);
            }
        }
    }

    /// The kind of an open file.
    pub(crate) fn kind(&self, file: Open) -> Kind {
        self.files[file as usize].kind
    }

    /// Makes an open file the standard output or input of process `n`, which exec keeps.
    pub(crate) fn replace(&mut self, n: usize, output: bool, file: Open) {
        self.files[file as usize].users += 1;
        let process = &mut self.processes[n];
        let place = if output { &mut process.stdout } else { &mut process.stdin };
        if let Some(old) = place.replace(file) {
            self.release(old);
        }
    }
}
