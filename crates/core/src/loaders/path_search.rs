//! The search for a program in PATH, as in the original: execve(2) of every candidate in order.

/// The search path without a PATH variable.
pub const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The directories to search for `program`, in order.
///
/// An empty component of `path` is the current directory. A program with a slash in its name is not
/// searched for: then there are no directories.
pub fn directories<'a>(program: &[u8], path: Option<&'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let searched = !program.contains(&b'/');
    path.unwrap_or(DEFAULT_PATH)
        .split(|&c| c == b':')
        .filter(move |_| searched)
        .map(|dir| if dir.is_empty() { b"." } else { dir })
}

/// The next step of the search after a failed execve(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// The file does not exist: try the next directory.
    Continue,
    /// The file cannot be executed: try the next directory, and report this error if none has it.
    RememberError,
    /// Another error: report it.
    Fail,
}

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const EISDIR: i32 = 21;

/// The next step after execve(2) failed with `errno`.
#[must_use]
pub const fn after_error(errno: i32) -> NextStep {
    match errno {
        ENOENT => NextStep::Continue,
        EACCES | EPERM | EISDIR => NextStep::RememberError,
        _ => NextStep::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn empty_components_are_the_current_directory() {
        let searched: Vec<&[u8]> = directories(b"x", Some(b":/a::/b:")).collect();
        assert_eq!(searched, [&b"."[..], b"/a", b".", b"/b", b"."]);
        assert_eq!(directories(b"x", None).count(), 2);
        assert_eq!(directories(b"./x", Some(b"/a")).count(), 0);
    }
}
