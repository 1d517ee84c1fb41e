//! Metrics of a scan directory, for Prometheus.
//!
//! [`collect`] reads the facts of a scan directory once. [`render`] is pure: it makes the text of them. The
//! module needs nothing else of svctl's screen, so that a server can use it for each scrape.

pub(crate) mod collect;
pub(crate) mod compat;
pub(crate) mod exposition;
pub(crate) mod facts;
pub(crate) mod render;
