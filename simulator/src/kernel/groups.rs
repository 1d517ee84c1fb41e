//! Process groups and sessions.

use super::{Kernel, Pid, Result};
use linux_raw_sys::errno::{EINVAL, EPERM, ESRCH};

impl Kernel {
    /// setpgid, as far as the programs use it: the caller becomes the leader of a group of its own.
    pub(crate) fn lead_group(&mut self, pid: Pid, of: Pid, group: Pid) -> Result<usize> {
        let is_own = |it: Pid| it == 0 || it == pid;
        let process = self.processes.get_mut(&pid).ok_or(ESRCH)?;
        if !is_own(of) || !is_own(group) {
            return Err(EINVAL);
        }
        if process.session == pid {
            return Err(EPERM);
        }
        process.group = pid;
        Ok(0)
    }

    /// setsid
    pub(crate) fn lead_session(&mut self, pid: Pid) -> Result<usize> {
        if self.processes.values().any(|it| it.group == pid) {
            return Err(EPERM);
        }
        let process = self.processes.get_mut(&pid).ok_or(ESRCH)?;
        (process.session, process.group) = (pid, pid);
        Ok(pid.unsigned_abs() as usize)
    }

    pub(crate) fn session_of(&self, pid: Pid) -> Result<usize> {
        let process = self.processes.get(&pid).ok_or(ESRCH)?;
        Ok(process.session.unsigned_abs() as usize)
    }

    /// kill(2) of a process group.
    pub(crate) fn kill_group(&mut self, pid: Pid, group: Pid, signal: usize) -> Result<usize> {
        let members = self.processes.iter().filter(|(_, it)| it.group == group);
        let members: Vec<Pid> = members.map(|(member, _)| *member).collect();
        if members.is_empty() {
            return Err(ESRCH);
        }
        members.into_iter().try_for_each(|member| self.kill(pid, member, signal).map(drop))?;
        Ok(0)
    }

    /// Whether a process group or a session has this number.
    pub(crate) fn is_group(&self, number: Pid) -> bool {
        self.processes.values().any(|it| it.group == number || it.session == number)
    }
}
