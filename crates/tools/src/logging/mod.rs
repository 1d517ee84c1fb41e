//! The programs that write and read logs.

pub(crate) mod multilog;
pub(crate) mod readproctitle;
pub(crate) mod tai64n;
pub(crate) mod tai64nlocal;
