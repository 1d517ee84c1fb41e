//! From the kernel's first instruction to the program's `main`, and the panic that must not be.

use crate::{kernel, process};
use core::ffi::c_char;

/// Makes the function `$main`, a `fn() -> i32`, the program: defines its entry point, its heap
/// and its panic handler. Used once, in the executable.
#[macro_export]
#[cfg(not(libc_flavour))]
macro_rules! start_program {
    ($main:path) => {
        /// Where the kernel starts us: no frame, the arguments on the stack.
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
            // SAFETY: called once, by the code above, with the kernel's initial stack.
            unsafe { $crate::start::from_stack(stack, $main) }
        }

        /// The precompiled `core` names this function; nothing ever calls it.
        #[unsafe(no_mangle)]
        extern "C" fn _Unwind_Resume() -> ! {
            $crate::process::exit(111)
        }

        $crate::program_parts!();
    };
}

/// The same for the libc flavour, where the libc's start code calls `main`.
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
            // SAFETY: called once, by the libc, with the program's arguments and environment.
            unsafe { $crate::start::from_libc(argc, argv, envp, $main) }
        }

        $crate::program_parts!();
    };
}

/// What both flavours need beside the entry point.
#[doc(hidden)]
#[macro_export]
macro_rules! program_parts {
    () => {
        #[global_allocator]
        static HEAP: $crate::heap::Heap = {
            static FIRST: $crate::heap::FirstChunk = $crate::heap::FirstChunk::new();
            // SAFETY: nobody else can name the chunk, and our programs have one thread.
            unsafe { $crate::heap::Heap::new(&FIRST) }
        };

        #[panic_handler]
        fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::start::panicked(info)
        }

        /// The precompiled `core` names this function; nothing ever calls it.
        #[unsafe(no_mangle)]
        extern "C" fn rust_eh_personality() {}
    };
}

/// Takes the arguments from the kernel's initial stack, and runs and ends the program.
///
/// # Safety
/// `stack` must be the initial stack pointer: the number of arguments, the arguments, NULL, the
/// environment, NULL.
#[doc(hidden)]
pub unsafe fn from_stack(stack: *const usize, main: fn() -> i32) -> ! {
    // SAFETY: the first word is the number of arguments.
    let argc = unsafe { stack.read() };
    let argv = stack.wrapping_add(1).cast::<*const c_char>();
    let envp = argv.wrapping_add(argc + 1);
    // SAFETY: the kernel's arrays are valid and NULL-terminated for the life of the process.
    unsafe { process::remember(argc, argv, envp) };
    kernel::exit(main())
}

/// The same from a libc's `main`.
///
/// # Safety
/// The three must be what the libc's start code hands over.
#[doc(hidden)]
pub unsafe fn from_libc(
    argc: i32,
    argv: *const *const c_char,
    envp: *const *const c_char,
    main: fn() -> i32,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { process::remember(usize::try_from(argc).unwrap_or(0), argv, envp) };
    main()
}

/// Says that there is no memory, in the original's words, and ends the process.
pub(crate) fn out_of_memory() -> ! {
    let name = process::arg(0).unwrap_or_default().to_bytes();
    let name = name.rsplit(|&c| c == b'/').next().unwrap_or_default();
    crate::fd::write_pieces(crate::fd::stderr(), &[name, b": fatal: out of memory"], b"\n");
    kernel::exit(111)
}

/// Says where an assertion of ours failed and ends the process. It is a defect, never an answer
/// to bad input; the state on disk is what the last completed step left.
pub fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut line = [0_u8; 200];
    let mut n = 0;
    let mut put = |bytes: &[u8]| {
        for &byte in bytes {
            if let Some(place) = line.get_mut(n) {
                *place = byte;
                n += 1;
            }
        }
    };
    put(b"daemontools: fatal: internal error in ");
    if let Some(place) = info.location() {
        put(place.file().as_bytes());
        put(b" line ");
        let mut digits = [0_u8; 10];
        let mut at = digits.len();
        let mut number = place.line();
        while at > 0 && (number > 0 || at == digits.len()) {
            at -= 1;
            digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
        put(&digits[at..]);
    }
    put(b"\n");
    let _ = rustix::io::write(crate::fd::stderr(), &line[..n]);
    kernel::exit(111)
}
