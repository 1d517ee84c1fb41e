//! Metrics of a scan directory, for Prometheus.
//!
//! `collect` reads the facts of a scan directory once. `render` is pure: it makes the text of them.
//! [`scrape`] does both, for a server. Nothing is kept between two scrapes.

pub(crate) mod collect;
pub(crate) mod compat;
pub(crate) mod exposition;
pub(crate) mod facts;
pub(crate) mod render;

pub use exposition::Form;

use crate::selection::all;
use servicedir::ScanDir;
use std::path::Path;

/// Reads the metrics of all services in a scan directory.
///
/// # Errors
/// Why the directory cannot be read.
pub fn scrape(scan: &Path, form: Form) -> Result<String, String> {
    let scan = ScanDir::new(scan);
    let targets = all(&scan).map_err(|failure| failure.message)?;
    Ok(render::render(&collect::collect(&scan, &targets, collect::Scope::All), form))
}
