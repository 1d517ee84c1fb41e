//! epoll: sets of open files, as far as svscan uses them. All events are told as long as they last, but those of
//! the mount table.

use super::files::Content;
use super::{FileKey, Kernel, Outcome, Pid, Result};
use linux_raw_sys::errno::{EEXIST, EFAULT, EINVAL, ENOENT, EPERM};
use linux_raw_sys::general::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLERR, EPOLLHUP, O_CLOEXEC, O_RDWR};
use machine::{copy_in, copy_out};

/// The length of the packed `struct epoll_event` of x86_64.
const EVENT: usize = 12;

/// An open file in a set.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    file: FileKey,
    asked: u32,
    data: u64,
}

impl Kernel {
    pub(crate) fn new_set(&mut self, pid: Pid, flags: u32) -> Result<usize> {
        let number = self.new_inode(Content::EventSet(Vec::new()), 0o600);
        self.inodes.get_mut(&number).expect("just made").links = 0;
        let key = self.new_open_file(number, O_RDWR);
        self.install(pid, key, flags & O_CLOEXEC != 0, 0)
    }

    /// epoll_ctl
    pub(crate) fn change_set(
        &mut self,
        pid: Pid,
        [set, how, fd, event]: [usize; 4],
    ) -> Result<usize> {
        let set = self.inode_of(pid, set)?;
        let (file, open) = self.open_file(pid, fd)?;
        let is_pollable = match &self.inodes[&open.inode].content {
            Content::File(_) => open.inode == self.mount_table,
            Content::Directory { .. } | Content::Link(_) | Content::Null => false,
            _ => true,
        };
        if !is_pollable {
            return Err(EPERM);
        }
        let open_files = &self.open_files;
        let Some(Content::EventSet(members)) = self.inodes.get_mut(&set).map(|it| &mut it.content)
        else {
            return Err(EINVAL);
        };
        // A closed file has left all sets.
        members.retain(|it| open_files.contains_key(&it.file));
        let place = members.iter().position(|it| it.file == file);
        match (u32::try_from(how).map_err(|_| EINVAL)?, place) {
            (EPOLL_CTL_ADD, Some(_)) => return Err(EEXIST),
            (EPOLL_CTL_ADD, None) => {
                let event = copy_in(event, EVENT).ok_or(EFAULT)?;
                let (asked, data) = event.split_at(4);
                let asked = u32::from_ne_bytes(asked.try_into().map_err(|_| EINVAL)?);
                let data = u64::from_ne_bytes(data.try_into().map_err(|_| EINVAL)?);
                members.push(Member { file, asked, data });
            }
            (EPOLL_CTL_DEL, Some(place)) => drop(members.remove(place)),
            (EPOLL_CTL_DEL, None) => return Err(ENOENT),
            _ => return Err(EINVAL),
        }
        self.changed();
        Ok(0)
    }

    /// The members of a set with an event, each with its events.
    pub(crate) fn set_events(&self, pid: Pid, members: &[Member]) -> Vec<(u32, u64)> {
        let event = |it: &Member| {
            let now = self.file_events(pid, self.open_files.get(&it.file)?);
            let now = now & (it.asked | EPOLLERR | EPOLLHUP);
            (now != 0).then_some((now, it.data))
        };
        members.iter().filter_map(event).collect()
    }

    /// epoll_pwait
    pub(crate) fn wait_for_set(
        &mut self,
        pid: Pid,
        [set, events, most, timeout]: [usize; 4],
    ) -> Result<Outcome> {
        let set = self.inode_of(pid, set)?;
        let Content::EventSet(members) = &self.inodes[&set].content else { return Err(EINVAL) };
        let mut found = self.set_events(pid, members);
        found.truncate(most);
        if found.is_empty() {
            // No program waits in a set.
            return if timeout == 0 { Ok(Outcome::Return(0)) } else { Err(EINVAL) };
        }
        let bytes: Vec<u8> = found
            .iter()
            .flat_map(|(events, data)| events.to_ne_bytes().into_iter().chain(data.to_ne_bytes()))
            .collect();
        if copy_out(events, &bytes) { Ok(Outcome::Return(found.len())) } else { Err(EFAULT) }
    }
}
