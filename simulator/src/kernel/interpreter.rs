//! The program of an executed file: one of the machine's programs, or the interpreter of a script.

use super::files::Content;
use super::tree::{InodeNumber, ROOT};
use super::{Kernel, Result};
use linux_raw_sys::errno::{EACCES, ENOENT, ENOEXEC};
use machine::Program;

impl Kernel {
    /// The file of the program of a file, the program, and its arguments. As on Linux, a script's first line names its interpreter
    /// and at most one argument.
    pub(crate) fn executable(
        &self,
        inode: InodeNumber,
        path: &[u8],
        arguments: Vec<Vec<u8>>,
    ) -> Result<(InodeNumber, Program, Vec<Vec<u8>>)> {
        if let Some(program) = self.programs.get(path) {
            return Ok((inode, *program, arguments));
        }
        let file = &self.inodes[&inode];
        let Content::File(text) = &file.content else { return Err(EACCES) };
        if file.mode & 0o111 == 0 {
            return Err(EACCES);
        }
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_prefix(b"#!").ok_or(ENOEXEC)?.trim_ascii();
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (interpreter, argument) = line.split_at(end);
        let program = *self.programs.get(interpreter).ok_or(ENOENT)?;
        let argument = argument.trim_ascii();
        let mut all = vec![interpreter.to_vec()];
        all.extend((!argument.is_empty()).then(|| argument.to_vec()));
        all.push(path.to_vec());
        all.extend(arguments.into_iter().skip(1));
        let found = self.walk(ROOT, interpreter, true, 0)?.found;
        Ok((found.ok_or(ENOENT)?, program, all))
    }
}
