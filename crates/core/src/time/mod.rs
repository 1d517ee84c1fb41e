//! The monotonic clock, TAI64N labels, the calendar, time zones and local time.

pub mod calendar;
mod instant;
mod span;
pub mod tai;
pub mod tai64nlocal;
mod tz_string;
mod tzif;
pub mod zone;

pub use instant::{Instant, Now};
