//! The copy that the editor works on, and the editor.

use crate::failure::{CANNOT, Failure};
use crate::output::escape;
use signal_hook::consts::{SIGINT, SIGQUIT};
use signal_hook::flag;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The largest file that is edited. Option files and scripts are smaller.
pub(super) const LIMIT: u64 = 1024 * 1024;

/// A copy of the file in a directory that only this user may enter: the text may be a secret.
pub(super) struct Session {
    dir: PathBuf,
    copy: PathBuf,
}

impl Session {
    pub(super) fn begin(name: &OsStr, text: &[u8]) -> Result<Self, Failure> {
        let failure = |error: &io::Error| Failure::system("make a copy for the editor", error);
        let dir = make_dir().map_err(|e| failure(&e))?;
        let copy = dir.join(name);
        let made = File::options().write(true).create_new(true).mode(0o600).open(&copy);
        let session = Self { dir, copy };
        match made.and_then(|mut file| file.write_all(text)) {
            Ok(()) => Ok(session),
            Err(error) => {
                session.end();
                Err(failure(&error))
            }
        }
    }

    pub(super) fn copy(&self) -> &Path {
        &self.copy
    }

    /// Runs the editor; returns whether it succeeded.
    pub(super) fn run_editor(&self) -> Result<bool, Failure> {
        let chosen = ["VISUAL", "EDITOR"].into_iter().filter_map(env::var_os);
        let editor = chosen.into_iter().find(|words| !words.is_empty());
        let editor = editor.unwrap_or_else(|| OsString::from("vi"));
        // The variables hold a command line of the shell, such as `emacs -nw`.
        let mut script = editor.clone();
        script.push(" \"$@\"");
        // Ctrl-C in the editor belongs to the editor. A handler, unlike SIG_IGN, ends with exec.
        let ignored = Arc::new(AtomicBool::new(false));
        let handlers: Vec<_> = [SIGINT, SIGQUIT]
            .into_iter()
            .filter_map(|signal| flag::register(signal, Arc::clone(&ignored)).ok())
            .collect();
        let ended =
            Command::new("/bin/sh").arg("-c").arg(script).arg(&editor).arg(&self.copy).status();
        for handler in handlers {
            signal_hook::low_level::unregister(handler);
        }
        ended.map(|status| status.success()).map_err(|e| Failure::system("start the editor", &e))
    }

    /// What the editor has written.
    pub(super) fn text(&self) -> Result<Vec<u8>, Failure> {
        let copy = escape(&self.copy.to_string_lossy());
        let failure = |error: &io::Error| Failure::system(format!("read {copy}"), error);
        let mut text = Vec::new();
        let file = File::open(&self.copy).map_err(|e| failure(&e))?;
        file.take(LIMIT + 1).read_to_end(&mut text).map_err(|e| failure(&e))?;
        if text.len() as u64 > LIMIT {
            return Err(Failure::new(CANNOT, format!("unable to use {copy}: larger than 1 MiB")));
        }
        Ok(text)
    }

    /// Removes the copy, with what the editor left beside it.
    pub(super) fn end(&self) {
        let _ = fs::remove_dir_all(&self.dir);
    }

    /// Removes the copy if it still has this text. Otherwise returns where it is, for a message.
    pub(super) fn end_unless_changed(&self, text: &[u8]) -> String {
        if self.text().is_ok_and(|now| now == text) {
            self.end();
            return String::new();
        }
        format!("; the text is kept in {}", escape(&self.copy.to_string_lossy()))
    }
}

/// Makes a new directory with mode 0700 in `TMPDIR`.
fn make_dir() -> io::Result<PathBuf> {
    let base = env::temp_dir();
    for number in 0..1000 {
        let dir = base.join(format!("svctl-edit-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| dir),
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}
