//! `svctl metrics`: the metrics of services, to standard output or into a file for node_exporter.

use crate::command_line::Arguments;
use crate::escape::escape;
use crate::failure::{DONE, Failure, USAGE};
use crate::guarded_path::GuardedPlace;
use crate::metrics::collect::{Scope, collect};
use crate::metrics::compat::Compat;
use crate::metrics::exposition::Form;
use crate::metrics::render::render;
use crate::options::{COMPAT, OPENMETRICS, TEXTFILE};
use crate::output::line;
use crate::selection::{named_or_all, scan_dir};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fsync, openat, renameat, unlinkat};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// The mode of the file for node_exporter, which runs as another user.
const MODE: u32 = 0o644;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let compat = arguments.value(COMPAT.long).map(|word| compat(&word.to_string_lossy()));
    let compat = compat.transpose()?;
    let form = if arguments.has(&OPENMETRICS) { Form::OpenMetrics } else { Form::Prometheus };
    if arguments.has(&OPENMETRICS) {
        // node_exporter reads the text format, and a counter of its supervisord has no _total.
        let other = [&COMPAT, &TEXTFILE].into_iter().find(|option| arguments.has(option));
        if let Some(other) = other {
            let message = format!("unable to use --openmetrics with --{}", other.long);
            return Err(Failure::new(USAGE, message));
        }
    }
    let scan = scan_dir(arguments);
    let targets = named_or_all(&scan, arguments)?;
    let text = match compat {
        Some(compat) => compat.render(&collect(&scan, &targets, Scope::States), form),
        None => render(&collect(&scan, &targets, Scope::All), form),
    };
    match arguments.value(TEXTFILE.long) {
        Some(path) => replace(Path::new(path), &text)?,
        None => line(text.trim_end_matches('\n')),
    }
    Ok(DONE)
}

fn compat(word: &str) -> Result<Compat, Failure> {
    Compat::from_word(word).ok_or_else(|| {
        let message =
            format!("unable to use --compat {}: not {}", escape(word), Compat::WORDS.join(" or "));
        Failure::new(USAGE, message)
    })
}

/// Replaces a file in one step: a reader finds the old text or the new one.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let what = format!("write {}", escape(&path.to_string_lossy()));
    let failure = |error: io::Error| Failure::system(&what, &error);
    let place = GuardedPlace::locate(path).map_err(failure)?;
    // node_exporter reads the files whose names end with .prom: this one does not.
    let mut temporary = OsString::from(".");
    temporary.push(&place.name);
    temporary.push(format!(".{}", std::process::id()));
    let write = || {
        let _ = unlinkat(&place.dir, &temporary, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = File::from(openat(&place.dir, &temporary, flags, Mode::from_raw_mode(MODE))?);
        (&file).write_all(text.as_bytes())?;
        // Whatever the umask is.
        fchmod(&file, Mode::from_raw_mode(MODE))?;
        // Some file systems rename before they write.
        fsync(&file)?;
        renameat(&place.dir, &temporary, &place.dir, &place.name)?;
        Ok(())
    };
    write().map_err(|error: io::Error| {
        let _ = unlinkat(&place.dir, &temporary, AtFlags::empty());
        failure(error)
    })
}
