//! Running another program in this process.

use super::arguments;
use crate::{Errno, kernel};
use alloc::vec::Vec;
use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::ptr::null;

/// A NULL-terminated array of borrowed strings, in the form that execve(2) needs.
pub struct Strings<'a> {
    array: Array,
    strings: PhantomData<&'a CStr>,
}

enum Array {
    /// The kernel's array: a tail of our arguments, or our environment.
    Kernel(*const *const c_char),
    /// Up to seven strings, without heap memory.
    Few([*const c_char; 8]),
    Many(Vec<*const c_char>),
}

impl<'a> Strings<'a> {
    /// The arguments of this process from number `first` on; empty if there are fewer.
    #[must_use]
    pub fn own_args(first: usize) -> Strings<'static> {
        Strings::of_kernel(arguments::argv_from(first))
    }

    /// The environment of this process.
    #[must_use]
    pub fn own_environment() -> Strings<'static> {
        Strings::of_kernel(arguments::envp())
    }

    /// An array of the kernel, or an empty one for NULL.
    fn of_kernel(array: *const *const c_char) -> Strings<'static> {
        let array = if array.is_null() { Array::Few([null(); 8]) } else { Array::Kernel(array) };
        Strings { array, strings: PhantomData }
    }

    /// An array of these strings.
    #[must_use]
    pub fn of(strings: impl IntoIterator<Item = &'a CStr>) -> Self {
        let mut strings = strings.into_iter().map(CStr::as_ptr).fuse();
        let mut few = [null(); 8];
        let (places, _last) = few.split_at_mut(7);
        for (place, string) in places.iter_mut().zip(strings.by_ref()) {
            *place = string;
        }
        let array = match strings.next() {
            None => Array::Few(few),
            Some(next) => {
                let first = few.into_iter().take(7);
                let rest = core::iter::once(next).chain(strings);
                Array::Many(first.chain(rest).chain([null()]).collect())
            }
        };
        Self { array, strings: PhantomData }
    }

    fn as_ptr(&self) -> *const *const c_char {
        match &self.array {
            Array::Kernel(array) => *array,
            Array::Few(array) => array.as_ptr(),
            Array::Many(array) => array.as_ptr(),
        }
    }
}

/// Replaces this program by the file `path`. Returns only if that failed.
pub fn exec(path: &CStr, args: &Strings<'_>, environment: &Strings<'_>) -> Errno {
    // SAFETY: a `CStr` is NUL-terminated, and `Strings` is a NULL-terminated array of
    // NUL-terminated strings.
    unsafe { kernel::execve(path.as_ptr(), args.as_ptr(), environment.as_ptr()) }
}

/// Sets the name of this process that ps(1), pgrep(1) and killall(1) use. The kernel keeps 15 bytes.
pub fn set_name(name: &CStr) {
    let _ = rustix::thread::set_name(name);
}

/// Ends this process.
pub fn exit(code: i32) -> ! {
    kernel::exit(code)
}
