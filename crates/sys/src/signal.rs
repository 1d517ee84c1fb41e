//! Signals as events: taken from a descriptor, never in a handler.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, kernel, poll};
use core::mem::MaybeUninit;
use core::time::Duration;
use linux_raw_sys::general as nr;

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $number:ident;)*) => {
        $($(#[$doc])* #[expect(clippy::cast_possible_wrap, reason = "signals are small")]
        pub const $name: i32 = nr::$number as i32;)*
    };
}

signals! {
    /// The terminal has gone; by custom, read the configuration again.
    HUP = SIGHUP;
    /// Ctrl-C.
    INT = SIGINT;
    /// Ctrl-\.
    QUIT = SIGQUIT;
    /// For the program's own use.
    USR1 = SIGUSR1;
    /// For the program's own use.
    USR2 = SIGUSR2;
    /// Ends a process which cannot object.
    KILL = SIGKILL;
    /// A timer; by custom of multilog, start a new file.
    ALRM = SIGALRM;
    /// Please end.
    TERM = SIGTERM;
    /// A child has ended.
    CHLD = SIGCHLD;
    /// Nobody reads what we wrote.
    PIPE = SIGPIPE;
    /// Go on after a stop.
    CONT = SIGCONT;
    /// Stop without objection.
    STOP = SIGSTOP;
    /// The terminal has another size.
    WINCH = SIGWINCH;
    /// A file became too large.
    XFSZ = SIGXFSZ;
}

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// The signals which come to us as events. They are blocked in this process; a child gets the
/// mask which we inherited by [`Signals::give_back`].
pub struct Signals {
    fd: OwnedFd,
    inherited: u64,
    ends_ignored: bool,
}

impl Signals {
    /// Takes over the deaths of children, the signals by which the kernel would kill us for
    /// writing (to a pipe that nobody reads, or beyond a limit), and those of `wanted`. INT and
    /// HUP stay ignored if they are when we start, as in the background of a shell or behind
    /// `nohup`.
    ///
    /// # Errors
    /// EMFILE, ENFILE and ENOMEM when there are no more descriptors or memory.
    pub fn take_over(wanted: &[i32]) -> Result<Self> {
        Self::take_over_again(wanted, None)
    }

    /// The same in a program that goes on in the process of another, which had taken over signals
    /// too, and had found this mask.
    ///
    /// # Errors
    /// As above.
    pub fn take_over_again(wanted: &[i32], mask: Option<u64>) -> Result<Self> {
        let ends_ignored = kernel::is_ignored(CHLD);
        // An ignored SIGCHLD would let children vanish unseen. Their stops are of no interest.
        kernel::default_disposition(CHLD, nr::SA_NOCLDSTOP)?;
        let mut set = bit(CHLD) | bit(PIPE) | bit(XFSZ);
        for &signal in wanted {
            let may_stay_ignored = matches!(signal, INT | HUP);
            if !(may_stay_ignored && kernel::is_ignored(signal)) {
                set |= bit(signal);
            }
        }
        let found = kernel::set_mask(nr::SIG_BLOCK, set)?;
        let inherited = mask.unwrap_or(found);
        let fd = kernel::signalfd(set, nr::O_CLOEXEC | nr::O_NONBLOCK)?;
        Ok(Self { fd, inherited, ends_ignored })
    }

    /// The mask as we found it.
    #[must_use]
    pub const fn inherited_mask(&self) -> u64 {
        self.inherited
    }

    /// The signals that have come, each once, without waiting.
    pub fn pending(&self) -> impl Iterator<Item = i32> {
        core::iter::from_fn(|| self.next_pending())
    }

    fn next_pending(&self) -> Option<i32> {
        // struct signalfd_siginfo: 128 bytes, of which the first four are the number.
        let mut info = [MaybeUninit::<u8>::uninit(); 128];
        loop {
            match rustix::io::read(&self.fd, &mut info) {
                Ok((&mut [a, b, c, d, ..], _)) => return Some(i32::from_ne_bytes([a, b, c, d])),
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// In a child, before it runs another program: the mask as we found it.
    pub fn give_back(&self) {
        // Cannot fail with a valid operation and our own memory.
        let _ = kernel::set_mask(nr::SIG_SETMASK, self.inherited);
    }

    /// In a child which is to be as if we had not been there: the ends of its children as we found
    /// them.
    pub fn give_back_ends(&self) {
        if self.ends_ignored {
            let _ = kernel::ignore(CHLD);
        }
    }

    /// To wait for, until it is readable.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Does something with children whose ends are to be seen, and by nobody else: they do not vanish if
/// we have inherited that SIGCHLD is ignored, and do not stay pending if it is blocked.
pub fn seeing_ends<T>(work: impl FnOnce() -> T) -> T {
    let ignored = kernel::is_ignored(CHLD);
    let pending = !ignored && is_pending(CHLD);
    // None of these can fail for this signal. Each of them takes away one that is pending.
    if ignored {
        let _ = kernel::default_disposition(CHLD, 0);
    }
    let done = work();
    if ignored {
        let _ = kernel::ignore(CHLD);
    } else if !pending {
        let _ = kernel::default_disposition(CHLD, 0);
    }
    done
}

/// Whether a blocked signal has come; an unblocked one never waits.
fn is_pending(signal: i32) -> bool {
    let signals = kernel::signalfd(bit(signal), nr::O_CLOEXEC | nr::O_NONBLOCK);
    signals.is_ok_and(|fd| poll::readable([fd.as_fd()], Some(Duration::ZERO)) == [true])
}

/// Lets writes to a pipe without a reader fail with EPIPE instead of killing us. Programs that we
/// run would inherit it.
pub fn ignore_broken_pipes() {
    // Cannot fail for this signal.
    let _ = kernel::ignore(PIPE);
}

/// Nothing but KILL and STOP reaches this process any more.
pub fn block_all() {
    // Cannot fail with a valid operation and our own memory.
    let _ = kernel::set_mask(nr::SIG_BLOCK, u64::MAX);
}

/// In a child, before it runs another program: lets it have these signals, with their default
/// effect.
pub fn unblock(signals: &[i32]) {
    let mut set = 0;
    for &signal in signals {
        set |= bit(signal);
        // Cannot fail for the signals that we know.
        let _ = kernel::default_disposition(signal, 0);
    }
    let _ = kernel::set_mask(nr::SIG_UNBLOCK, set);
}
