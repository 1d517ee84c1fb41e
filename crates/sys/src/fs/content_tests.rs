//! Tests of reading and writing files.

use super::*;
use crate::fs::{HERE, mkdir, mkfifo, open_dir, rmdir};
use alloc::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// A directory that is removed when the test ends.
struct Scratch(PathBuf, OwnedFd);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = std::format!("daemontools-fs-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let at = CString::new(path.as_os_str().as_bytes()).unwrap();
        Self(path, open_dir(HERE, &at).unwrap())
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn read_whole_refuses_a_file_above_the_limit() {
    let here = Scratch::new("whole");
    for length in [0, 1, 63, 64, 65, 4096, 100_000] {
        let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        std::fs::write(here.0.join("file"), &content).unwrap();
        assert_eq!(read_whole(here.fd(), c"file", length).as_ref(), Ok(&content));
        assert_eq!(read_whole(here.fd(), c"file", 200_000).as_ref(), Ok(&content));
        if let Some(less) = length.checked_sub(1) {
            assert_eq!(read_whole(here.fd(), c"file", less), Err(Errno::FBIG));
        }
    }
    assert_eq!(read_whole(here.fd(), c"missing", 10), Err(Errno::NOENT));
    assert_eq!(read_whole(here.fd(), c"file", usize::MAX).map(|all| all.len()), Ok(100_000));
}

#[test]
fn a_proc_file_is_read_whole_without_a_stated_size() {
    let content = read_whole(HERE, c"/proc/self/mountinfo", 1 << 20).unwrap();
    assert_eq!(content, std::fs::read("/proc/self/mountinfo").unwrap());
    assert_eq!(read_whole(HERE, c"/proc/self/mountinfo", 10), Err(Errno::FBIG));
}

#[test]
fn read_whole_refuses_fifos_directories_and_devices() {
    let here = Scratch::new("kinds");
    mkfifo(here.fd(), c"fifo", 0o600).unwrap();
    assert_eq!(read_whole(here.fd(), c"fifo", 10), Err(Errno::INVAL));
    assert_eq!(read_whole(here.fd(), c".", 10), Err(Errno::ISDIR));
    assert_eq!(read_whole(HERE, c"/dev/zero", 10), Err(Errno::INVAL));
}

#[test]
fn write_file_overwrites_an_existing_file_only() {
    let here = Scratch::new("write");
    assert_eq!(write_file(here.fd(), c"file", b"new"), Err(Errno::NOENT));
    std::fs::write(here.0.join("file"), "longer").unwrap();
    write_file(here.fd(), c"file", b"new").unwrap();
    assert_eq!(std::fs::read(here.0.join("file")).unwrap(), b"newger");
    assert_eq!(write_file(HERE, c"/proc/self/oom_score_adj", b"nonsense"), Err(Errno::INVAL));
}

#[test]
fn rmdir_removes_only_empty_directories() {
    let here = Scratch::new("dirs");
    mkdir(here.fd(), c"new", 0o700).unwrap();
    mkdir(here.fd(), c"new/inner", 0o700).unwrap();
    assert_eq!(rmdir(here.fd(), c"new"), Err(Errno::NOTEMPTY));
    rmdir(here.fd(), c"new/inner").unwrap();
    rmdir(here.fd(), c"new").unwrap();
    assert_eq!(rmdir(here.fd(), c"new"), Err(Errno::NOENT));
}
