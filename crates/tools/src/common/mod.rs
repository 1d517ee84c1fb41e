//! Code that several programs share.

pub(crate) mod children;
pub(crate) mod clock;
pub(crate) mod diag;
pub(crate) mod environment;
pub(crate) mod getopt;
pub(crate) mod paths;
pub(crate) mod sibling_state;
pub(crate) mod state_dir;
pub(crate) mod status_file;
pub(crate) mod unsent;
