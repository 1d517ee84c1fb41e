//! `svscan -u`: asks the svscan of a directory to upgrade, and learns the result.
//!
//! The asking process has the write end of a pipe as its standard input. svscan gets its pid with the
//! signal, opens that pipe and writes the result into it: nothing but a newline, or the reason of the
//! failure. The new program gives the answer after an upgrade.

use crate::common::clock::instant;
use crate::common::diag::{self, TEMPORARY};
use crate::survive::{lock_holder, process_user};
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::proc_fd::Pipe;
use daemontools_sys::{AsFd as _, OwnedFd, fd, fs, poll, signal};

/// The name of the pipe in a handover.
pub(super) const HANDOVER: &[u8] = b"answer";

/// How long to wait for the result. The trial takes up to two seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Tells the svscan of a directory to execute the newly installed program, and waits for the result.
pub(super) fn ask(scan_dir: Option<&CStr>) -> i32 {
    let path = scan_dir.unwrap_or(c".");
    let shown = path.to_bytes();
    let dir = match fs::open_dir(fs::HERE, path) {
        Ok(dir) => dir,
        Err(error) => return diag::fatal("svscan", &[b"unable to open ", shown], error),
    };
    let Some((pid, svscan)) = lock_holder::open_svscan(dir.as_fd()) else {
        return lock_holder::say_no_svscan("svscan", shown, &dir);
    };
    let pipe = fd::pipe().and_then(|(answer, end)| {
        fd::replace(fd::stdin(), end.as_fd())?;
        svscan.signal(signal::USR2).map(|()| answer)
    });
    let answer = match pipe {
        Ok(answer) => answer,
        Err(error) => {
            return diag::fatal("svscan", &[b"unable to signal the svscan of ", shown], error);
        }
    };
    let mut text = [0; 256];
    match wait(&answer, &svscan, &mut text) {
        Some(b"") => 0,
        // A version that does not answer, or one that may not open the pipe.
        None if process_user::runs_our_program(pid) && !svscan.has_ended() => 0,
        reason => {
            let reason = match reason {
                Some(reason) => reason,
                None if svscan.has_ended() => b"it has ended",
                None => b"no answer within 5 seconds",
            };
            let head: [&[u8]; 2] = [b"svscan: fatal: unable to upgrade the svscan of ", shown];
            diag::say(&[&head.concat(), b": ", reason]);
            TEMPORARY
        }
    }
}

/// Waits for the line of the answer; `None` if there is none in time, or svscan ends before.
fn wait<'a>(answer: &OwnedFd, svscan: &Handle, text: &'a mut [u8]) -> Option<&'a [u8]> {
    let until = instant() + TIMEOUT;
    let [answered, _] = loop {
        let left = until.duration_since(instant());
        let ready = poll::readable([answer.as_fd(), svscan.fd()], Some(left));
        if ready != [false; 2] || left.is_zero() {
            break ready;
        }
    };
    let length = if answered { fd::read(answer.as_fd(), text).ok()? } else { return None };
    text.get(..length)?.strip_suffix(b"\n")
}

/// Opens the pipe of an asking process; `None` if the sender of the signal does not ask, or belongs to
/// another user.
pub(super) fn open_answer(sender: Pid) -> Option<OwnedFd> {
    if process_user::is_foreign(sender) {
        return None;
    }
    // Of another process that sends the signal it is open for reading, and gets no text.
    Pipe::write_only(sender, 0).ok()??.open_writer().ok()
}

/// Writes the result. An asking process that has gone gets none.
pub(super) fn answer(pipe: &OwnedFd, reason: &str) {
    let _ = fd::write(pipe.as_fd(), &[reason.as_bytes(), b"\n"].concat());
}
