//! Processes with an address space of their own, inside one process of the real kernel.
//!
//! A simulated process has a stack and a heap in a slot of the real address space, and a copy of the
//! variables of the programs. It runs until its next system call, then the caller of [`Process::run`]
//! decides what happens. fork copies stack, heap and variables: the copies use the same addresses, and
//! the machine exchanges their contents when the other process runs. A process that is killed is
//! dropped: nothing of it runs any more, not even a destructor.
//!
//! One thread may simulate at a time, because the variables exist once: see [`lock`].

mod arena;
mod context;
mod image;
mod memory;
mod variables;

pub use arena::Allocator;
pub use context::{Call, EXIT_BY_PANIC, OUT_OF_MEMORY, SHARE_MEMORY, share_memory, system_call};
pub use image::{Process, Program};
pub use memory::{copy_in, copy_out, read_string, read_word};

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

static ALONE: Mutex<()> = Mutex::new(());

/// The right to simulate. Everything that this crate makes belongs to the thread that has it.
pub fn lock() -> MutexGuard<'static, ()> {
    variables::keep_first();
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// The arena of the process that runs now; 0 while the simulator runs.
    static ARENA: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work` with the allocator of the simulator, for a panic hook in a simulated process.
pub fn outside<T>(work: impl FnOnce() -> T) -> T {
    let arena = ARENA.replace(0);
    let result = work();
    ARENA.set(arena);
    result
}
