//! The log directories that the arguments name, and whose they are.

use super::directory::LogWriter;
use crate::arguments::Arguments;
use crate::escape::escape;
use crate::failure::{Failure, reason};
use crate::options::{FOLLOW, LOG_DIR};
use crate::selection::{Target, all, scan_dir, select};
use servicedir::{EntryKind, ServiceDir};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogSource {
    /// The name of its service, or the path that was given.
    pub(crate) service: String,
    pub(crate) path: PathBuf,
    /// The logger that runs now.
    pub(crate) writer: Option<LogWriter>,
}

/// The log directories of the services that are named, or of all; those of `--log-dir` alone without
/// names. The texts say what has none, and why.
pub(crate) fn find(arguments: &Arguments) -> Result<(Vec<LogSource>, Vec<String>), Failure> {
    let mut found: Vec<LogSource> = arguments
        .values(&LOG_DIR)
        .map(|path| LogSource {
            service: path.to_string_lossy().into_owned(),
            path: PathBuf::from(path),
            writer: None,
        })
        .collect();
    let mut troubles = Vec::new();
    let is_named = !arguments.operands.is_empty();
    if is_named || found.is_empty() {
        let scan = scan_dir(arguments);
        let targets = if is_named { select(&scan, &arguments.operands)? } else { all(&scan)? };
        for target in targets {
            match of_service(&target) {
                // Its logger may be started while it is followed.
                Ok(sources) if sources.is_empty() && is_named && !arguments.has(&FOLLOW) => {
                    let name = target.shown();
                    troubles.push(format!(
                        "{name} has no log directory that can be found (--log-dir DIR names one)"
                    ));
                }
                Ok(sources) => found.extend(sources),
                Err(error) => {
                    let name = target.shown();
                    let why = reason(&error);
                    troubles.push(format!("unable to find the log directory of {name}: {why}"));
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|source| seen.insert(same_path(&source.path)));
    Ok((found, troubles))
}

/// A directory of several services is read once.
fn same_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The log directories of a service. `web/log` means those of `web`.
pub(crate) fn of_service(target: &Target) -> std::io::Result<Vec<LogSource>> {
    if target.kind != EntryKind::Service {
        return Ok(Vec::new());
    }
    let path = target.dir.path();
    let own = match path.parent() {
        Some(service) if path.file_name().is_some_and(|name| name == "log") => {
            Some(ServiceDir::new(service))
        }
        _ => None,
    };
    let dir = own.as_ref().unwrap_or(&target.dir);
    let logger = dir.logger().and_then(|logger| logger.status().ok().flatten()?.pid);
    let writer = logger.and_then(|pid| LogWriter::of_process(pid.get()));
    let name = target.name.to_string_lossy();
    Ok(dir
        .log_dirs()?
        .into_iter()
        .map(|path| LogSource { service: name.clone().into_owned(), path, writer })
        .collect())
}

/// The path without control characters.
pub(crate) fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy())
}
