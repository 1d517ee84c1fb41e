//! The choice of the programs under test.

use crate::caller;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The programs under test.
///
/// `DAEMONTOOLS_UNDER_TEST` chooses them. Unset, they are ours: built from this checkout and
/// installed into `target/check/bin`. `original` means the original's, which the script
/// `tests/original` fetches into `target/original/usr/bin` (`DAEMONTOOLS_ORIGINAL` names another
/// directory). Any other value is a directory that holds our programs. Relative names start at the
/// top of the checkout.
#[derive(Debug)]
pub struct Suite {
    bin: PathBuf,
    original: bool,
}

impl Suite {
    /// The suite that the environment chooses; built or fetched first if need be. The first call
    /// in a process prints which programs are tested.
    ///
    /// # Panics
    ///
    /// If the programs are missing and cannot be had. A test never passes because there was
    /// nothing to test.
    #[must_use]
    pub fn get() -> &'static Self {
        static SUITE: OnceLock<Suite> = OnceLock::new();
        SUITE.get_or_init(|| {
            caller::reset_inherited();
            let under_test = env::var_os("DAEMONTOOLS_UNDER_TEST").filter(|v| !v.is_empty());
            let (suite, how) = match under_test {
                None => (Self::ours(&build()), "ours, built from this checkout"),
                Some(name) if name == "original" => {
                    let bin = original().to_owned();
                    (Self { bin, original: true }, "the original")
                }
                Some(dir) => (Self::ours(&checkout().join(dir)), "ours, by DAEMONTOOLS_UNDER_TEST"),
            };
            // Past the capture of libtest, which shows the output of failed tests only.
            let line = format!("testing {} ({how})\n", suite.bin.display());
            let _ = io::stderr().write_all(line.as_bytes());
            suite
        })
    }

    fn ours(dir: &Path) -> Self {
        assert!(
            dir.join("supervise").is_file(),
            "no programs to test in {}: unset DAEMONTOOLS_UNDER_TEST to test this checkout, or let \
             it name the directory of the executables",
            dir.display()
        );
        let bin = dir.canonicalize().expect("a directory which exists has a full name");
        Self { bin, original: false }
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
    /// otherwise the system's or one that the script `tests/programs` has
    /// fetched. Names with a slash are left alone.
    ///
    /// # Panics
    ///
    /// If none of them has it. [`requires`](crate::requires) tells before.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        if name.contains('/') {
            return name.into();
        }
        self.find(name).unwrap_or_else(|| {
            panic!("neither {} nor the system has {name}", self.bin.display());
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        [self.bin.clone()]
            .into_iter()
            .chain(["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
            .chain(fetched("bin"))
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
    }

    /// `PATH` for everything started: the suite comes first, what the system
    /// lacks last.
    pub(crate) fn search_path(&self) -> OsString {
        let mut path = self.bin.clone().into_os_string();
        path.push(":/usr/bin:/bin");
        if let Some(bin) = fetched("bin") {
            path.push(":");
            path.push(bin);
        }
        path
    }
}

/// A directory that the script `tests/programs` has made, if it has.
pub(crate) fn fetched(name: &str) -> Option<PathBuf> {
    Some(checkout().join("target/programs").join(name)).filter(|dir| dir.is_dir())
}

/// The directory of the original's programs: `DAEMONTOOLS_ORIGINAL`, or where `tests/original` puts
/// them.
///
/// # Panics
///
/// If they are missing and cannot be fetched.
pub fn original() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let named = env::var_os("DAEMONTOOLS_ORIGINAL").filter(|dir| !dir.is_empty());
        let dir = match named {
            Some(dir) => checkout().join(dir),
            None => {
                let fetch = Command::new(checkout().join("tests/original")).output();
                let fetch = fetch.expect("start the script tests/original");
                assert!(fetch.status.success(), "{}", String::from_utf8_lossy(&fetch.stderr));
                OsString::from_vec(fetch.stdout.trim_ascii_end().to_vec()).into()
            }
        };
        assert!(
            dir.join("supervise").is_file(),
            "the original's programs are not in {}: let DAEMONTOOLS_ORIGINAL name the directory \
             that holds them",
            dir.display()
        );
        dir.canonicalize().expect("a directory which exists has a full name")
    })
}

/// Builds our programs and installs them into `target/check/bin`, unless that was done.
fn build() -> PathBuf {
    let bin = checkout().join("target/check/bin");
    let built = Command::new(checkout().join("install")).arg("-q").arg(&bin).output();
    let built = built.expect("start the script install");
    assert!(
        built.status.success(),
        "the programs cannot be built:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    bin
}

/// The top of the checkout.
pub fn checkout() -> &'static Path {
    const HERE: &str = env!("CARGO_MANIFEST_DIR");
    Path::new(HERE).ancestors().nth(2).expect("the harness lies two levels below the top")
}

#[cfg(test)]
mod tests {
    use super::Suite;
    use std::panic;
    use std::path::Path;

    #[test]
    fn a_directory_without_programs_is_an_error_that_names_the_remedy() {
        let empty = Path::new(env!("CARGO_MANIFEST_DIR"));
        let message = panic::catch_unwind(|| Suite::ours(empty)).expect_err("must not be accepted");
        let message = message.downcast_ref::<String>().expect("a text");
        assert!(message.contains("DAEMONTOOLS_UNDER_TEST"), "{message}");
    }
}
