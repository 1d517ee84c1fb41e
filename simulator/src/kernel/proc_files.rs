//! The files of `/proc` whose content depends on the processes.
//!
//! Each look makes a new inode without a name; a directory is as it was when it was opened.

use super::files::Content;
use super::processes::INIT;
use super::tree::{InodeNumber, ROOT};
use super::{Kernel, Pid, Proc, Result};
use linux_raw_sys::errno::ENOENT;
use linux_raw_sys::general::O_CLOEXEC;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A tick of the start times in `stat`, in nanoseconds.
const TICK: u64 = 10_000_000;

impl Kernel {
    /// Opens a name, which can be one of `/proc`.
    pub(crate) fn open_name(
        &mut self,
        pid: Pid,
        at: usize,
        path: &[u8],
        flags: u32,
        mode: u32,
    ) -> Result<usize> {
        match self.proc_file(pid, path) {
            Some(found) => {
                let key = self.new_open_file(found?, flags & !O_CLOEXEC);
                self.install(pid, key, flags & O_CLOEXEC != 0, 0)
            }
            None => self.openat(pid, at, path, flags, mode),
        }
    }

    /// The inode of such a file; `None` for any other path.
    pub(crate) fn proc_file(&mut self, pid: Pid, path: &[u8]) -> Option<Result<InodeNumber>> {
        let rest = std::str::from_utf8(path).ok()?.strip_prefix("/proc")?;
        let mut parts = rest.split('/').filter(|part| !part.is_empty());
        let of = match parts.next() {
            None => return Some(Ok(self.directory_of_processes())),
            Some("locks") => return Some(Ok(self.unnamed(self.locks()))),
            Some("self") => pid,
            Some(number) => number.parse().ok()?,
        };
        let (file, number) = (parts.next()?, parts.next());
        if file == "ns" || file == "mountinfo" {
            return None;
        }
        Some(self.file_of_process(of, file, number))
    }

    fn file_of_process(
        &mut self,
        of: Pid,
        file: &str,
        number: Option<&str>,
    ) -> Result<InodeNumber> {
        if of == INIT && file == "stat" {
            return Ok(self.unnamed(format!("1 (init) S{}\n", " 0".repeat(49))));
        }
        let process = self.processes.get(&of).ok_or(ENOENT)?;
        let fd = number.and_then(|number| number.parse::<i32>().ok());
        let file_of = |fd: Option<i32>| {
            let descriptor = fd.and_then(|fd| process.descriptors.get(&fd)).ok_or(ENOENT)?;
            Ok((descriptor, &self.open_files[&descriptor.file]))
        };
        let text = match (file, number) {
            ("stat", None) => stat(of, process),
            ("status", None) => {
                let Proc { blocked, ignored, .. } = process;
                let sets = format!("SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\n");
                format!("Uid:\t0\t0\t0\t0\n{sets}SigCgt:\t{:016x}\n", 0)
            }
            ("cmdline", None) => {
                let text = process.arguments.iter().map(|it| String::from_utf8_lossy(it));
                text.fold(String::new(), |all, word| all + &word + "\0")
            }
            ("exe", None) => return Ok(process.executable),
            ("cwd", None) => return Ok(process.directory),
            ("cwd", Some("..")) => {
                return match self.inodes[&process.directory].content {
                    Content::Directory { parent, .. } => Ok(parent),
                    _ => Err(ENOENT),
                };
            }
            ("fd", None) => {
                let name = |fd: &i32| fd.to_string().into_bytes();
                let inode = |file| self.open_files.get(file).map(|file| file.inode);
                let entries = process.descriptors.iter();
                let entries = entries.filter_map(|(fd, it)| Some((name(fd), inode(&it.file)?)));
                let entries = entries.collect();
                return Ok(self.unnamed_directory(entries));
            }
            ("fd", Some(_)) => return file_of(fd).map(|(_, file)| file.inode),
            ("fdinfo", Some(_)) => {
                let (descriptor, file) = file_of(fd)?;
                let closed = if descriptor.closed_by_exec { O_CLOEXEC } else { 0 };
                let (offset, flags) = (file.offset, file.flags | closed);
                let mut text = format!("pos:\t{offset}\nflags:\t0{flags:o}\nmnt_id:\t1\n");
                if let Some(lock) = self.lock(descriptor.file) {
                    let _ = writeln!(text, "lock:\t1: {lock}");
                }
                text
            }
            ("task", None) => {
                let children = self.processes.iter().filter(|(_, child)| child.parent == of);
                let text = children.fold(String::new(), |all, (child, _)| format!("{all}{child} "));
                let children = self.unnamed(text);
                let thread = BTreeMap::from([(b"children".to_vec(), children)]);
                let thread = self.unnamed_directory(thread);
                let threads = BTreeMap::from([(of.to_string().into_bytes(), thread)]);
                return Ok(self.unnamed_directory(threads));
            }
            _ => return Err(ENOENT),
        };
        Ok(self.unnamed(text))
    }

    fn unnamed(&mut self, text: String) -> InodeNumber {
        self.without_name(Content::File(text.into_bytes()), 0o444)
    }

    fn unnamed_directory(&mut self, entries: BTreeMap<Vec<u8>, InodeNumber>) -> InodeNumber {
        self.without_name(Content::Directory { entries, parent: ROOT }, 0o555)
    }

    fn without_name(&mut self, content: Content, mode: u32) -> InodeNumber {
        let number = self.new_inode(content, mode);
        self.inodes.get_mut(&number).expect("just made").links = 0;
        number
    }

    fn directory_of_processes(&mut self) -> InodeNumber {
        let name = |pid: &Pid| (pid.to_string().into_bytes(), ROOT);
        let entries = self.processes.keys().map(name).collect();
        self.unnamed_directory(entries)
    }

    /// The lock of an open file, as `/proc/locks` tells it.
    fn lock(&self, file: usize) -> Option<String> {
        let taker = self.lock_takers.get(&file)?;
        let inode = self.open_files.get(&file)?.inode;
        let (_, exclusive) = self.inodes[&inode].locks.iter().find(|(it, _)| *it == file)?;
        let kind = if *exclusive { "WRITE" } else { "READ " };
        Some(format!("FLOCK  ADVISORY  {kind} {taker} 00:01:{inode} 0 EOF"))
    }

    fn locks(&self) -> String {
        let all = self.lock_takers.keys().filter_map(|file| self.lock(*file)).enumerate();
        all.fold(String::new(), |text, (n, lock)| format!("{text}{}: {lock}\n", n + 1))
    }
}

/// proc_pid_stat(5): the fields up to the start time have their places.
fn stat(pid: Pid, process: &Proc) -> String {
    let state = match (process.ended, process.is_stopped) {
        (Some(_), _) => 'Z',
        (None, true) => 'T',
        (None, false) => 'S',
    };
    let name = String::from_utf8_lossy(&process.arguments[0]);
    let name = name.rsplit('/').next().unwrap_or_default();
    let zeros = " 0".repeat(17);
    format!("{pid} ({name}) {state} {}{zeros} {} 0 0\n", process.parent, process.started / TICK)
}
