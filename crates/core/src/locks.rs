//! /proc/locks: who holds a lock.

use crate::Pid;

/// A file: device, major and minor number, and inode.
pub type File = ((u32, u32), u64);

/// The process that took the flock(2) lock on the file with this device and inode, from the text
/// of /proc/locks. The process may be gone, if a child inherited the descriptor.
#[must_use]
pub fn holder(text: &[u8], device: (u32, u32), inode: u64) -> Option<Pid> {
    holders(text).find_map(|(file, pid)| (file == (device, inode)).then_some(pid))
}

/// All files with a flock(2) lock, and the processes that took them.
pub fn holders(text: &[u8]) -> impl Iterator<Item = (File, Pid)> {
    text.split(|&c| c == b'\n').filter_map(line_holder)
}

/// A line is `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`: device in hexadecimal.
fn line_holder(line: &[u8]) -> Option<(File, Pid)> {
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
    Some(((device, inode), pid))
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
    fn finds_the_holder_of_the_right_kind() {
        assert_eq!(holder(TEXT, (0, 0x1b), 42), Pid::new(1234));
        assert_eq!(holder(TEXT, (0, 0x1c), 42), None);
        assert_eq!(holder(TEXT, (0xfd, 0x0a), 43), None, "a holder outside our pid namespace");
        assert_eq!(holder(b"", (0, 0), 0), None);
        assert_eq!(holder(b"garbage\n1: FLOCK", (0, 0), 0), None);
        assert_eq!(holders(TEXT).map(|(file, _)| file).collect::<Vec<_>>(), [((0, 0x1b), 42)]);
    }
}
