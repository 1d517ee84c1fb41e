//! Limits of open files, files in memory, and what `/proc` tells about descriptors by its links.

use super::files::Content;
use super::tree::InodeNumber;
use super::{Kernel, Pid, Result};
use linux_raw_sys::errno::{EBADF, EFAULT, EINVAL};
use linux_raw_sys::general::{MFD_CLOEXEC, O_RDWR, RLIMIT_NOFILE};
use machine::{copy_out, read_word};

/// The soft and the hard limit of a first process.
pub(crate) const OPEN_FILES: [u64; 2] = [1024, 4096];

impl Kernel {
    /// prlimit64 of the calling process: resource, new and old limit.
    pub(crate) fn limit(&mut self, pid: Pid, [kind, new, old]: [usize; 3]) -> Result<usize> {
        if kind != RLIMIT_NOFILE as usize {
            return Err(EINVAL);
        }
        let process = self.processes.get_mut(&pid).ok_or(EINVAL)?;
        let before = process.most_files;
        if new != 0 {
            let wanted = [new, new + 8].map(|at| read_word(at).map(|it| it as u64));
            let [Some(soft), Some(hard)] = wanted else { return Err(EFAULT) };
            if soft > hard || hard > before[1] {
                return Err(EINVAL);
            }
            process.most_files = [soft, hard];
        }
        if old != 0 && !copy_out(old, &before.map(u64::to_ne_bytes).concat()) {
            return Err(EFAULT);
        }
        Ok(0)
    }

    /// memfd_create
    pub(crate) fn new_memory(&mut self, pid: Pid, name: &[u8], flags: u32) -> Result<usize> {
        let number = self.new_inode(Content::File(Vec::new()), 0o777);
        self.inodes.get_mut(&number).expect("just made").links = 0;
        self.memory_names.insert(number, name.to_vec());
        let key = self.new_open_file(number, O_RDWR);
        self.install(pid, key, flags & MFD_CLOEXEC != 0, 0)
    }

    /// The target of a link in `/proc/PID/fd`, which is known for files without a name.
    pub(crate) fn link_of_descriptor(
        &mut self,
        pid: Pid,
        at: usize,
        path: &[u8],
    ) -> Option<Vec<u8>> {
        let found = match self.proc_file(pid, path) {
            Some(found) => found.ok()?,
            None if path.starts_with(b"/") => return None,
            // In an open `/proc/PID/fd`, which has no name itself.
            None => {
                let directory = self.inode_of(pid, at).ok()?;
                if self.inodes[&directory].links > 0 {
                    return None;
                }
                self.place(pid, at, path, false).ok()?.found?
            }
        };
        self.link_text(found).ok()
    }

    fn link_text(&self, number: InodeNumber) -> Result<Vec<u8>> {
        let name = || self.memory_names.get(&number);
        let inode = self.inodes.get(&number).ok_or(EBADF)?;
        let text = match &inode.content {
            Content::Pipe(_) if inode.links == 0 => format!("pipe:[{number}]"),
            Content::File(_) if name().is_some() => {
                let name = name().map_or(&[][..], Vec::as_slice);
                format!("/memfd:{} (deleted)", String::from_utf8_lossy(name))
            }
            Content::File(_) | Content::Directory { .. } | Content::Null | Content::Pipe(_) => {
                "/".into()
            }
            _ => "anon_inode:".into(),
        };
        Ok(text.into_bytes())
    }
}
