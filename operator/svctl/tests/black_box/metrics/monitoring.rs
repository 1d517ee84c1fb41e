//! examples/monitoring.
