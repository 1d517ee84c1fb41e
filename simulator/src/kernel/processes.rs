//! Processes: their beginning and their end.

use super::descriptors::Descriptor;
use super::signals::SignalInfo;
use super::tree::{InodeNumber, ROOT};
use super::{Kernel, Outcome, Pid, Result};
use linux_raw_sys::errno::{ECHILD, EFAULT, EINVAL};
use linux_raw_sys::general::{SIGCHLD, WNOHANG, WNOWAIT};
use machine::{Call, Process, copy_out, read_string, read_word};
use std::collections::BTreeMap;

/// The process that reaps orphans, which is the kernel itself.
pub(crate) const INIT: Pid = 1;

/// The file with what the programs of a scenario print.
pub const MESSAGES: &str = "/messages";

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Exited(u32),
    /// This signal killed it.
    Killed(u32),
}

impl Ended {
    /// The status word of wait(2).
    pub(crate) const fn status(self) -> u32 {
        match self {
            Self::Exited(code) => code << 8,
            Self::Killed(signal) => signal,
        }
    }
}

/// What a process does next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// It continues with this result.
    Run(isize),
    /// The kernel performs this call.
    Perform(Call),
    /// It sleeps until its child, which shares its memory, execs or ends.
    Sleep,
}

/// A process.
pub struct Proc {
    /// The parent.
    pub parent: Pid,
    /// The arguments of its program.
    pub arguments: Vec<Vec<u8>>,
    pub(crate) environment: Vec<Vec<u8>>,
    /// How it has ended, until it is reaped.
    pub ended: Option<Ended>,
    /// Its memory; none after its end.
    pub(crate) memory: Option<Process>,
    pub(crate) next: Next,
    /// The generation of the kernel in which its call could not be performed.
    pub(crate) waits_since: u64,
    pub(crate) descriptors: BTreeMap<i32, Descriptor>,
    pub(crate) directory: InodeNumber,
    pub(crate) umask: u32,
    pub(crate) blocked: u64,
    pub(crate) pending: u64,
    pub(crate) ignored: u64,
    /// When the call ends by itself.
    pub(crate) deadline: Option<u64>,
    /// How much a divided write has written.
    pub(crate) progress: usize,
    /// The parent that sleeps until this process execs or ends.
    pub(crate) wakes: Option<Pid>,
    /// The number of calls that it has made.
    pub calls: u64,
    /// When it was made, by the monotonic clock.
    pub(crate) started: u64,
    /// No other process ever has this number.
    pub(crate) serial: u64,
    /// It has executed its program itself, and is no copy.
    pub has_executed: bool,
    /// The file of its program.
    pub(crate) executable: InodeNumber,
    /// What came with the pending signals.
    pub(crate) signal_infos: Vec<SignalInfo>,
    /// The soft and the hard limit of open files.
    pub(crate) most_files: [u64; 2],
    /// STOP has come, and no CONT since.
    pub is_stopped: bool,
    /// Its process group.
    pub(crate) group: Pid,
    /// Its session.
    pub(crate) session: Pid,
    /// It becomes the parent of its orphaned descendants.
    pub(crate) is_subreaper: bool,
    /// It runs its parent's program, since a fork.
    pub(crate) is_fork: bool,
}

impl Proc {
    /// Whether it is a fork of this program with memory of its own.
    #[must_use]
    pub fn is_copy_of(&self, program: &[u8]) -> bool {
        self.arguments[0] == program && self.wakes.is_none()
    }

    /// Whether it is a child of this program between fork and exec, with memory of its own.
    #[must_use]
    pub fn is_fork_of(&self, program: &[u8]) -> bool {
        self.is_fork && self.is_copy_of(program)
    }
}

impl Kernel {
    /// Starts a program as a child of the kernel itself. `files` become its descriptors.
    pub fn start(&mut self, arguments: &[&str], directory: &str, files: &[(i32, usize)]) -> Pid {
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|it| it.as_bytes().to_vec()).collect();
        let path = arguments[0].clone();
        let program = self.programs[&path];
        let place = self.walk(ROOT, &path, true, 0).ok();
        let executable = place.and_then(|place| place.found).expect("the file of a program");
        let pid = self.new_pid();
        let directory = self.make_directory(directory);
        let environment = vec![b"PATH=/bin".to_vec()];
        let process = Proc {
            parent: INIT,
            memory: Some(Process::start(program, &path, &arguments, &environment)),
            arguments,
            environment,
            ended: None,
            next: Next::Run(0),
            waits_since: 0,
            descriptors: BTreeMap::new(),
            directory,
            umask: 0o022,
            blocked: 0,
            pending: 0,
            ignored: 0,
            deadline: None,
            progress: 0,
            wakes: None,
            calls: 0,
            started: self.now,
            serial: self.pids.serial(),
            has_executed: true,
            executable,
            signal_infos: Vec::new(),
            most_files: super::limits::OPEN_FILES,
            is_stopped: false,
            is_subreaper: false,
            is_fork: false,
            group: pid,
            session: pid,
        };
        self.processes.insert(pid, process);
        for &(at, file) in files {
            self.install_at(pid, file, false, at);
        }
        self.changed();
        pid
    }

    /// Makes a pipe outside every process; returns the open files. The kernel keeps both open.
    pub fn make_pipe(&mut self) -> (usize, usize) {
        use linux_raw_sys::general::{O_RDONLY, O_WRONLY};
        let number = self.new_inode(super::Content::Pipe(super::Pipe::new()), 0o600);
        self.inodes.get_mut(&number).expect("just made").links = 0;
        let ends = (self.new_open_file(number, O_RDONLY), self.new_open_file(number, O_WRONLY));
        for key in [ends.0, ends.1] {
            self.open_files.get_mut(&key).expect("just made").descriptors += 1;
        }
        ends
    }

    /// Opens a file outside every process for appending.
    pub fn open_for_appending(&mut self, path: &str) -> usize {
        use linux_raw_sys::general::{O_APPEND, O_WRONLY};
        let found = self.walk(ROOT, path.as_bytes(), true, 0);
        let number = found.ok().and_then(|place| place.found).expect("an existing file");
        let key = self.new_open_file(number, O_WRONLY | O_APPEND);
        self.open_files.get_mut(&key).expect("just made").descriptors += 1;
        key
    }

    /// Opens the standard files of a program outside every process: nothing to read, and [`MESSAGES`] for what it
    /// prints.
    pub fn open_standard_files(&mut self) -> [(i32, usize); 3] {
        let null = self.open_for_appending("/dev/null");
        let messages = self.open_for_appending(MESSAGES);
        [(0, null), (1, messages), (2, messages)]
    }

    /// Closes an open file that was made outside every process.
    pub fn close_outside(&mut self, file: usize) {
        self.release(file);
    }

    /// A process that has not been reaped.
    #[must_use]
    pub fn process(&self, pid: Pid) -> Option<&Proc> {
        self.processes.get(&pid)
    }

    /// The processes that run.
    pub fn running(&self) -> impl Iterator<Item = (Pid, &Proc)> {
        self.processes.iter().filter(|(_, it)| it.ended.is_none()).map(|(pid, it)| (*pid, it))
    }

    pub(crate) fn fork(&mut self, pid: Pid, memory: Process, next: Next) -> Pid {
        let child = self.new_pid();
        let parent = &self.processes[&pid];
        let process = Proc {
            parent: pid,
            arguments: parent.arguments.clone(),
            environment: parent.environment.clone(),
            ended: None,
            memory: Some(memory),
            next,
            waits_since: 0,
            descriptors: parent.descriptors.clone(),
            directory: parent.directory,
            umask: parent.umask,
            blocked: parent.blocked,
            pending: 0,
            ignored: parent.ignored,
            deadline: None,
            progress: 0,
            wakes: None,
            calls: 0,
            started: self.now,
            serial: self.pids.serial(),
            has_executed: false,
            executable: parent.executable,
            signal_infos: Vec::new(),
            most_files: parent.most_files,
            is_stopped: false,
            is_subreaper: false,
            is_fork: true,
            group: parent.group,
            session: parent.session,
        };
        for descriptor in process.descriptors.values() {
            if let Some(file) = self.open_files.get_mut(&descriptor.file) {
                file.descriptors += 1;
            }
        }
        self.processes.insert(child, process);
        self.changed();
        child
    }

    /// The strings of a NULL-terminated array.
    fn strings(mut array: usize) -> Result<Vec<Vec<u8>>> {
        let mut strings = Vec::new();
        loop {
            match read_word(array).ok_or(EFAULT)? {
                0 => return Ok(strings),
                string => strings.push(read_string(string).ok_or(EFAULT)?),
            }
            array += size_of::<usize>();
        }
    }

    pub(crate) fn exec(&mut self, pid: Pid, [path, argv, envp]: [usize; 3]) -> Result<Outcome> {
        let path = read_string(path).ok_or(EFAULT)?;
        let (arguments, environment) = (Self::strings(argv)?, Self::strings(envp)?);
        let inode = self
            .place(pid, linux_raw_sys::general::AT_FDCWD as usize, &path, true)?
            .found
            .ok_or(linux_raw_sys::errno::ENOENT)?;
        let (executable, program, arguments) = self.executable(inode, &path, arguments)?;
        let memory = Process::start(program, &path, &arguments, &environment);
        let process = self.processes.get_mut(&pid).expect("the caller's process");
        process.memory = Some(memory);
        process.executable = executable;
        process.has_executed = true;
        process.arguments = arguments;
        process.is_fork = false;
        process.environment = environment;
        process.next = Next::Run(0);
        let closed: Vec<i32> = process
            .descriptors
            .iter()
            .filter(|(_, descriptor)| descriptor.closed_by_exec)
            .map(|(fd, _)| *fd)
            .collect();
        for fd in closed {
            self.close(pid, fd)?;
        }
        self.wake_parent(pid);
        Ok(Outcome::Gone)
    }

    fn wake_parent(&mut self, pid: Pid) {
        let parent = self.processes.get_mut(&pid).and_then(|process| process.wakes.take());
        if let Some(parent) = parent.and_then(|parent| self.processes.get_mut(&parent)) {
            parent.next = Next::Run(isize::try_from(pid).expect("a small number"));
            self.changed();
        }
    }

    /// Ends a process.
    pub fn end(&mut self, pid: Pid, how: Ended) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.ended.is_some() {
            return;
        }
        process.ended = Some(how);
        process.deadline = None;
        process.memory = None;
        let parent = process.parent;
        let descriptors = std::mem::take(&mut process.descriptors);
        // The parent's memory is in use until here.
        self.wake_parent(pid);
        for descriptor in descriptors.into_values() {
            self.release(descriptor.file);
        }
        let reaper = self.reaper_above(parent);
        let mut has_zombie = false;
        for process in self.processes.values_mut().filter(|it| it.parent == pid) {
            process.parent = reaper;
            has_zombie |= process.ended.is_some();
        }
        if has_zombie {
            self.signal(reaper, SIGCHLD);
        }
        let is_reaped = self
            .processes
            .get(&parent)
            .is_none_or(|it| it.ended.is_some() || it.ignored & super::signals::bit(SIGCHLD) != 0);
        if is_reaped && parent != INIT {
            self.forget_process(pid);
        }
        self.signal(parent, SIGCHLD);
        self.changed();
    }

    /// Forgets an ended child of the kernel itself; returns how it has ended.
    pub fn reap(&mut self, pid: Pid) -> Option<Ended> {
        let ended = self.processes.get(&pid).filter(|it| it.parent == INIT)?.ended?;
        self.forget_process(pid);
        Some(ended)
    }

    /// The children of a process that `wanted` selects: an ended one, and whether there is any.
    fn children(&self, pid: Pid, wanted: Option<Pid>) -> (Option<(Pid, Ended)>, bool) {
        let mut children = self.processes.iter().filter(|(child, process)| {
            process.parent == pid && wanted.is_none_or(|wanted| wanted == **child)
        });
        let is_any = children.clone().next().is_some();
        (children.find_map(|(child, it)| Some((*child, it.ended?))), is_any)
    }

    pub(crate) fn wait4(
        &mut self,
        pid: Pid,
        wanted: i32,
        status: usize,
        options: u32,
    ) -> Result<Outcome> {
        let wanted = match wanted {
            -1 => None,
            child @ 1.. => Some(child),
            _ => return Err(EINVAL),
        };
        match self.children(pid, wanted) {
            (_, false) => Err(ECHILD),
            (None, true) if options & WNOHANG != 0 => Ok(Outcome::Return(0)),
            (None, true) => Ok(Outcome::Wait),
            (Some((child, ended)), true) => {
                if status != 0 && !copy_out(status, &ended.status().to_ne_bytes()) {
                    return Err(EFAULT);
                }
                self.forget_process(child);
                Ok(Outcome::Return(child.unsigned_abs() as usize))
            }
        }
    }

    pub(crate) fn waitid(
        &mut self,
        pid: Pid,
        [kind, wanted, info]: [usize; 3],
        options: u32,
    ) -> Result<Outcome> {
        let wanted = match kind {
            0 => None,
            1 => Some(super::descriptors::number(wanted)),
            _ => return Err(EINVAL),
        };
        let (ended, is_any) = self.children(pid, wanted);
        if !is_any {
            return Err(ECHILD);
        }
        let Some((child, ended)) = ended else {
            return Ok(if options & WNOHANG != 0 { Outcome::Return(0) } else { Outcome::Wait });
        };
        let (code, value) = match ended {
            Ended::Exited(code) => (1, code),
            Ended::Killed(signal) => (2, signal),
        };
        let words = [SIGCHLD, 0, code, 0, child.unsigned_abs(), 0, value];
        if info != 0 && !copy_out(info, &words.map(u32::to_ne_bytes).concat()) {
            return Err(EFAULT);
        }
        if options & WNOWAIT == 0 {
            self.forget_process(child);
        }
        Ok(Outcome::Return(0))
    }
}
