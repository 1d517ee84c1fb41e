//! softlimit: runs a program with lower limits.

use crate::chain;
use crate::diag;
use crate::options::{complain, options};
use core::ffi::CStr;
use daemontools_core::getopt::Opt;
use daemontools_core::limits::{self, Resource, Value};
use daemontools_sys::{Errno, limit, process};

const USAGE: &str = "softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] \
    [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] \
    [-s stackbytes] [-t cpusecs] child";

/// Exit code: 100 for bad usage, 111 for a limit that cannot be set; else that of the program.
pub(crate) fn main() -> i32 {
    for (name, resource) in limits::VARIABLES {
        if let Some(text) = process::env(name).map(CStr::to_bytes) {
            let done = limits::value(text).ok_or_else(usage).and_then(|v| set(*resource, v));
            if let Err(code) = done {
                return code;
            }
        }
    }
    let mut options = options(b"a:c:d:f:l:m:o:p:r:s:t:");
    for option in options.by_ref() {
        let Opt::Value(letter, text) = option else {
            complain(option);
            return usage();
        };
        let Some(value) = limits::value(text) else {
            return usage();
        };
        for resource in limits::resources(letter) {
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
    diag::usage("softlimit", USAGE)
}

fn set(resource: Resource, value: Value) -> Result<(), i32> {
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
        Value::AtMost(soft) => limit::lower(resource, Some(soft)),
        Value::Hard => limit::lower(resource, None),
        Value::Unlimited => limit::lift(resource),
    }
    .map_err(failed)
}
