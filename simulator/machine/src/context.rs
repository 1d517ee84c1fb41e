//! The change between the simulator and a simulated process.

use crate::ARENA;
use std::arch::{asm, naked_asm};
use std::cell::Cell;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("the simulator runs on x86_64 Linux only");

/// A system call of a simulated process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The number of the call.
    pub number: usize,
    /// The arguments.
    pub arguments: [usize; 6],
}

/// The number of a call that no kernel has: the program has panicked.
pub const EXIT_BY_PANIC: usize = usize::MAX;

/// The number of a call that no kernel has: a child shares the memory and runs a function.
pub const SHARE_MEMORY: usize = usize::MAX - 1;

/// The number of a call that no kernel has: the program has no memory left, and ends.
pub const OUT_OF_MEMORY: usize = usize::MAX - 2;

thread_local! {
    /// The stack pointer of the simulator while a process runs; 0 otherwise.
    static SIMULATOR: Cell<usize> = const { Cell::new(0) };
    /// The stack pointer of the process that has just made a call.
    static PROCESS: Cell<usize> = const { Cell::new(0) };
    static CALL: Cell<Call> = const { Cell::new(Call { number: 0, arguments: [0; 6] }) };
    static RESULT: Cell<isize> = const { Cell::new(0) };
}

/// Saves the registers of the caller on its stack and the stack pointer at `from`, and continues at the
/// stack pointer `to`.
///
/// # Safety
/// `to` must be a stack pointer that this function has saved, or a stack that `image` has prepared.
#[unsafe(naked)]
unsafe extern "C" fn switch(from: *mut usize, to: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// The first instructions of a process: calls the function in r13 with r12.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!("xor ebp, ebp", "mov rdi, r12", "and rsp, -16", "call r13", "ud2")
}

/// The words of a prepared stack, lowest first, which [`switch`] takes.
pub(crate) fn first_words(function: usize, argument: usize) -> [usize; 8] {
    // r15, r14, r13, r12, rbx, rbp, the address to return to, and a word that aligns.
    [0, 0, function, argument, 0, 0, begin as *const () as usize, 0]
}

/// Lets a process run until its next call. Returns its new stack pointer and the call.
///
/// # Safety
/// `stack` must be the stack pointer of a process whose memory is in place, and `arena` its arena.
pub(crate) unsafe fn run(stack: usize, arena: usize, result: isize) -> (usize, Call) {
    RESULT.set(result);
    ARENA.set(arena);
    let place = SIMULATOR.with(Cell::as_ptr);
    // SAFETY: the caller's guarantee; the place is that of this thread.
    unsafe { switch(place, stack) };
    ARENA.set(0);
    SIMULATOR.set(0);
    (PROCESS.get(), CALL.get())
}

/// Makes a system call: of the simulated kernel in a simulated process, else of the real one.
///
/// # Safety
/// The arguments must be those that the call demands.
pub unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let simulator = SIMULATOR.get();
    if simulator == 0 {
        // SAFETY: the caller's guarantee.
        return unsafe { real_system_call(number, arguments) };
    }
    CALL.set(Call { number, arguments });
    let place = PROCESS.with(Cell::as_ptr);
    // SAFETY: the simulator waits in `run`.
    unsafe { switch(place, simulator) };
    RESULT.get()
}

/// Runs `entry(argument)` in a child that shares the memory; the caller sleeps until the child execs or
/// ends. Returns the child's pid or a negated error number.
///
/// # Safety
/// `entry` must accept `argument` and must not return.
pub unsafe fn share_memory(
    entry: unsafe extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
    same_descriptors: bool,
) -> isize {
    let entry = entry as *const () as usize;
    let arguments = [entry, argument as usize, usize::from(same_descriptors), 0, 0, 0];
    if SIMULATOR.get() == 0 {
        // SAFETY: the caller's guarantee.
        return unsafe { really_share_memory(entry, argument as usize) };
    }
    // SAFETY: the simulator performs this call.
    unsafe { system_call(SHARE_MEMORY, arguments) }
}

/// The child of [`share_memory`] on the real kernel, with descriptors of its own.
///
/// # Safety
/// `entry` must be a function that accepts `argument` and does not return.
unsafe fn really_share_memory(entry: usize, argument: usize) -> isize {
    const CLONE: usize = 56;
    // CLONE_VM, CLONE_VFORK and SIGCHLD.
    const FLAGS: usize = 0x100 | 0x4000 | 17;
    let stack = vec![0_u128; 4096];
    let top = stack.as_ptr_range().end as usize;
    let result: isize;
    // SAFETY: the child continues on its own stack and does not return; this process sleeps meanwhile.
    unsafe {
        asm!("syscall",
            "test eax, eax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") CLONE => result,
            in("rdi") FLAGS, in("rsi") top, in("rdx") 0, in("r10") 0, in("r8") 0,
            in("r12") argument, in("r13") entry,
            lateout("rcx") _, lateout("r11") _);
    }
    drop(stack);
    result
}

/// Performs a system call of the real kernel.
///
/// # Safety
/// The arguments must be those that the call demands.
pub(crate) unsafe fn real_system_call(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the convention of x86_64; the caller guarantees the arguments.
    unsafe {
        asm!("syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}
