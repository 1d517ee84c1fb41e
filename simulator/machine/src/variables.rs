//! The variables of the simulated programs: each process has its own values.
//!
//! The linker places the variables of the crates of the programs between two symbols: see
//! `variables.ld`.

use std::sync::OnceLock;

unsafe extern "C" {
    static mut simulated_variables_begin: u8;
    static mut simulated_variables_end: u8;
}

/// The values before any program has run.
static FIRST: OnceLock<Vec<u8>> = OnceLock::new();

fn place() -> (*mut u8, usize) {
    let (begin, end) = (&raw mut simulated_variables_begin, &raw mut simulated_variables_end);
    (begin, end as usize - begin as usize)
}

/// Whether an address is that of a variable.
pub(crate) fn contains(address: usize, length: usize) -> bool {
    let (begin, all) = place();
    address >= begin as usize && address + length <= begin as usize + all
}

/// Remembers the values at the start.
pub(crate) fn keep_first() {
    FIRST.get_or_init(|| {
        let mut values = Vec::new();
        save(&mut values);
        values
    });
}

/// The values before any program has run.
pub(crate) fn first() -> Vec<u8> {
    FIRST.get().expect("the lock is held").clone()
}

/// Copies the values of now.
pub(crate) fn save(values: &mut Vec<u8>) {
    let (begin, length) = place();
    values.clear();
    // SAFETY: the linker has placed the variables there, and no program runs meanwhile.
    values.extend_from_slice(unsafe { std::slice::from_raw_parts(begin, length) });
}

/// Sets all values.
pub(crate) fn restore(values: &[u8]) {
    let (begin, length) = place();
    assert_eq!(values.len(), length, "saved in this process");
    // SAFETY: as in `save`; no reference to a variable is in use while no program runs.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), begin, length) };
}
