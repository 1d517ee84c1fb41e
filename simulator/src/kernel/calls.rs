//! The table of system calls.

use super::descriptors::number;
use super::pidfds;
use super::processes::{Ended, Next};
use super::{Kernel, Outcome, Pid, Result};
use linux_raw_sys::errno::{EBADF, EFAULT, EINVAL, ENOENT, ENOSYS, ENOTTY};
use linux_raw_sys::general as nr;
use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, F_DUPFD, F_DUPFD_CLOEXEC,
    F_GETFD, F_GETFL, F_GETPIPE_SZ, F_SETFD, F_SETFL, F_SETPIPE_SZ, FD_CLOEXEC, O_CLOEXEC,
    SPLICE_F_NONBLOCK,
};
use linux_raw_sys::ioctl::FIONREAD;
use machine::{Call, EXIT_BY_PANIC, OUT_OF_MEMORY, copy_in, copy_out, read_string};

#[expect(clippy::cast_possible_truncation, reason = "the kernel takes the lower half too")]
const fn low(argument: usize) -> u32 {
    argument as u32
}

fn path(address: usize) -> Result<Vec<u8>> {
    read_string(address).ok_or(EFAULT)
}

impl Kernel {
    /// Performs the call of a process.
    pub(crate) fn perform(&mut self, pid: Pid, call: Call) -> Result<Outcome> {
        let Call { number: n, arguments: [a, b, c, d, e, _] } = call;
        let done = |result: Result<usize>| result.map(Outcome::Return);
        if n == EXIT_BY_PANIC {
            self.panicked = true;
            self.end(pid, Ended::Killed(nr::SIGABRT));
            return Ok(Outcome::Gone);
        }
        if n == OUT_OF_MEMORY {
            // As the product: the message, and the code for a temporary failure.
            let _ = self.write(pid, 2, b"multilog: fatal: out of memory\n", None);
            self.end(pid, Ended::Exited(111));
            return Ok(Outcome::Gone);
        }
        let memory = self.processes[&pid].memory.as_ref().ok_or(EINVAL)?;
        if let Some((child, _)) = memory.sharing_child(call) {
            let child = self.fork(pid, child, Next::Run(0));
            self.processes.get_mut(&child).expect("just made").wakes = Some(pid);
            self.processes.get_mut(&pid).expect("the caller").next = Next::Sleep;
            return Ok(Outcome::Gone);
        }
        match u32::try_from(n).map_err(|_| ENOSYS)? {
            nr::__NR_read => self.read(pid, a, b, c, None),
            nr::__NR_pread64 => self.read(pid, a, b, c, Some(d as u64)),
            nr::__NR_write => self.write(pid, a, &copy_in(b, c).ok_or(EFAULT)?, None),
            nr::__NR_pwrite64 => self.write(pid, a, &copy_in(b, c).ok_or(EFAULT)?, Some(d as u64)),
            nr::__NR_writev => self.write(pid, a, &Self::gather(b, c)?, None),
            // Pipes do not know the flag before Linux 6.4.
            nr::__NR_pwritev2 => Err(linux_raw_sys::errno::EOPNOTSUPP),
            nr::__NR_tee => self.move_bytes(pid, [a, b], c, true, low(d) & SPLICE_F_NONBLOCK == 0),
            nr::__NR_splice => {
                let waits = low(call.arguments[5]) & SPLICE_F_NONBLOCK == 0;
                self.move_bytes(pid, [a, c], e, false, waits)
            }
            nr::__NR_lseek => done(self.seek(pid, a, b.cast_signed() as i64, low(c))),
            nr::__NR_ftruncate => done(self.truncate(pid, a, b)),
            nr::__NR_getdents64 => done(self.read_directory(pid, a, b, c)),
            nr::__NR_fsync | nr::__NR_fdatasync => done(self.sync(pid, a)),
            nr::__NR_ppoll => self.poll(pid, a, b, c),
            nr::__NR_clock_gettime => done(self.clock(a, b)),
            nr::__NR_flock => self.flock(pid, a, low(b)),
            nr::__NR_exit_group => {
                self.end(pid, Ended::Exited(low(a) & 0xff));
                Ok(Outcome::Gone)
            }
            nr::__NR_clone => self.clone_process(pid, a),
            nr::__NR_execve => self.exec(pid, [a, b, c]),
            nr::__NR_wait4 => self.wait4(pid, number(a), b, low(c)),
            nr::__NR_waitid => self.waitid(pid, [a, b, c], low(d)),
            nr::__NR_kill if number(a) < -1 => done(self.kill_group(pid, -number(a), b)),
            nr::__NR_kill => done(self.kill(pid, number(a), b)),
            nr::__NR_epoll_pwait => self.wait_for_set(pid, [a, b, c, d]),
            nr::__NR_rt_sigprocmask => done(self.set_mask(pid, a, b, c)),
            nr::__NR_rt_sigaction => done(self.set_action(pid, a, b, c)),
            nr::__NR_signalfd4 => {
                let set = copy_in(b, 8).ok_or(EFAULT)?;
                let set = u64::from_ne_bytes(set.try_into().map_err(|_| EINVAL)?);
                done(self.signalfd(pid, set, low(d)))
            }
            nr::__NR_getpid => Ok(Outcome::Return(pid.unsigned_abs() as usize)),
            nr::__NR_getppid => {
                Ok(Outcome::Return(self.processes[&pid].parent.unsigned_abs() as usize))
            }
            nr::__NR_getuid | nr::__NR_geteuid | nr::__NR_getgid | nr::__NR_getegid => {
                Ok(Outcome::Return(0))
            }
            _ => done(self.perform_on_files(pid, call)),
        }
    }

    /// The calls on names and descriptors, none of which waits.
    fn perform_on_files(&mut self, pid: Pid, call: Call) -> Result<usize> {
        let Call { number: n, arguments: [a, b, c, d, e, _] } = call;
        match u32::try_from(n).map_err(|_| ENOSYS)? {
            nr::__NR_openat => self.open_name(pid, a, &path(b)?, low(c), low(d)),
            nr::__NR_openat2 => {
                // `struct open_how`: flags, mode, resolve. There are no links on the way.
                let flags = machine::read_word(c).ok_or(EFAULT)?;
                let mode = machine::read_word(c + 8).ok_or(EFAULT)?;
                self.open_name(pid, a, &path(b)?, low(flags), low(mode))
            }
            nr::__NR_close => self.close(pid, number(a)),
            nr::__NR_close_range => {
                let (first, last) = (number(a), number(b));
                let process = self.processes.get(&pid).ok_or(EBADF)?;
                let fds: Vec<i32> =
                    process.descriptors.range(first..=last).map(|it| *it.0).collect();
                fds.into_iter().try_for_each(|fd| self.close(pid, fd).map(drop))?;
                Ok(0)
            }
            nr::__NR_pipe2 => {
                let (reader, writer) = self.pipe(pid, low(b))?;
                let ends = [low(reader), low(writer)].map(u32::to_ne_bytes).concat();
                if copy_out(a, &ends) { Ok(0) } else { Err(EFAULT) }
            }
            nr::__NR_fcntl => self.fcntl(pid, a, low(b), c),
            nr::__NR_ioctl if low(b) == FIONREAD => {
                let bytes = self.unread(pid, a)?.to_ne_bytes();
                if copy_out(c, &bytes) { Ok(0) } else { Err(EFAULT) }
            }
            nr::__NR_ioctl if low(b) == pidfds::GET_INFO => self.handle_info(pid, a, c),
            nr::__NR_ioctl => Err(ENOTTY),
            nr::__NR_pidfd_open => self.open_handle(pid, number(a), low(b)),
            nr::__NR_pidfd_send_signal => self.signal_handle(pid, [a, b, c]),
            nr::__NR_inotify_init1 => self.new_watches(pid, low(a)),
            nr::__NR_inotify_add_watch => self.add_watch(pid, a, &path(b)?, low(c)),
            nr::__NR_epoll_create1 => self.new_set(pid, low(a)),
            nr::__NR_epoll_ctl => self.change_set(pid, [a, b, c, d]),
            nr::__NR_memfd_create => self.new_memory(pid, &path(a)?, low(b)),
            nr::__NR_prlimit64 => self.limit(pid, [b, c, d]),
            nr::__NR_prctl => self.prctl(pid, low(a), b),
            nr::__NR_getpgid => self.group_of(if a == 0 { pid } else { number(a) }),
            // As random as needed.
            nr::__NR_getrandom => {
                let bytes: Vec<u8> = self.now.to_ne_bytes().into_iter().cycle().take(b).collect();
                if copy_out(a, &bytes) { Ok(b) } else { Err(EFAULT) }
            }
            nr::__NR_setpgid => self.lead_group(pid, number(a), number(b)),
            nr::__NR_setsid => self.lead_session(pid),
            nr::__NR_getsid => self.session_of(if a == 0 { pid } else { number(a) }),
            nr::__NR_chdir => self.chdir(pid, &path(a)?),
            nr::__NR_getcwd => self.current_directory(pid, a, b),
            nr::__NR_mknodat => self.mknod(pid, a, &path(b)?, low(c)),
            nr::__NR_readlinkat => self.readlink(pid, a, &path(b)?, [c, d]),
            nr::__NR_dup => {
                let file = self.descriptor(pid, a)?.file;
                self.install(pid, file, false, 0)
            }
            nr::__NR_dup2 | nr::__NR_dup3 => {
                let file = self.descriptor(pid, a)?.file;
                if a != b {
                    let closed = n == nr::__NR_dup3 as usize && low(c) & O_CLOEXEC != 0;
                    self.install_at(pid, file, closed, number(b));
                }
                Ok(b)
            }
            nr::__NR_fstat => self.stat(self.inode_of(pid, a)?, b),
            nr::__NR_newfstatat => {
                let inode = self.named_inode(pid, a, b, low(d))?;
                self.stat(inode, c)
            }
            nr::__NR_statx => {
                let inode = self.named_inode(pid, a, b, low(c))?;
                self.statx(inode, e)
            }
            nr::__NR_fstatfs => self.inode_of(pid, a).and_then(|_| Self::statfs(b)),
            nr::__NR_fchmod => self.set_mode(self.inode_of(pid, a)?, low(b)),
            nr::__NR_fchmodat => {
                let found = self.place(pid, a, &path(b)?, true)?.found;
                self.set_mode(found.ok_or(ENOENT)?, low(c))
            }
            nr::__NR_mkdirat => self.mkdir(pid, a, &path(b)?, low(c)),
            nr::__NR_unlinkat => self.unlink(pid, a, &path(b)?, low(c) & AT_REMOVEDIR != 0),
            nr::__NR_renameat | nr::__NR_renameat2 => {
                let from = self.place(pid, a, &path(b)?, false);
                let to = self.place(pid, c, &path(d)?, false);
                self.rename(from, to)
            }
            nr::__NR_linkat => {
                let from = self.place(pid, a, &path(b)?, low(e) & AT_SYMLINK_FOLLOW != 0);
                let to = self.place(pid, c, &path(d)?, false);
                self.link(from, to)
            }
            nr::__NR_fchdir => {
                let directory = self.directory_of(pid, a)?;
                self.processes.get_mut(&pid).ok_or(EBADF)?.directory = directory;
                Ok(0)
            }
            nr::__NR_umask => {
                let process = self.processes.get_mut(&pid).ok_or(EBADF)?;
                let before = std::mem::replace(&mut process.umask, low(a) & 0o777);
                Ok(before as usize)
            }
            _ => {
                self.unknown.insert(n);
                Err(ENOSYS)
            }
        }
    }

    fn clone_process(&mut self, pid: Pid, flags: usize) -> Result<Outcome> {
        if low(flags) != nr::SIGCHLD {
            return Err(EINVAL);
        }
        let memory = self.processes[&pid].memory.as_ref().ok_or(EINVAL)?.copy();
        let child = self.fork(pid, memory, Next::Run(0));
        Ok(Outcome::Return(child.unsigned_abs() as usize))
    }

    /// The inode of a path below a descriptor, or of the descriptor itself.
    fn named_inode(&mut self, pid: Pid, at: usize, name: usize, flags: u32) -> Result<u64> {
        let name = path(name)?;
        if let Some(found) = self.proc_file(pid, &name) {
            return found;
        }
        if name.is_empty() && flags & AT_EMPTY_PATH != 0 {
            return self.inode_of(pid, at);
        }
        self.place(pid, at, &name, flags & AT_SYMLINK_NOFOLLOW == 0)?.found.ok_or(ENOENT)
    }

    fn fcntl(&mut self, pid: Pid, fd: usize, command: u32, argument: usize) -> Result<usize> {
        let descriptor = self.descriptor(pid, fd)?;
        match command {
            F_GETFD => Ok(if descriptor.closed_by_exec { FD_CLOEXEC as usize } else { 0 }),
            F_SETFD => {
                let process = self.processes.get_mut(&pid).ok_or(EBADF)?;
                let descriptor = process.descriptors.get_mut(&number(fd)).ok_or(EBADF)?;
                descriptor.closed_by_exec = low(argument) & FD_CLOEXEC != 0;
                Ok(0)
            }
            F_GETFL => Ok(self.open_file(pid, fd)?.1.flags as usize),
            F_SETFL => self.set_flags(descriptor.file, low(argument)),
            F_DUPFD | F_DUPFD_CLOEXEC => {
                self.install(pid, descriptor.file, command == F_DUPFD_CLOEXEC, number(argument))
            }
            F_GETPIPE_SZ | F_SETPIPE_SZ => {
                let inode = self.inode_of(pid, fd)?;
                self.pipe_size(inode, (command == F_SETPIPE_SZ).then_some(argument))
            }
            _ => Err(EINVAL),
        }
    }
}
