//! The chain loaders: each changes one property of the process, and executes the next program.

pub(crate) mod accounts;
pub(crate) mod chain;
pub(crate) mod envdir;
pub(crate) mod envfile;
pub(crate) mod envini;
pub(crate) mod envuidgid;
pub(crate) mod fghack;
pub(crate) mod pgrphack;
pub(crate) mod setlock;
pub(crate) mod setuidgid;
pub(crate) mod setuser;
pub(crate) mod softlimit;
