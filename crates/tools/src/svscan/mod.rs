//! svscan: one supervise for every directory in the scan directory; and svscanboot.
//!
//! The loop in `scanner.rs` waits for the end of a child, a signal, a change in the directory, or a
//! timer. It tells the roster of `daemontools-core`, and performs the effects.

mod adopted_supervises;
mod boot_leftovers;
mod boot_log;
mod boot_path;
mod boot_takeover;
mod boot_title;
mod copier;
mod essential;
mod inherited;
mod last_output;
mod last_processes;
mod last_signal;
mod late_logger;
mod late_services;
mod log_pipes;
mod main_command;
mod message_pipe;
mod orphans;
mod output_pipes;
mod own_logger;
mod readiness_pipe;
mod run_command;
mod scan;
mod scan_dir;
mod scanner;
mod service_manager;
mod services_ready;
mod start_supervise;
mod stop_signals;
mod supervise_signals;
mod svscan_upgrade;
pub(crate) mod svscanboot;
mod targets;
mod tend_outputs;
mod unsent_signals;
mod upgrade_request;

use crate::common::diag;
use crate::common::getopt::{options, print_error};
use crate::common::unsent;
use crate::survive::upgrade;
use core::time::Duration;
use daemontools_core::copier::Form;
use daemontools_core::programs::Program;
use daemontools_core::svscan::roster::Roster;
use daemontools_core::text::decimal;
use daemontools_core::text::getopt::Opt;
use daemontools_sys::{fd, process};
use inherited::Inherited;
use main_command::MainCommand;
use readiness_pipe::ReadinessPipe;
use scanner::Scanner;

/// Exit code: 0 after TERM, that of an essential service, 100 for bad usage, 111 when the directory cannot
/// be scanned.
pub(crate) fn main() -> i32 {
    unsent::never_wait(Program::Svscan);
    let (mut keep, mut upgrade, mut stop_timeout, mut form) = (false, false, None, None);
    let mut options = options(Program::Svscan);
    for option in options.by_ref() {
        let good = match option {
            Opt::Letter(letter) => {
                keep |= letter == b'k';
                upgrade |= letter == b'u';
                form = match letter {
                    b'j' => Some(Form::Json),
                    b'p' => form.or(Some(Form::Prefixed)),
                    _ => form,
                };
                true
            }
            Opt::Value(_, seconds) => {
                stop_timeout = decimal::parse(seconds).map(Duration::from_secs);
                stop_timeout.is_some()
            }
            Opt::Illegal(_) | Opt::NeedsValue(_) => false,
        };
        if !good {
            print_error(option);
            return diag::usage(Program::Svscan);
        }
    }
    let operand = options.operand();
    let scan_dir = process::arg(operand);
    let mut later = (operand + 1..).take_while(|&n| process::arg(n).is_some());
    let separator = later.find(|&n| process::arg(n) == Some(c"--"));
    let log_service = process::arg(operand + 1).filter(|_| separator != Some(operand + 1));
    if separator.is_some_and(|at| process::arg(at + 1).is_none()) {
        diag::say(&[b"svscan: fatal: there is no command after --"]);
        return diag::usage(Program::Svscan);
    }
    // Without a command svscan ignores what comes after logservice.
    if separator.is_some_and(|at| at > operand + 2) {
        diag::say(&[b"svscan: fatal: there are more arguments than dir and logservice before --"]);
        return diag::usage(Program::Svscan);
    }
    let command = separator.map(|at| MainCommand::new(at + 1));
    if upgrade {
        return upgrade_request::ask(scan_dir);
    }

    let ready = ReadinessPipe::take();
    if form == Some(Form::Json) {
        unsent::use_json();
    }
    let handover = upgrade::handed_over();
    let inherited = handover.map(Inherited::take).unwrap_or_default();
    fd::fill_missing(fd::Missing::NullForChildren);
    let mut roster = Roster::new(keep);
    let is_init = process::id().get() == 1;
    if let Some(timeout) = stop_timeout.or(is_init.then_some(last_signal::STOP_TIMEOUT)) {
        roster.set_stop_timeout(timeout);
    }
    match Scanner::begin(roster, scan_dir, log_service, command, form, inherited, ready) {
        Ok(mut scanner) => {
            scanner.run();
            scanner.exit_code.unwrap_or(0).into()
        }
        Err(code) => code,
    }
}
