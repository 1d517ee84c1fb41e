//! The terminal: raw mode, the other screen, and the way back on every exit.

use super::backend::Sequences;
use crate::failure::{Failure, USAGE};
use ratatui_core::terminal::Terminal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, dup, read, write};
use rustix::process::{Pid, Signal, getpgrp, getppid, getsid, kill_current_process_group};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, ttyname};
use signal_hook::consts::SIGTSTP;
use signal_hook::low_level::emulate_default_handler;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The other screen, no cursor, pasted text marked as such, everything cleared.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[0m\x1b[2J";

/// The terminal reports the buttons of the mouse, in the form of SGR; and no longer.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1000l";

/// The opposite of [`ENTER`] and of [`MOUSE_ON`].
const LEAVE: &[u8] = b"\x1b[?1006l\x1b[?1000l\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";

/// How long svctl waits at its end for a terminal that takes nothing.
const PATIENCE: Duration = Duration::from_millis(300);

/// What brings the terminal back. The panic hook shares it.
#[derive(Debug)]
struct Restore {
    output: OwnedFd,
    /// The modes from before, while the terminal is ours.
    modes: Option<Termios>,
}

impl Restore {
    fn leave(&mut self, unwritten: &[u8]) {
        let Some(modes) = self.modes.take() else { return };
        // In the background the terminal belongs to other processes.
        if !is_foreground(&self.output) {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        // The rest of a sequence comes first, so that the terminal understands the next one.
        write_until(&self.output, unwritten, deadline);
        write_until(&self.output, LEAVE, deadline);
        let _ = tcsetattr(&self.output, OptionalActions::Now, &modes);
    }
}

fn is_foreground(terminal: &OwnedFd) -> bool {
    // Without job control there is no background.
    tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
}

/// Writes as much as the terminal takes until a moment.
fn write_until(output: &OwnedFd, mut bytes: &[u8], deadline: Instant) {
    while !bytes.is_empty() {
        match write(output, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let Ok(timeout) = Timespec::try_from(left) else { return };
                let mut polled = [PollFd::new(output, PollFlags::OUT)];
                if left.is_zero() || poll(&mut polled, Some(&timeout)).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// What stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopScope {
    /// The process that got the signal.
    Process,
    /// The process group, as with Ctrl-Z in a terminal that is not raw.
    Group,
}

/// Whether there is a terminal that a screen can be drawn on.
pub(crate) fn check() -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let message =
            "unable to use top without a terminal (svctl list and svctl events need none)";
        return Err(Failure::new(USAGE, message));
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(Failure::new(USAGE, "unable to use top on a terminal of type dumb"));
    }
    Ok(())
}

/// The terminal, in raw mode until it is dropped.
pub(crate) struct RawTerminal {
    pub(crate) input: OwnedFd,
    pub(crate) output: Rc<OwnedFd>,
    pub(crate) terminal: Terminal<Sequences>,
    restore: Arc<Mutex<Restore>>,
    reports_mouse: bool,
}

impl RawTerminal {
    /// Takes the terminal of standard input and output.
    pub(crate) fn take() -> io::Result<Self> {
        let input = reopen(io::stdin())?;
        let output = Rc::new(reopen(io::stdout())?);
        let restore = Restore { output: dup(&*output)?, modes: None };
        let restore = Arc::new(Mutex::new(restore));
        restore_at_panic(&restore);
        let terminal = Terminal::new(Sequences::new(Rc::clone(&output)))?;
        let mut screen = Self { input, output, terminal, restore, reports_mouse: false };
        screen.enter()?;
        Ok(screen)
    }

    /// Begins raw mode, and forgets what the terminal shows.
    fn enter(&mut self) -> io::Result<()> {
        let modes = tcgetattr(&*self.output)?;
        let mut raw = modes.clone();
        // Ctrl-C and Ctrl-Z are keys too.
        raw.make_raw();
        loop {
            match tcsetattr(&*self.output, OptionalActions::Now, &raw) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        }
        self.restore.lock().unwrap_or_else(PoisonError::into_inner).modes = Some(modes);
        let pending = &mut self.terminal.backend_mut().pending;
        pending.clear();
        pending.extend_from_slice(ENTER);
        if self.reports_mouse {
            pending.extend_from_slice(MOUSE_ON);
        }
        self.redraw();
        Ok(())
    }

    pub(crate) const fn reports_mouse(&self) -> bool {
        self.reports_mouse
    }

    /// Lets the terminal report the mouse, or keep it for its own selection of text.
    pub(crate) fn report_mouse(&mut self, reports: bool) {
        self.reports_mouse = reports;
        let sequence = if reports { MOUSE_ON } else { MOUSE_OFF };
        self.terminal.backend_mut().pending.extend_from_slice(sequence);
    }

    /// Makes the next picture a complete one.
    pub(crate) fn redraw(&mut self) {
        let area = self.terminal.get_frame().area();
        // `Terminal::clear` without its question for the cursor. The error is that of the size.
        let _ = self.terminal.resize(area);
    }

    fn leave(&mut self) {
        let pending = std::mem::take(&mut self.terminal.backend_mut().pending);
        let mut restore = self.restore.lock().unwrap_or_else(PoisonError::into_inner);
        restore.leave(&pending);
    }

    /// Stops the process, and returns when it goes on in the foreground. In the background it stops
    /// again, unless `is_ended` says that it has to end; then the terminal stays as it is. Without a
    /// shell that could continue the process, it does nothing.
    pub(crate) fn suspend(
        &mut self,
        scope: StopScope,
        mut is_ended: impl FnMut() -> bool,
    ) -> io::Result<()> {
        if is_orphaned() {
            return Ok(());
        }
        self.leave();
        if scope == StopScope::Group {
            // A shell script around svctl stops with it.
            kill_current_process_group(Signal::TSTP)?;
        }
        loop {
            emulate_default_handler(SIGTSTP)?;
            if is_ended() {
                return Ok(());
            }
            if is_foreground(&self.output) {
                return self.enter();
            }
        }
    }

    /// Whether the terminal has not taken everything yet.
    pub(crate) fn is_writing(&self) -> bool {
        !self.terminal.backend().pending.is_empty()
    }

    /// Writes what the terminal takes without waiting.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let pending = &mut self.terminal.backend_mut().pending;
        let mut done = 0;
        let result = loop {
            let rest = pending.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match write(&*self.output, rest) {
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        pending.drain(..done);
        result
    }

    /// The bytes of keys; empty if there are none.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut room = [0; 1024];
        match read(&self.input, &mut room) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal has gone")),
            Ok(count) => Ok(room.get(..count).unwrap_or_default().to_vec()),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The terminal of a descriptor, opened again: only this process has the new description, so that
/// it may be non-blocking. A terminal of another name space keeps its blocking descriptor.
fn reopen(fd: impl AsFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let name = ttyname(&fd, Vec::new());
    match name.and_then(|name| open(name, flags, Mode::empty())) {
        Ok(opened) => Ok(opened),
        Err(_) => Ok(dup(fd)?),
    }
}

/// Whether no shell can continue this process group: its leader's parent is in another session.
fn is_orphaned() -> bool {
    let parent = getppid().map_or_else(|| getsid(Some(Pid::INIT)), |parent| getsid(Some(parent)));
    parent.ok() != getsid(None).ok()
}

/// A panic leaves the terminal first, so that its message is seen.
fn restore_at_panic(restore: &Arc<Mutex<Restore>>) {
    let restore = Arc::clone(restore);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if let Ok(mut restore) = restore.try_lock() {
            restore.leave(b"");
        }
        before(panic);
    }));
}
