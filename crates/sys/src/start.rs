//! From the first instruction of the process to the program's `main` function.

use crate::{kernel, process};
use core::ffi::c_char;

/// Makes the function `$main`, a `fn() -> i32`, the program: defines its entry point, its heap
/// and its panic handler. The executable uses it once.
#[macro_export]
#[cfg(not(libc_flavour))]
macro_rules! start_program {
    ($main:path) => {
        /// The entry point: there is no stack frame, and the arguments are on the stack.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn _start() -> ! {
            #[cfg(target_arch = "x86_64")]
            core::arch::naked_asm!(
                "xor ebp, ebp",
                "mov rdi, rsp",
                "and rsp, -16",
                "call {begin}",
                "ud2",
                begin = sym begin,
            );
            #[cfg(target_arch = "aarch64")]
            core::arch::naked_asm!(
                "mov x29, xzr",
                "mov x30, xzr",
                "mov x0, sp",
                "b {begin}",
                begin = sym begin,
            );
        }

        unsafe extern "C" fn begin(stack: *const usize) -> ! {
            // SAFETY: `_start` alone calls this, once, with the kernel's initial stack pointer.
            unsafe { $crate::start::from_stack(stack, $main) }
        }

        /// The precompiled `core` refers to this function; no code calls it.
        #[unsafe(no_mangle)]
        extern "C" fn _Unwind_Resume() -> ! {
            $crate::process::exit(111)
        }

        $crate::program_parts!();
    };
}

/// Makes `$main` the program in the libc flavour, where the libc's start code calls `main`.
#[macro_export]
#[cfg(libc_flavour)]
macro_rules! start_program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn main(
            argc: i32,
            argv: *const *const core::ffi::c_char,
            envp: *const *const core::ffi::c_char,
        ) -> i32 {
            // SAFETY: the libc calls `main` once, with the program's arguments and environment.
            unsafe { $crate::start::from_libc(argc, argv, envp, $main) }
        }

        $crate::program_parts!();
    };
}

/// Defines what both flavours need besides the entry point.
#[doc(hidden)]
#[macro_export]
macro_rules! program_parts {
    () => {
        #[global_allocator]
        static HEAP: $crate::heap::Heap = {
            static FIRST: $crate::heap::FirstChunk = $crate::heap::FirstChunk::new();
            // SAFETY: the chunk is visible in this block only, and the programs have one thread.
            unsafe { $crate::heap::Heap::new(&FIRST) }
        };

        #[panic_handler]
        fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::fatal::panicked(info)
        }

        /// The precompiled `core` refers to this function; no code calls it.
        #[unsafe(no_mangle)]
        extern "C" fn rust_eh_personality() {}
    };
}

/// Takes the arguments from the initial stack, runs the program and ends the process.
///
/// # Safety
/// `stack` must be the kernel's initial stack pointer: the number of arguments, the arguments,
/// NULL, the environment, NULL. Call it once, before other code.
#[doc(hidden)]
pub unsafe fn from_stack(stack: *const usize, main: fn() -> i32) -> ! {
    // SAFETY: the initial stack pointer points to the number of arguments.
    let argc = unsafe { stack.read() };
    let argv = stack.wrapping_add(1).cast::<*const c_char>();
    let envp = argv.wrapping_add(argc + 1);
    // SAFETY: no other code has run, and the kernel's arrays are NULL-terminated and stay valid for
    // the life of the process.
    unsafe { process::set_arguments(argc, argv, envp) };
    kernel::exit(main())
}

/// Runs the program with the arguments of a libc's `main`; returns its exit code.
///
/// # Safety
/// The three must be the arguments of `main`. Call it once, before other code of this crate.
#[doc(hidden)]
pub unsafe fn from_libc(
    argc: i32,
    argv: *const *const c_char,
    envp: *const *const c_char,
    main: fn() -> i32,
) -> i32 {
    // SAFETY: the caller guarantees that this is the first call, with the libc's arrays, which stay
    // valid for the life of the process.
    unsafe { process::set_arguments(usize::try_from(argc).unwrap_or(0), argv, envp) };
    main()
}
