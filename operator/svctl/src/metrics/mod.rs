//! Metrics of a scan directory, for Prometheus.
//!
//! `collect` reads the facts of a scan directory once. `render` is pure: it makes the text of them.
//! [`Scraper`] does both, for a server: between scrapes it keeps what does not change, and does nothing.

mod accept;
pub(crate) mod collect;
pub(crate) mod compat;
pub(crate) mod exposition;
pub(crate) mod facts;
mod in_parts;
mod log_sizes;
mod log_watches;
mod process_usage;
pub(crate) mod render;
mod scraper;

pub use exposition::Form;
pub use scraper::Scraper;
