//! pgrphack: runs a program in a session of its own.

use crate::chain;
use crate::diag;
use daemontools_sys::process;

/// Exit code: 100 for bad usage; else that of the program.
pub(crate) fn main() -> i32 {
    if process::arg(1).is_none() {
        return diag::usage("pgrphack", "pgrphack child");
    }
    // Who leads a process group already stays where it is, as in the original.
    let _ = process::lead_new_session();
    chain::run("pgrphack", 1)
}
