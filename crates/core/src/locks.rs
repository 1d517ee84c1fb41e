//! /proc/locks: who holds a lock.

use crate::Pid;

/// A file with a lock, and the process that took it: inode, device (major and minor number) and
/// process. The process may be gone, if a child inherited the descriptor.
pub type Holder = (u64, (u32, u32), Pid);

/// All flock(2) locks, from the text of /proc/locks.
pub fn holders(text: &[u8]) -> impl Iterator<Item = Holder> {
    text.split(|&c| c == b'\n').filter_map(line_holder)
}

/// A line is `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`: device in hexadecimal.
fn line_holder(line: &[u8]) -> Option<Holder> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    if words.nth(1)? != b"FLOCK" {
        return None;
    }
    let pid = words.nth(2)?;
    let mut file = words.next()?.split(|&c| c == b':');
    let hexadecimal = |word: &[u8]| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok();
    let device = (hexadecimal(file.next()?)?, hexadecimal(file.next()?)?);
    let inode = crate::decimal::parse(file.next()?)?;
    let pid = Pid::new(i32::try_from(crate::decimal::parse(pid)?).ok()?)?;
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
    fn finds_the_holders_of_the_right_kind() {
        // Not one outside our namespace of process ids, nor one that waits.
        let found: Vec<_> = holders(TEXT).collect();
        assert_eq!(found, [(42, (0, 0x1b), Pid::new(1234).unwrap())]);
        assert_eq!(holders(b"").next(), None);
        assert_eq!(holders(b"garbage\n1: FLOCK").next(), None);
    }
}
