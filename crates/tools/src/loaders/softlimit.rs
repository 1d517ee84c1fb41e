//! softlimit: runs a program with lower resource limits.

use crate::common::diag;
use crate::common::getopt::{options, print_error};
use crate::loaders::chain;
use core::ffi::CStr;
use daemontools_core::loaders::limits::{self, Limit, Resource};
use daemontools_core::programs::Program;
use daemontools_core::text::getopt::Opt;
use daemontools_sys::{Errno, limit, process};

/// Exit code: 100 for bad usage, 111 for a limit that cannot be set; else that of the program.
pub(crate) fn main() -> i32 {
    for (name, resource) in limits::VARIABLES {
        if let Some(text) = process::env(name).map(CStr::to_bytes) {
            let done = limits::parse(text).ok_or_else(usage).and_then(|v| set(*resource, v));
            if let Err(code) = done {
                return code;
            }
        }
    }
    let mut options = options(Program::Softlimit);
    for option in options.by_ref() {
        let Opt::Value(letter, text) = option else {
            print_error(option);
            return usage();
        };
        let Some(value) = limits::parse(text) else {
            return usage();
        };
        for resource in limits::resources_of(letter) {
            if let Err(code) = set(*resource, value) {
                return code;
            }
        }
    }
    let first = options.operand();
    if process::arg(first).is_none() {
        return usage();
    }
    chain::run("softlimit", first)
}

fn usage() -> i32 {
    diag::usage(Program::Softlimit)
}

fn set(resource: Resource, value: Limit) -> Result<(), i32> {
    let resource = match resource {
        Resource::AddressSpace => limit::Resource::As,
        Resource::Core => limit::Resource::Core,
        Resource::Cpu => limit::Resource::Cpu,
        Resource::Data => limit::Resource::Data,
        Resource::FileSize => limit::Resource::Fsize,
        Resource::LockedMemory => limit::Resource::Memlock,
        Resource::OpenFiles => limit::Resource::Nofile,
        Resource::Processes => limit::Resource::Nproc,
        Resource::Resident => limit::Resource::Rss,
        Resource::Stack => limit::Resource::Stack,
    };
    let failed = |error: Errno| diag::fatal("softlimit", &[b"setrlimit failed"], error);
    match value {
        Limit::AtMost(soft) => limit::lower(resource, Some(soft)),
        Limit::Hard => limit::lower(resource, None),
        Limit::Unlimited => limit::lift(resource),
    }
    .map_err(failed)
}
