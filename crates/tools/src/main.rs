//! The executable. Every program is a link to it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

daemontools_sys::start_program!(daemontools_tools::main);
