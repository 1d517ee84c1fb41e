//! What stat(2), statx(2) and statfs(2) tell.

use super::tree::InodeNumber;
use super::{Kernel, Result};
use linux_raw_sys::errno::EFAULT;
use machine::copy_out;

const BILLION: u64 = 1_000_000_000;

/// Writes fields, each at its offset, into a struct of this size.
fn lay_out(size: usize, address: usize, fields: &[(usize, u64, usize)]) -> Result<usize> {
    let mut bytes = vec![0; size];
    for &(offset, value, length) in fields {
        bytes[offset..offset + length].copy_from_slice(&value.to_ne_bytes()[..length]);
    }
    if copy_out(address, &bytes) { Ok(0) } else { Err(EFAULT) }
}

impl Kernel {
    /// `struct stat` of x86_64.
    pub(crate) fn stat(&self, number: InodeNumber, address: usize) -> Result<usize> {
        let inode = &self.inodes[&number];
        let (seconds, rest) = (inode.modified / BILLION, inode.modified % BILLION);
        let mut fields = vec![
            (0, 1, 8),
            (8, number, 8),
            (16, u64::from(inode.links), 8),
            (24, u64::from(inode.full_mode()), 4),
            (48, inode.size(), 8),
            (56, 4096, 8),
            (64, inode.size().div_ceil(512), 8),
        ];
        for at in [72, 88, 104] {
            fields.extend([(at, seconds, 8), (at + 8, rest, 8)]);
        }
        lay_out(144, address, &fields)
    }

    /// `struct statx`, the basic fields and the time of birth.
    pub(crate) fn statx(&self, number: InodeNumber, address: usize) -> Result<usize> {
        let inode = &self.inodes[&number];
        let mut fields = vec![
            (0, 0xfff, 4),
            (4, 4096, 4),
            (16, u64::from(inode.links), 4),
            (28, u64::from(inode.full_mode()), 2),
            (32, number, 8),
            (40, inode.size(), 8),
            (48, inode.size().div_ceil(512), 8),
            (140, 1, 4),
        ];
        let modified = inode.modified;
        for (at, time) in [(64, modified), (80, inode.born), (96, modified), (112, modified)] {
            fields.extend([(at, time / BILLION, 8), (at + 8, time % BILLION, 4)]);
        }
        lay_out(256, address, &fields)
    }

    /// `struct statfs` of an ext4.
    pub(crate) fn statfs(address: usize) -> Result<usize> {
        const EXT: u64 = 0xef53;
        let fields = [
            (0, EXT, 8),
            (8, 4096, 8),
            (16, 1 << 20, 8),
            (24, 1 << 19, 8),
            (32, 1 << 19, 8),
            (64, 255, 8),
            (72, 4096, 8),
        ];
        lay_out(120, address, &fields)
    }
}
