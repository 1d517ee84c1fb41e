//! The choice of the programs under test.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The programs under test.
///
/// `DAEMONTOOLS_UNDER_TEST` chooses them: unset or `original` means the
/// original's, which the script `tests/original` fetches to
/// `target/original/usr/bin` (`DAEMONTOOLS_ORIGINAL` names another directory);
/// anything else is the directory of our programs. Relative names start at the
/// top of the workspace.
#[derive(Debug)]
pub struct Suite {
    bin: PathBuf,
    original: bool,
}

impl Suite {
    /// The suite the environment asks for.
    ///
    /// # Panics
    ///
    /// If there are no programs in its directory. A test never passes because
    /// there was nothing to test.
    #[must_use]
    pub fn get() -> &'static Self {
        static SUITE: OnceLock<Suite> = OnceLock::new();
        SUITE.get_or_init(|| {
            Self::choose(env::var_os("DAEMONTOOLS_UNDER_TEST"), env::var_os("DAEMONTOOLS_ORIGINAL"))
        })
    }

    fn choose(under_test: Option<OsString>, original_in: Option<OsString>) -> Self {
        let under_test = under_test.filter(|v| !v.is_empty() && v != "original");
        let original = under_test.is_none();
        let dir = match under_test {
            Some(dir) => PathBuf::from(dir),
            None => original_in
                .filter(|v| !v.is_empty())
                .map_or_else(|| PathBuf::from("target/original/usr/bin"), PathBuf::from),
        };
        let dir = workspace().join(dir);
        assert!(
            dir.join("supervise").is_file(),
            "no programs to test in {}: {}",
            dir.display(),
            if original {
                "run the script tests/original, or set DAEMONTOOLS_ORIGINAL to a directory \
                 holding the original's programs"
            } else {
                "build them first; DAEMONTOOLS_UNDER_TEST names the directory of the \
                 executables. To test the original's, unset it and run the script tests/original"
            }
        );
        let bin = dir.canonicalize().expect("a directory which exists has a full name");
        Self { bin, original }
    }

    /// The directory of the programs.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Whether the original is under test.
    #[must_use]
    pub fn is_original(&self) -> bool {
        self.original
    }

    /// Whether ours is under test, where it differs from the original on purpose, and why. The
    /// test then states both: what the original does, and what ours does instead.
    ///
    /// The reason is a literal in the source. `docs/compliance.md` is made of these.
    #[must_use]
    pub fn differs(&self, reason: &str) -> bool {
        debug_assert!(!reason.is_empty());
        !self.original
    }

    /// The full name of a program: the suite's if it has one of that name,
    /// otherwise the system's. Names with a slash are left alone.
    ///
    /// # Panics
    ///
    /// If neither has it.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        if name.contains('/') {
            return name.into();
        }
        [self.bin.as_path()]
            .into_iter()
            .chain(["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(Path::new))
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
            .unwrap_or_else(|| panic!("neither {} nor the system has {name}", self.bin.display()))
    }

    /// `PATH` for everything started: the suite comes first.
    pub(crate) fn search_path(&self) -> OsString {
        let mut path = self.bin.clone().into_os_string();
        path.push(":/usr/bin:/bin");
        path
    }
}

/// The top of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::Suite;
    use std::panic;

    #[test]
    fn a_directory_without_programs_is_an_error_which_names_the_remedy() {
        let empty = env!("CARGO_MANIFEST_DIR");
        for (under_test, original_in) in [(None, Some(empty.into())), (Some(empty.into()), None)] {
            let message = panic::catch_unwind(|| Suite::choose(under_test, original_in))
                .expect_err("must not be accepted");
            let message = message.downcast_ref::<String>().expect("a text");
            assert!(message.contains("tests/original"), "{message}");
        }
    }
}
