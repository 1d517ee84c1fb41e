//! Parents and children of processes, from /proc.
//!
//! An answer can be outdated at once. Before sending a signal, a caller opens a pidfd and then asks
//! for the parent again.

use crate::process::Pid;
use crate::{AsFd as _, BorrowedFd, Errno, Result, dir, fd, fs};
use core::ffi::CStr;
use core::str::FromStr;

/// The parent of a process.
///
/// # Errors
/// ESRCH: the process has ended, or its parent is outside our PID namespace, as that of process 1.
/// Those of opening and reading files in /proc.
pub fn parent_of(pid: Pid) -> Result<Pid> {
    let mut path = Path::new(b"/proc/");
    path.push_number(pid.get());
    path.push(b"/stat");
    parent_by(path.as_c_str()?)
}

/// Whether a process is at its end: it closes its descriptors, and becomes a zombie.
///
/// # Errors
/// As for [`parent_of`].
pub fn is_exiting(pid: Pid) -> Result<bool> {
    /// `PF_EXITING` in the flags of a task.
    const EXITING: u64 = 4;
    let mut path = Path::new(b"/proc/");
    path.push_number(pid.get());
    path.push(b"/stat");
    let flags: u64 = stat_field(path.as_c_str()?, FLAGS)?;
    Ok(flags & EXITING != 0)
}

/// Calls `each` for every child of a process, including zombies. It can miss a child while others
/// start and end. A caller that needs all of them repeats the call until there are none.
///
/// # Errors
/// ESRCH: the process has ended. Those of opening and reading files in /proc.
pub fn children_of(pid: Pid, mut each: impl FnMut(Pid)) -> Result<()> {
    let mut path = Path::new(b"/proc/");
    path.push_number(pid.get());
    path.push(b"/task");
    let tasks = fs::open_dir(fs::HERE, path.as_c_str()?).map_err(gone)?;
    let mut done = Ok(());
    dir::entries(tasks.as_fd(), |task, _| {
        if done.is_ok() {
            done = children_of_task(tasks.as_fd(), task, &mut each);
        }
    })
    .map_err(gone)?;
    match done {
        // The kernel was built without CONFIG_PROC_CHILDREN.
        Err(Errno::NOSYS) => scan_for_children_of(pid, each),
        other => other,
    }
}

/// Calls `each` for the children that one thread of a process has started.
///
/// # Errors
/// ENOSYS: the kernel has no `children` files.
fn children_of_task(tasks: BorrowedFd<'_>, task: &CStr, each: &mut impl FnMut(Pid)) -> Result<()> {
    let mut path = Path::new(task.to_bytes());
    path.push(b"/children");
    let file = match fs::open_read(tasks, path.as_c_str()?) {
        Err(Errno::NOENT) if fs::exists(fs::HERE, c"/proc/thread-self/children")? => {
            // The kernel has these files, so the thread has ended.
            return Ok(());
        }
        Err(Errno::NOENT) => return Err(Errno::NOSYS),
        other => other?,
    };
    let mut number = 0_i32;
    let mut part = [0; 256];
    loop {
        let read = match fd::read(file.as_fd(), &mut part) {
            Err(Errno::SRCH) => 0,
            other => other?,
        };
        // A space follows each number. A number can start in this part and end in the next.
        for &byte in part.get(..read).unwrap_or_default() {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'));
            } else if let Some(child) = Pid::new(core::mem::take(&mut number)) {
                each(child);
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// Calls `each` for every process in /proc, including zombies.
///
/// # Errors
/// Those of opening and reading /proc.
pub fn processes(mut each: impl FnMut(Pid)) -> Result<()> {
    let all = fs::open_dir(fs::HERE, c"/proc")?;
    dir::entries(all.as_fd(), |name, _| {
        if let Some(pid) = number(name.to_bytes()) {
            each(pid);
        }
    })
}

/// Does the same as [`children_of`] by reading the parent of every process.
fn scan_for_children_of(pid: Pid, mut each: impl FnMut(Pid)) -> Result<()> {
    processes(|child| {
        if parent_of(child) == Ok(pid) {
            each(child);
        }
    })
}

/// Fields of `/proc/PID/stat`, counted from the name.
const PARENT: usize = 2;
const FLAGS: usize = 7;

/// The parent, from a file `/proc/PID/stat`.
fn parent_by(path: &CStr) -> Result<Pid> {
    stat_field(path, PARENT)
}

/// A field of a file `/proc/PID/stat`.
fn stat_field<T: FromStr>(path: &CStr, field: usize) -> Result<T> {
    let mut room = [0; 192];
    let text = fs::read_start(fs::HERE, path, &mut room).map_err(gone)?;
    // The name is in parentheses and may contain any byte, so look for the last parenthesis.
    let name_end = text.iter().rposition(|&byte| byte == b')').ok_or(Errno::INVAL)?;
    let mut fields = text.get(name_end..).unwrap_or_default().split(|&byte| byte == b' ');
    let digits = fields.nth(field).and_then(|digits| str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or(Errno::SRCH)
}

/// ESRCH for both errors with which /proc reports an ended process.
fn gone(error: Errno) -> Errno {
    if error == Errno::NOENT { Errno::SRCH } else { error }
}

fn number(digits: &[u8]) -> Option<Pid> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// A path in /proc.
pub(crate) struct Path {
    bytes: [u8; 40],
    length: usize,
}

impl Path {
    pub(crate) fn new(start: &[u8]) -> Self {
        let mut new = Self { bytes: [0; 40], length: 0 };
        new.push(start);
        new
    }

    /// Appends bytes. [`Path::as_c_str`] fails if they do not fit with a final NUL.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }

    pub(crate) fn push_number(&mut self, number: i32) {
        // Never the number of a process or descriptor; the path then does not exist.
        if number.is_negative() {
            self.push(b"-");
        }
        let mut digits = [0; 10];
        let mut rest = number.unsigned_abs();
        let mut length = 0;
        for place in digits.iter_mut().rev() {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            length += 1;
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(10 - length..).unwrap_or_default());
    }

    pub(crate) fn as_c_str(&self) -> Result<&CStr> {
        let path = self.bytes.get(..=self.length).ok_or(Errno::NAMETOOLONG)?;
        CStr::from_bytes_with_nul(path).map_err(|_| Errno::NAMETOOLONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};
    use std::vec::Vec;

    fn start_sleep() -> (Child, Pid) {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        (child, pid)
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn children(of: Pid) -> Vec<Pid> {
        let mut found = Vec::new();
        children_of(of, |child| found.push(child)).unwrap();
        found
    }

    fn scanned(of: Pid) -> Vec<Pid> {
        let mut found = Vec::new();
        scan_for_children_of(of, |child| found.push(child)).unwrap();
        found
    }

    #[test]
    fn parent_and_children_agree() {
        let us = crate::process::id();
        let (child, pid) = start_sleep();
        let (other, other_pid) = std::thread::spawn(start_sleep).join().unwrap();
        assert_eq!(parent_of(pid), Ok(us));
        assert_eq!(
            parent_of(us),
            Ok(Pid::new(std::os::unix::process::parent_id() as i32).unwrap())
        );
        for found in [children(us), scanned(us)] {
            assert!(found.contains(&pid) && found.contains(&other_pid), "{found:?}");
        }
        assert_eq!(children(pid), []);
        assert_eq!(scanned(pid), []);
        end(child);
        end(other);
        assert!(!children(us).contains(&pid));
        assert_eq!(parent_of(pid), Err(Errno::SRCH));
        assert_eq!(children_of(pid, |_| {}), Err(Errno::SRCH));
    }

    #[test]
    fn many_children_are_read_in_several_parts() {
        let script = "i=0; while [ $i -lt 80 ]; do sleep 1000 & i=$((i+1)); done; exec sleep 1000";
        let mut shell = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = Pid::new(shell.id().try_into().unwrap()).unwrap();
        crate::test_support::eventually(|| (children(pid).len() == 80).then_some(()));
        let mut found = children(pid);
        found.sort();
        assert_eq!(found.len(), 80);
        assert!(found.iter().all(|&child| parent_of(child) == Ok(pid)));
        let mut others = scanned(pid);
        others.sort();
        assert_eq!(others, found);
        for child in found {
            crate::process::kill(child, crate::signal::KILL).unwrap();
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn a_process_name_may_contain_parentheses() {
        let directory = std::env::temp_dir();
        let odd = directory.join(std::format!(") R 1 (\n{}", std::process::id()));
        std::os::unix::fs::symlink("/bin/sleep", &odd).unwrap();
        let mut child = Command::new(&odd).arg("1000").spawn().unwrap();
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        assert_eq!(parent_of(pid), Ok(crate::process::id()));
        std::fs::remove_file(odd).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn process_1_has_no_visible_parent() {
        assert_eq!(parent_of(Pid::new(1).unwrap()), Err(Errno::SRCH));
        assert_eq!(parent_of(Pid::new(-1).unwrap()), Err(Errno::SRCH));
        assert_eq!(parent_of(Pid::MIN), Err(Errno::SRCH));
        assert_eq!(parent_of(Pid::MAX), Err(Errno::SRCH));
    }
}
