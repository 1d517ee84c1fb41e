//! pgrphack: runs a program in a new session.

use crate::common::diag;
use crate::loaders::chain;
use daemontools_core::programs::Program;
use daemontools_sys::process;

/// Exit code: 100 for bad usage; else that of the program.
pub(crate) fn main() -> i32 {
    if process::arg(1).is_none() {
        return diag::usage(Program::Pgrphack);
    }
    // EPERM: already the leader of a process group. The original ignores it too.
    let _ = process::lead_new_session();
    chain::run("pgrphack", 1)
}
