//! supervise: keeps the service of one directory in its wanted state.
//!
//! The start-up makes `supervise/` with its files and may fail; after that no error is fatal. The
//! event loop ([`supervisor`]) waits for signals, commands, ends of processes and deadlines. It
//! passes each to the machine of `daemontools-core`, and the [`performer`] performs the effects that
//! the machine returns.

mod beginning;
mod cgroup;
mod child;
mod commands;
mod dependencies;
mod dependents;
mod encore_logger;
mod end_for_good;
mod ends;
mod held_stop;
mod helpers;
mod history;
mod leave;
mod live_upgrade;
mod log_pipe;
mod notify_address;
mod observe;
mod orphan_reaper;
mod outside;
mod performer;
mod prepare;
mod process_groups;
mod process_tree;
mod processes;
mod publish;
mod published_record;
mod readiness;
mod reports;
mod runtime;
mod service_config;
mod sockets;
mod startup;
mod state_files;
mod state_path;
mod supervised;
mod supervisor;

use crate::common::diag;
use crate::common::unsent;
use crate::survive::startup_lock;
use crate::survive::upgrade;
use daemontools_core::programs::Program;
use daemontools_sys::{fd, process};
use state_files::InheritedFiles;
use supervisor::Supervisor;

/// Exit code: 0 after `x`, 100 for bad usage, 111 when the directory cannot be supervised.
pub(crate) fn main() -> i32 {
    unsent::never_wait(Program::Supervise);
    let (Some(dir), None) = (process::arg(1), process::arg(2)) else {
        return diag::usage(Program::Supervise);
    };
    let startup_lock = startup_lock::inherited();
    let handover = upgrade::handed_over();
    let inherited = handover.as_ref().and_then(InheritedFiles::take);
    fd::fill_missing(fd::Missing::ClosedForChildren);
    // Used where it is: a second copy on the stack would cost memory for as long as supervise runs.
    match &mut Supervisor::begin(dir, handover.as_ref(), inherited, startup_lock.is_some()) {
        Ok((supervisor, saved, start)) => {
            let saved = core::mem::take(saved);
            if let Err(code) = supervisor.finish_startup(saved, *start, handover.as_ref()) {
                return code;
            }
            drop(startup_lock);
            supervisor.run()
        }
        Err(code) => *code,
    }
}
