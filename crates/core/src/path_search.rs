//! Finding a program the way the original does: execve on one candidate after the other.

/// What is used when there is no PATH.
pub const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The directories in which to look for `program`, in order, an empty one being the current
/// directory. A program with a slash is not searched for, and there are none.
pub fn directories<'a>(program: &[u8], path: Option<&'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let searched = !program.contains(&b'/');
    path.unwrap_or(DEFAULT_PATH)
        .split(|&c| c == b':')
        .filter(move |_| searched)
        .map(|dir| if dir.is_empty() { b"." } else { dir })
}

/// What an error of execve means for the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not here: try the next.
    Next,
    /// Here, but not for us: try the next, and report this if nothing is found.
    Remember,
    /// Report this at once.
    Stop,
}

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const EISDIR: i32 = 21;

/// What to do after execve failed with `errno`.
#[must_use]
pub const fn verdict(errno: i32) -> Verdict {
    match errno {
        ENOENT => Verdict::Next,
        EACCES | EPERM | EISDIR => Verdict::Remember,
        _ => Verdict::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn empty_components_are_the_current_directory() {
        let found: Vec<&[u8]> = directories(b"x", Some(b":/a::/b:")).collect();
        assert_eq!(found, [&b"."[..], b"/a", b".", b"/b", b"."]);
        assert_eq!(directories(b"x", None).count(), 2);
        assert_eq!(directories(b"./x", Some(b"/a")).count(), 0);
    }
}
