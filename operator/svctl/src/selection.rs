//! The services that the arguments name: names, patterns and paths.

use crate::arguments::Arguments;
use crate::escape::escape;
use crate::failure::{CANNOT, Failure, UNKNOWN, USAGE};
use crate::spelling::distance;
use glob::{MatchOptions, Pattern};
use servicedir::{Entry, EntryKind, ScanDir, ServiceDir};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where services are without `-d` and `SVDIR`.
const USUAL: [&str; 2] = ["/etc/service", "/service"];

/// A service that was named.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its name in the scan directory, or its path.
    pub(crate) name: OsString,
    pub(crate) dir: ServiceDir,
    /// What svscan makes of it.
    pub(crate) kind: EntryKind,
}

impl Target {
    pub(crate) fn new(
        name: impl Into<OsString>,
        path: impl Into<PathBuf>,
        kind: EntryKind,
    ) -> Self {
        Self { name: name.into(), dir: service_dir(path.into()), kind }
    }

    /// The name without control characters, for messages.
    pub(crate) fn shown(&self) -> String {
        escape(&self.name.to_string_lossy())
    }
}

/// The service directory at a path, with the state directory that SUPERVISEDIR chooses.
fn service_dir(path: PathBuf) -> ServiceDir {
    let Some(base) = env::var_os("SUPERVISEDIR").filter(|base| !base.is_empty()) else {
        return ServiceDir::new(path);
    };
    ServiceDir::with_base(path, base)
}

/// The scan directory: `-d`, else the usual one.
pub(crate) fn scan_dir(arguments: &Arguments) -> ScanDir {
    let chosen = arguments.value("dir").map(PathBuf::from);
    ScanDir::new(chosen.unwrap_or_else(usual_scan_dir))
}

/// The scan directory without `-d`: `SVDIR`, else /etc/service, else /service.
#[must_use]
pub fn usual_scan_dir() -> PathBuf {
    if let Some(dir) = env::var_os("SVDIR").filter(|dir| !dir.is_empty()) {
        return dir.into();
    }
    let exists = USUAL.iter().map(PathBuf::from).find(|dir| dir.is_dir());
    exists.unwrap_or_else(|| PathBuf::from(USUAL[1]))
}

/// Whether nothing can be known of the svscan of a scan directory: its services are supervised, and no
/// supervisor can be seen.
pub(crate) fn is_svscan_hidden(scan: &ScanDir) -> bool {
    let targets = all(scan).unwrap_or_default();
    ScanDir::are_supervisors_hidden(targets.iter().map(|target| &target.dir))
}

/// Everything in the scan directory.
pub(crate) fn all(scan: &ScanDir) -> Result<Vec<Target>, Failure> {
    let entries = entries(scan)?;
    Ok(entries.into_iter().map(|entry| of_entry(scan, entry)).collect())
}

fn entries(scan: &ScanDir) -> Result<Vec<Entry>, Failure> {
    scan.entries().map_err(|error| {
        let remedy = if error.kind() == std::io::ErrorKind::NotFound {
            " (-d DIR or SVDIR names another scan directory)"
        } else {
            ""
        };
        let path = escape(&scan.path().to_string_lossy());
        let failure = Failure::system(format!("read {path}"), &error);
        Failure { message: format!("{}{remedy}", failure.message), ..failure }
    })
}

fn of_entry(scan: &ScanDir, entry: Entry) -> Target {
    let path = scan.path().join(&entry.name);
    Target::new(entry.name, path, entry.kind)
}

/// The services that the operands name, or everything in the scan directory without operands.
pub(crate) fn named_or_all(scan: &ScanDir, arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    if arguments.operands.is_empty() { all(scan) } else { select(scan, &arguments.operands) }
}

/// The services that the operands name. At least one is needed.
pub(crate) fn named(arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    if arguments.operands.is_empty() {
        return Err(Failure::new(USAGE, format!("usage: svctl {}", arguments.synopsis)));
    }
    select(&scan_dir(arguments), &arguments.operands)
}

/// The services that words name, each once, in the order of the words.
pub(crate) fn select(scan: &ScanDir, words: &[OsString]) -> Result<Vec<Target>, Failure> {
    let mut found: Vec<Target> = Vec::new();
    for word in words {
        for target in of_word(scan, word)? {
            if found.iter().all(|known| known.dir.path() != target.dir.path()) {
                found.push(target);
            }
        }
    }
    Ok(found)
}

fn of_word(scan: &ScanDir, word: &OsStr) -> Result<Vec<Target>, Failure> {
    let bytes = word.as_bytes();
    // As of a variable that is not set; joined to the scan directory it would name that.
    if bytes.is_empty() {
        return Err(Failure::new(USAGE, "unable to find a service with an empty name"));
    }
    let below = scan.path().join(word);
    // `web/log` is the logger of a service. Other words with a slash are paths.
    let is_path = bytes.contains(&b'/')
        && (bytes.starts_with(b"/") || bytes.starts_with(b".") || !below.is_dir());
    if is_path {
        let path = Path::new(word);
        let kind = if path.is_dir() { EntryKind::Service } else { EntryKind::NotADirectory };
        if !path.exists() {
            return Err(unknown(scan, word));
        }
        return Ok(vec![Target::new(word, path, kind)]);
    }
    if bytes.iter().any(|byte| b"*?[".contains(byte)) {
        return of_pattern(scan, word);
    }
    match below.symlink_metadata() {
        Ok(_) => {
            let kind = match below.metadata() {
                Ok(found) if found.is_dir() => EntryKind::Service,
                Ok(_) => EntryKind::NotADirectory,
                Err(_) => EntryKind::DanglingLink(below.read_link().unwrap_or_default()),
            };
            Ok(vec![Target::new(word, below, kind)])
        }
        Err(_) => Err(unknown(scan, word)),
    }
}

fn of_pattern(scan: &ScanDir, word: &OsStr) -> Result<Vec<Target>, Failure> {
    let text = word.to_string_lossy();
    let pattern = Pattern::new(&text).map_err(|error| {
        Failure::new(USAGE, format!("unable to use pattern {}: {}", escape(&text), error.msg))
    })?;
    let exact = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let matching: Vec<_> = entries(scan)?
        .into_iter()
        .filter(|entry| pattern.matches_with(&entry.name.to_string_lossy(), exact))
        .map(|entry| of_entry(scan, entry))
        .collect();
    if matching.is_empty() {
        let path = escape(&scan.path().to_string_lossy());
        let message = format!("unable to find a service {} in {path}", escape(&text));
        return Err(Failure::new(CANNOT, message));
    }
    Ok(matching)
}

/// The error for a name without a service, with the nearest name that has one.
fn unknown(scan: &ScanDir, word: &OsStr) -> Failure {
    let text = word.to_string_lossy();
    let names = match entries(scan) {
        Ok(names) => names,
        Err(failure) => return failure,
    };
    let near = names
        .iter()
        .map(|entry| entry.name.to_string_lossy())
        .map(|name| (distance(&name, &text), name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.chars().count())
        .min();
    let hint =
        near.map_or_else(String::new, |(_, name)| format!(" (did you mean {}?)", escape(&name)));
    let path = escape(&scan.path().to_string_lossy());
    Failure::new(UNKNOWN, format!("unable to find service {} in {path}{hint}", escape(&text)))
}
