//! /proc/locks (proc_locks(5)): which process holds a file lock.

use crate::Pid;

/// The holder of a lock: the inode and the device (major, minor) of the file, and the process that
/// took the lock. If a child inherited the descriptor, the process may have exited.
pub type Holder = (u64, (u32, u32), Pid);

/// The holders of all flock(2) locks in the text of /proc/locks.
///
/// Processes that wait for a lock, and processes outside of our pid namespace, are left out.
pub fn holders(text: &[u8]) -> impl Iterator<Item = Holder> {
    text.split(|&c| c == b'\n').filter_map(line_holder)
}

/// Parses `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`; the device is hexadecimal.
fn line_holder(line: &[u8]) -> Option<Holder> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    if words.nth(1)? != b"FLOCK" {
        return None;
    }
    let pid = words.nth(2)?;
    let mut file = words.next()?.split(|&c| c == b':');
    let hexadecimal = |word: &[u8]| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok();
    let device = (hexadecimal(file.next()?)?, hexadecimal(file.next()?)?);
    let inode = crate::text::decimal::parse(file.next()?)?;
    let pid = Pid::new(i32::try_from(crate::text::decimal::parse(pid)?).ok()?)?;
    Some((inode, device, pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const TEXT: &[u8] = b"1: POSIX  ADVISORY  WRITE 77 00:1b:42 0 EOF\n\
        2: FLOCK  ADVISORY  WRITE 1234 00:1b:42 0 EOF\n\
        2: -> FLOCK  ADVISORY  WRITE 99 00:1b:42 0 EOF\n\
        3: FLOCK  ADVISORY  WRITE -1 fd:0a:43 0 EOF\n";

    #[test]
    fn only_holders_of_flock_locks_are_listed() {
        // Line 3 is a process that waits, and line 4 one outside of our pid namespace.
        let found: Vec<_> = holders(TEXT).collect();
        assert_eq!(found, [(42, (0, 0x1b), Pid::new(1234).unwrap())]);
        assert_eq!(holders(b"").next(), None);
        assert_eq!(holders(b"garbage\n1: FLOCK").next(), None);
    }
}
