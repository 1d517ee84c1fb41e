//! Signals as events that are read from a descriptor. There are no signal handlers.

use crate::kernel::SI_QUEUE;
use crate::process::Pid;
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
    /// The terminal was closed; by convention, reload the configuration.
    HUP = SIGHUP;
    /// Ctrl-C.
    INT = SIGINT;
    /// Ctrl-\.
    QUIT = SIGQUIT;
    /// For the program's own use.
    USR1 = SIGUSR1;
    /// For the program's own use.
    USR2 = SIGUSR2;
    /// Ends a process; cannot be caught.
    KILL = SIGKILL;
    /// A timer has expired; for multilog, rotate the log file.
    ALRM = SIGALRM;
    /// A request to end.
    TERM = SIGTERM;
    /// A child has ended.
    CHLD = SIGCHLD;
    /// A write to a pipe without a reader.
    PIPE = SIGPIPE;
    /// Continue after a stop.
    CONT = SIGCONT;
    /// Stop; cannot be caught.
    STOP = SIGSTOP;
    /// Something was written to a file of [`crate::changes::signal_arrivals`].
    IO = SIGIO;
    /// The terminal has a new size.
    WINCH = SIGWINCH;
    /// A power failure; for an init of a container, stop.
    PWR = SIGPWR;
    /// A write beyond the limit on file size.
    XFSZ = SIGXFSZ;
}

/// RTMIN+3 as systemd and podman count, who reserve two real-time signals for the libc: by
/// convention, a request to an init to power off.
pub const RTMIN_3: i32 = 37;

/// The next real-time signal, counted in the same way.
pub const RTMIN_4: i32 = 38;

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Whether a signal is ignored in this process.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    kernel::is_ignored(signal)
}

/// A signal that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// Its number.
    pub signal: i32,
    /// The process that sent it; `None` for the kernel and for a process outside the PID namespace.
    pub sender: Option<Pid>,
    /// The value that sigqueue(3) sent with it.
    pub value: Option<i32>,
    /// The number behind that value, if the sender has sent two.
    pub second_value: Option<i32>,
}

/// The signals that this process receives as events. They are blocked; a child restores the
/// inherited mask with [`Signals::restore_mask`].
pub struct Signals {
    fd: OwnedFd,
    /// The mask of blocked signals at the start.
    inherited: u64,
    /// SIGCHLD was ignored at the start.
    sigchld_ignored: bool,
}

impl Signals {
    /// Blocks CHLD, PIPE, XFSZ and the signals of `wanted`, and receives them as events. A blocked
    /// PIPE or XFSZ makes the write fail instead of killing this process.
    ///
    /// INT and HUP stay ignored if they are ignored at the start, as in the background of a shell
    /// or under `nohup`.
    ///
    /// # Errors
    /// EMFILE, ENFILE: too many descriptors. ENOMEM: no memory.
    pub fn take_over(wanted: &[i32]) -> Result<Self> {
        Self::take_over_after_upgrade(wanted, None)
    }

    /// Does the same after a live upgrade; `mask` is the mask that the first program image in this
    /// process inherited.
    ///
    /// # Errors
    /// As for [`Signals::take_over`].
    pub fn take_over_after_upgrade(wanted: &[i32], mask: Option<u64>) -> Result<Self> {
        let sigchld_ignored = kernel::is_ignored(CHLD);
        // The kernel reaps children if SIGCHLD is ignored. NOCLDSTOP: no signal when a child stops.
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
        Ok(Self { fd, inherited, sigchld_ignored })
    }

    /// The inherited mask of blocked signals.
    #[must_use]
    pub const fn inherited_mask(&self) -> u64 {
        self.inherited
    }

    /// The pending signals, each once. Does not wait.
    pub fn pending(&self) -> impl Iterator<Item = i32> {
        self.received().map(|received| received.signal)
    }

    /// The same, with the sender and the value of each.
    pub fn received(&self) -> impl Iterator<Item = ReceivedSignal> {
        core::iter::from_fn(|| next_pending(self.fd.as_fd()))
    }

    /// Waits until one signal comes, and takes it. The others stay pending. The signal has to be one of
    /// those that this process receives as events.
    pub fn wait_for(&self, signal: i32, timeout: Duration) -> Option<ReceivedSignal> {
        let set = bit(signal);
        let fd = kernel::signalfd(set, nr::O_CLOEXEC | nr::O_NONBLOCK).ok()?;
        let _ = poll::readable([fd.as_fd()], Some(timeout));
        next_pending(fd.as_fd())
    }

    /// In a child before exec: restores the inherited mask of blocked signals.
    pub fn restore_mask(&self) {
        // Cannot fail: the operation and the pointer are valid.
        let _ = kernel::set_mask(nr::SIG_SETMASK, self.inherited);
    }

    /// In a child before exec: ignores SIGCHLD again if it was ignored at the start.
    pub fn restore_sigchld(&self) {
        if self.sigchld_ignored {
            let _ = kernel::ignore(CHLD);
        }
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Reads a pending signal from a signalfd. Does not wait.
fn next_pending(fd: BorrowedFd<'_>) -> Option<ReceivedSignal> {
    // struct signalfd_siginfo: 128 bytes. The first four are the number; those from 8 on the code, from
    // 12 on the sender, from 44 on the value as a number, from 48 on the same as a pointer, which holds
    // two numbers.
    let mut info = [MaybeUninit::<u8>::uninit(); 128];
    loop {
        match rustix::io::read(fd, &mut info) {
            Ok((info, _)) => {
                let number = |at| info.get(at..)?.first_chunk().copied().map(i32::from_ne_bytes);
                let is_queued = number(8) == Some(SI_QUEUE);
                return Some(ReceivedSignal {
                    signal: number(0)?,
                    sender: number(12).and_then(Pid::new),
                    value: number(44).filter(|_| is_queued),
                    second_value: number(52).filter(|_| is_queued),
                });
            }
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Calls `work`, which starts and reaps children, in a process loader that must leave SIGCHLD as it
/// was. If SIGCHLD is ignored, it has its default effect meanwhile, because the kernel would reap
/// the children. If it is blocked, none of these children leaves it pending.
pub fn with_default_sigchld<T>(work: impl FnOnce() -> T) -> T {
    let ignored = kernel::is_ignored(CHLD);
    let pending = !ignored && is_pending(CHLD);
    // These calls cannot fail for SIGCHLD. Each of them discards a pending SIGCHLD.
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

/// Whether a blocked signal is pending.
fn is_pending(signal: i32) -> bool {
    let signals = kernel::signalfd(bit(signal), nr::O_CLOEXEC | nr::O_NONBLOCK);
    signals.is_ok_and(|fd| poll::readable([fd.as_fd()], Some(Duration::ZERO)) == [true])
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // Cannot fail for a signal that a process may ignore.
    let _ = kernel::ignore(signal);
}

/// Ignores SIGPIPE: a write to a pipe without a reader fails with EPIPE. The programs that this
/// process execs inherit that.
pub fn ignore_broken_pipes() {
    // Cannot fail for this signal.
    let _ = kernel::ignore(PIPE);
}

/// Blocks all signals except KILL and STOP, which cannot be blocked.
pub fn block_all() {
    // Cannot fail: the operation and the pointer are valid.
    let _ = kernel::set_mask(nr::SIG_BLOCK, u64::MAX);
}

/// Unblocks all signals in this thread.
pub fn unblock_all() {
    // Cannot fail: the operation and the pointer are valid.
    let _ = kernel::set_mask(nr::SIG_SETMASK, 0);
}

/// In a child before exec: unblocks these signals and restores their default effect.
pub fn unblock(signals: &[i32]) {
    let mut set = 0;
    for &signal in signals {
        set |= bit(signal);
        // Cannot fail for a valid signal number.
        let _ = kernel::default_disposition(signal, 0);
    }
    let _ = kernel::set_mask(nr::SIG_UNBLOCK, set);
}
