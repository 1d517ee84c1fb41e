//! The programs, as the machine starts them: with the product's own entry.

#![expect(unsafe_code, reason = "the entry takes the kernel's initial stack pointer")]

use crate::scripted;
use crate::supervise::scripted as services;
use crate::svscan::scripted as scanned;
use daemontools_sys::start::from_stack;
use machine::Program;

unsafe fn tools(stack: *const usize) -> ! {
    // SAFETY: the caller passes the initial stack pointer, once.
    unsafe { from_stack(stack, daemontools_tools::main) }
}

unsafe fn original(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, crate::original::main) }
}

unsafe fn writer(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, scripted::writer) }
}

unsafe fn shell(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, scripted::shell) }
}

unsafe fn service(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, services::service) }
}

unsafe fn stranger(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, services::stranger) }
}

unsafe fn part(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, services::part) }
}

unsafe fn script(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, services::script) }
}

unsafe fn speaker(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, scanned::speaker) }
}

unsafe fn listener(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, scanned::listener) }
}

unsafe fn copier(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, scanned::copier) }
}

unsafe fn conformance(stack: *const usize) -> ! {
    // SAFETY: as above.
    unsafe { from_stack(stack, crate::conformance::main) }
}

/// The programs by their paths.
pub const ALL: [(&str, Program); 16] = [
    ("/bin/multilog", tools),
    ("/bin/original", original),
    ("/bin/supervise", tools),
    ("/bin/svc", tools),
    ("/bin/svscan", tools),
    ("/bin/svstat", tools),
    ("/bin/speaker", speaker),
    ("/bin/listener", listener),
    ("/bin/copier", copier),
    ("/bin/service", service),
    ("/bin/part", part),
    ("/bin/script", script),
    ("/bin/stranger", stranger),
    ("/bin/writer", writer),
    ("/bin/sh", shell),
    ("/bin/conformance", conformance),
];
