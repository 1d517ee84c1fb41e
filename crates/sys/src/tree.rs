//! Which process is whose child, as /proc tells. All of it may be different the next moment: who is
//! to get a signal is first held by a descriptor, and then asked for its parent.

use crate::process::Pid;
use crate::{AsFd as _, BorrowedFd, Errno, Result, dir, fd, fs};
use core::ffi::CStr;

/// The parent of a process.
///
/// # Errors
/// ESRCH if the process has gone, or its parent is outside our namespace of process ids (as that
/// of process 1); what opening and reading in /proc say.
pub fn parent_of(pid: Pid) -> Result<Pid> {
    let mut path = Path::new(b"/proc/");
    path.push_number(pid);
    path.push(b"/stat");
    parent_by(path.as_c_str()?)
}

/// Calls `each` for every child of a process, ended ones included that it has not reaped. While
/// children come and go, some may be missed that are there: who needs all of them asks until there
/// are none.
///
/// # Errors
/// ESRCH if the process has gone; what opening and reading in /proc say.
pub fn children_of(pid: Pid, mut each: impl FnMut(Pid)) -> Result<()> {
    let mut path = Path::new(b"/proc/");
    path.push_number(pid);
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
        // The kernel was built without these files.
        Err(Errno::NOSYS) => scan_for_children_of(pid, each),
        other => other,
    }
}

/// The children that one of a process's threads has started; ENOSYS where that is not told.
fn children_of_task(tasks: BorrowedFd<'_>, task: &CStr, each: &mut impl FnMut(Pid)) -> Result<()> {
    let mut path = Path::new(task.to_bytes());
    path.push(b"/children");
    let file = match fs::open_read(tasks, path.as_c_str()?) {
        Err(Errno::NOENT) if fs::exists(fs::HERE, c"/proc/thread-self/children")? => {
            // The thread has ended.
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
        // Each number is followed by a space; one may begin in this part and end in the next.
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

/// The same by asking every process for its parent.
fn scan_for_children_of(pid: Pid, mut each: impl FnMut(Pid)) -> Result<()> {
    let all = fs::open_dir(fs::HERE, c"/proc")?;
    dir::entries(all.as_fd(), |name, _| {
        let Some(child) = number(name.to_bytes()) else { return };
        let mut path = Path::new(b"/proc/");
        path.push(name.to_bytes());
        path.push(b"/stat");
        if path.as_c_str().and_then(parent_by) == Ok(pid) {
            each(child);
        }
    })
}

/// The parent, from a file /proc/PID/stat.
fn parent_by(path: &CStr) -> Result<Pid> {
    let mut room = [0; 192];
    let text = fs::read_start(fs::HERE, path, &mut room).map_err(gone)?;
    // The name stands in parentheses and may hold any bytes; no field behind it has one.
    let name_end = text.iter().rposition(|&byte| byte == b')').ok_or(Errno::INVAL)?;
    let mut fields = text.get(name_end..).unwrap_or_default().split(|&byte| byte == b' ');
    fields.nth(2).and_then(number).ok_or(Errno::SRCH)
}

/// /proc says in two ways that a process has gone.
fn gone(error: Errno) -> Errno {
    if error == Errno::NOENT { Errno::SRCH } else { error }
}

fn number(digits: &[u8]) -> Option<Pid> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// A path in /proc.
struct Path {
    bytes: [u8; 40],
    length: usize,
}

impl Path {
    fn new(start: &[u8]) -> Self {
        let mut new = Self { bytes: [0; 40], length: 0 };
        new.push(start);
        new
    }

    /// What does not fit, with a NUL behind it, is noticed by [`Path::as_c_str`].
    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }

    fn push_number(&mut self, pid: Pid) {
        // The kernel's number of a group: nobody's.
        if pid.is_negative() {
            self.push(b"-");
        }
        let mut digits = [0; 10];
        let mut rest = pid.get().unsigned_abs();
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

    fn as_c_str(&self) -> Result<&CStr> {
        let path = self.bytes.get(..=self.length).ok_or(Errno::NAMETOOLONG)?;
        CStr::from_bytes_with_nul(path).map_err(|_| Errno::NAMETOOLONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};
    use std::vec::Vec;

    fn sleeper() -> (Child, Pid) {
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
    fn a_child_knows_its_parent_and_the_parent_its_children() {
        let us = crate::process::id();
        let (child, pid) = sleeper();
        let (other, other_pid) = std::thread::spawn(sleeper).join().unwrap();
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
    fn many_children_are_more_than_one_part() {
        let script = "i=0; while [ $i -lt 80 ]; do sleep 1000 & i=$((i+1)); done; exec sleep 1000";
        let mut shell = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = Pid::new(shell.id().try_into().unwrap()).unwrap();
        crate::standard::eventually(|| (children(pid).len() == 80).then_some(()));
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
    fn the_name_of_a_process_may_be_anything() {
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
    fn process_1_has_no_parent_that_we_see() {
        assert_eq!(parent_of(Pid::new(1).unwrap()), Err(Errno::SRCH));
        assert_eq!(parent_of(Pid::new(-1).unwrap()), Err(Errno::SRCH));
        assert_eq!(parent_of(Pid::MIN), Err(Errno::SRCH));
        assert_eq!(parent_of(Pid::MAX), Err(Errno::SRCH));
    }
}
