//! The two ways in which the program ends by itself: no memory, or a panic.

use crate::{kernel, process, stderr};

/// Reports a failed allocation in the original's words and ends the process.
pub(crate) fn out_of_memory() -> ! {
    let name = process::arg(0).unwrap_or_default().to_bytes();
    let name = name.rsplit(|&c| c == b'/').next().unwrap_or_default();
    // A supervisor that ends is started again. One that waits for a full pipe is not.
    let _ = stderr::write_now(&[name, b": fatal: out of memory"], b"\n");
    kernel::exit(111)
}

/// Reports the place of a panic and ends the process. A panic is a defect of the program, never an
/// answer to bad input. The files are as the last completed step left them.
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
    let _ = stderr::write_now(&[&line[..n]], b"");
    kernel::exit(111)
}
