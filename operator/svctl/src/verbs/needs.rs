//! What services need: their files `needs`.

use crate::selection::{Target, select};
use servicedir::ScanDir;
use std::ffi::OsString;

/// The names that a service needs; empty if they cannot be read.
pub(crate) fn names(target: &Target) -> Vec<OsString> {
    target.dir.needs().unwrap_or_default()
}

/// The service of a name, if there is one.
pub(crate) fn find(scan: &ScanDir, name: &OsString) -> Option<Target> {
    select(scan, std::slice::from_ref(name)).ok()?.into_iter().next()
}

/// The services of a list that need `target`.
pub(crate) fn dependents<'a>(all: &'a [Target], target: &Target) -> Vec<&'a Target> {
    all.iter().filter(|other| names(other).contains(&target.name)).collect()
}
