//! The arguments and the environment of this process.

use core::cell::{Cell, UnsafeCell};
use core::ffi::{CStr, c_char};
use core::ptr::null;

/// The kernel's arrays.
struct Arguments {
    /// The number of arguments without those that [`take_last_arg`] removed.
    argc: Cell<usize>,
    argv: *const *const c_char,
    envp: *const *const c_char,
    /// Arguments with lower numbers have been handed out as `CStr`. The program's name counts as
    /// handed out from the start.
    handed_out: Cell<usize>,
    /// The number of entries that [`take_env`] removed.
    taken_out: Cell<usize>,
}

struct ArgumentsCell(UnsafeCell<Arguments>);

// SAFETY: the programs have one thread.
unsafe impl Sync for ArgumentsCell {}

// In `.data` the static shares a page that the process writes anyway. In `.bss` it would cost one
// page more, which counts in programs of this size.
#[cfg_attr(not(test), unsafe(link_section = ".data"))]
static ARGUMENTS: ArgumentsCell = ArgumentsCell(UnsafeCell::new(Arguments {
    argc: Cell::new(0),
    argv: null(),
    envp: null(),
    handed_out: Cell::new(1),
    taken_out: Cell::new(0),
}));

/// Stores the kernel's arrays for the other functions of this file.
///
/// # Safety
/// Call it once, before other code of this crate. Both arrays must be NULL-terminated, `argv` after
/// `argc` entries; the strings must be NUL-terminated. All must stay valid and writable for the
/// life of the process.
pub(crate) unsafe fn set_arguments(
    argc: usize,
    argv: *const *const c_char,
    envp: *const *const c_char,
) {
    // SAFETY: the caller guarantees that this is the first access, so there is no reference.
    unsafe {
        *ARGUMENTS.0.get() = Arguments {
            argc: Cell::new(argc),
            argv,
            envp,
            handed_out: Cell::new(1),
            taken_out: Cell::new(0),
        }
    };
}

fn arguments() -> &'static Arguments {
    // SAFETY: `set_arguments` has run before or never runs, as in tests, so only the cells inside
    // change from now on.
    unsafe { &*ARGUMENTS.0.get() }
}

/// The kernel's array of arguments from number `first` on, up to its NULL; NULL before
/// [`set_arguments`].
pub(super) fn argv_from(first: usize) -> *const *const c_char {
    let arguments = arguments();
    if arguments.argv.is_null() {
        return null();
    }
    // The entry with number argc is the terminating NULL.
    arguments.argv.wrapping_add(first.min(arguments.argc.get()))
}

/// The kernel's array of the environment; NULL before [`set_arguments`].
pub(super) fn envp() -> *const *const c_char {
    arguments().envp
}

/// Argument number `n`; number 0 is the program's own name.
#[must_use]
pub fn arg(n: usize) -> Option<&'static CStr> {
    let arguments = arguments();
    if n >= arguments.argc.get() {
        return None;
    }
    arguments.handed_out.set(arguments.handed_out.get().max(n + 1));
    // SAFETY: `n` is less than `argc`, the number of pointers in the array.
    let arg = unsafe { *arguments.argv.wrapping_add(n) };
    // SAFETY: `set_arguments` demands NUL-terminated strings that stay valid.
    Some(unsafe { CStr::from_ptr(arg) })
}

/// The arguments from number `first` on.
pub fn args(first: usize) -> impl Iterator<Item = &'static CStr> + Clone {
    (first..).map_while(arg)
}

/// Whether `text` is the only argument. Unlike [`arg`] this does not hand the argument out, so that
/// [`take_last_arg`] still returns it.
#[must_use]
pub fn only_argument_is(text: &CStr) -> bool {
    let arguments = arguments();
    if arguments.argc.get() != 2 {
        return false;
    }
    let handed_out = arguments.handed_out.get();
    let is = arg(1) == Some(text);
    // The reference to the argument has ended.
    arguments.handed_out.set(handed_out);
    is
}

/// The path of the program file, which may differ from argument 0; `None` if the kernel did not
/// pass it.
#[must_use]
pub fn executed_path() -> Option<&'static CStr> {
    /// The key of the path in the auxiliary vector.
    const EXECFN: usize = linux_raw_sys::auxvec::AT_EXECFN as usize;
    let envp = envp();
    if envp.is_null() {
        return None;
    }
    // The auxiliary vector follows the NULL of the original environment. It consists of pairs of
    // words, key and value, and ends with key 0.
    let entries = environ().count() + arguments().taken_out.get();
    let mut at = envp.wrapping_add(entries + 1).cast::<[usize; 2]>();
    loop {
        // SAFETY: `at` is inside the auxiliary vector on the initial stack, because the loop stops
        // at its end.
        let [key, value] = unsafe { at.read() };
        match key {
            0 => return None,
            EXECFN => {
                let path = core::ptr::with_exposed_provenance::<c_char>(value);
                // SAFETY: the kernel's path is NUL-terminated and stays valid for the life of the
                // process.
                return Some(unsafe { CStr::from_ptr(path) });
            }
            _ => at = at.wrapping_add(1),
        }
    }
}

/// The argument, or the tail of one, whose bytes these are, with its terminating NUL. `None` for
/// bytes in another place.
#[must_use]
pub fn argument_c_str(bytes: &'static [u8]) -> Option<&'static CStr> {
    args(0).find_map(|arg| {
        let whole = arg.to_bytes_with_nul();
        let start = (bytes.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        let tail = whole.get(start..)?;
        (tail.len() == bytes.len() + 1).then(|| CStr::from_bytes_with_nul(tail).ok())?
    })
}

/// The entries of the environment. Usually they have the form `name=value`, but the kernel does not
/// enforce it.
pub fn environ() -> impl Iterator<Item = &'static CStr> + Clone {
    (0..).map_while(|n| {
        let envp = envp();
        if envp.is_null() {
            return None;
        }
        // SAFETY: `n` is inside the array, because the iteration stops at its NULL.
        let entry = unsafe { *envp.wrapping_add(n) };
        // SAFETY: an entry before the NULL is a NUL-terminated string that stays valid.
        (!entry.is_null()).then(|| unsafe { CStr::from_ptr(entry) })
    })
}

/// The value of an environment variable. If there are several entries, the first one counts, as in
/// C.
#[must_use]
pub fn env(name: &str) -> Option<&'static CStr> {
    environ().find_map(|entry| {
        let rest = entry.to_bytes_with_nul().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        CStr::from_bytes_with_nul(rest).ok()
    })
}

/// Removes a variable from the environment, also for programs that we run, and returns its value.
#[must_use]
pub fn take_env(name: &str) -> Option<&'static CStr> {
    let value = env(name)?;
    let entry = environ().position(|entry| {
        let rest = entry.to_bytes().strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"="))
    })?;
    let mut place = envp().cast_mut().wrapping_add(entry);
    loop {
        // SAFETY: `place` is before the NULL of the array, so the array has a next entry.
        let next = unsafe { place.wrapping_add(1).read() };
        // SAFETY: the array is writable memory of this process. References exist only to the
        // strings, never to the array.
        unsafe { place.write(next) };
        if next.is_null() {
            arguments().taken_out.set(arguments().taken_out.get() + 1);
            return Some(value);
        }
        place = place.wrapping_add(1);
    }
}

/// Removes the last argument and returns its bytes, without the terminating NUL, in the place where
/// ps reads them. [`arg`] and [`args`] no longer return it; a second call returns the one before
/// it.
///
/// `None` if only the program's name is left, or if [`arg`] has handed the argument out.
#[must_use]
pub fn take_last_arg() -> Option<&'static mut [u8]> {
    let arguments = arguments();
    let handed_out = arguments.handed_out.get();
    let last = arguments.argc.get().checked_sub(1).filter(|&n| n >= handed_out)?;
    // SAFETY: `last` is less than `argc`, the number of pointers in the array.
    let place = unsafe { *arguments.argv.wrapping_add(last) };
    // SAFETY: `set_arguments` demands NUL-terminated strings.
    let length = unsafe { CStr::from_ptr(place) }.count_bytes();
    arguments.argc.set(last);
    // SAFETY: the string is writable memory of this process and stays valid. This is the only
    // reference: `handed_out` shows that there was none, and the lower `argc` prevents new ones.
    // `Strings` may hold the pointer, but only the kernel reads through it.
    Some(unsafe { core::slice::from_raw_parts_mut(place.cast_mut().cast::<u8>(), length) })
}
