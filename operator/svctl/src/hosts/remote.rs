//! One ssh, and waiting for many of them.

use crate::failure::{CANNOT, UNKNOWN};
use crate::interrupt::Interrupt;
use crate::output::escape;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio, read};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The exit code of ssh for its own failures.
const SSH_FAILED: i32 = 255;

/// The exit code of a shell that does not find a command.
const NOT_FOUND: i32 = 127;

/// The exit codes of a reading svctl that has printed its answer.
const ANSWERED: [i32; 5] = [0, 1, 2, 3, 4];

/// The last bytes of the messages of ssh that are kept.
const MESSAGES: usize = 64 * 1024;

/// The reason for which a machine is left whose lines are longer than allowed.
const TOO_LONG: &str = "its svctl printed a line that is too long; its other lines are left out";

/// A svctl on another machine.
pub(super) struct Remote {
    pub(super) host: String,
    ssh: Child,
    stdout: ChildStdout,
    stderr: ChildStderr,
    output: Vec<u8>,
    /// The lines at the beginning of `output` that were taken.
    taken: usize,
    messages: Vec<u8>,
    ended: bool,
    messages_ended: bool,
    /// A line was longer than allowed.
    has_long_line: bool,
}

impl Remote {
    /// Starts ssh. It asks for no password: the questions of many would mix.
    pub(super) fn start(host: &str, command: &str) -> Result<Self, Silence> {
        let failure = |why: &str| Silence::new(format!("unable to start ssh: {why}"));
        let started = Command::new("ssh")
            .args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"])
            .args(["-o", "ServerAliveInterval=10", "--", host, command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut ssh = started.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => failure("not found in PATH"),
            _ => failure(&crate::failure::reason(&error)),
        })?;
        let pipes = ssh.stdout.take().zip(ssh.stderr.take());
        let (stdout, stderr) = pipes.ok_or_else(|| failure("no pipes"))?;
        for fd in [stdout.as_fd(), stderr.as_fd()] {
            // Without it a read could wait for one machine only.
            ioctl_fionbio(fd, true).map_err(|error| failure(&error.to_string()))?;
        }
        let host = escape(host);
        let (output, messages) = (Vec::new(), Vec::new());
        Ok(Self {
            host,
            ssh,
            stdout,
            stderr,
            output,
            taken: 0,
            messages,
            ended: false,
            messages_ended: false,
            has_long_line: false,
        })
    }

    /// Reads what has come.
    fn read(&mut self) {
        self.output.drain(..self.taken);
        self.taken = 0;
        self.ended |= read_all(self.stdout.as_fd(), &mut self.output);
        self.messages_ended |= read_all(self.stderr.as_fd(), &mut self.messages);
        let excess = self.messages.len().saturating_sub(MESSAGES);
        self.messages.drain(..excess);
    }

    /// Whether the output has ended. Too much output ends it as well.
    pub(super) fn is_at_end(&self, limit: usize) -> bool {
        self.ended || self.has_long_line || self.output.len() - self.taken > limit
    }

    /// Takes a complete line from the output, without its end. After one that is longer than `longest`
    /// there are no more, and [`Self::is_at_end`].
    pub(super) fn take_line(&mut self, longest: usize) -> Option<Vec<u8>> {
        let rest = self.output.get(self.taken..).filter(|_| !self.has_long_line)?;
        let end = memchr::memchr(b'\n', rest);
        self.has_long_line = end.unwrap_or(rest.len()) > longest;
        let line = rest.get(..end.filter(|_| !self.has_long_line)?)?.to_vec();
        self.taken += line.len() + 1;
        Some(line)
    }

    pub(super) fn kill(&mut self) {
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }

    /// The output and the exit code of svctl, and its warnings if it has answered a part only; or why
    /// there is no answer.
    pub(super) fn finish(mut self) -> Result<(Vec<u8>, u8, Vec<String>), Silence> {
        let code = self.end("its svctl printed too much")?;
        let warnings = self.warnings();
        match code {
            Some(code) if ANSWERED.contains(&code) && !self.output.is_empty() => {
                Ok((self.output, u8::try_from(code).unwrap_or(u8::MAX), Vec::new()))
            }
            Some(code)
                if code == i32::from(CANNOT) && !self.output.is_empty() && !warnings.is_empty() =>
            {
                Ok((self.output, CANNOT, warnings))
            }
            code => Err(self.silence(code)),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.messages);
        let warnings = text.lines().filter_map(|line| line.strip_prefix("svctl: warning: "));
        warnings.map(escape).collect()
    }

    /// The exit code of a svctl whose lines were taken, and its warnings; or why it failed.
    pub(super) fn finish_lines(mut self) -> Result<(u8, Vec<String>), Silence> {
        let code = self.end(TOO_LONG)?;
        let warnings = self.warnings();
        match code {
            Some(0) => Ok((0, warnings)),
            Some(code) if code == i32::from(CANNOT) && !warnings.is_empty() => {
                Ok((CANNOT, warnings))
            }
            code => Err(self.silence(code)),
        }
    }

    /// Waits for the exit code; `None` if a signal killed ssh.
    fn end(&mut self, too_much: &str) -> Result<Option<i32>, Silence> {
        if !self.ended || self.has_long_line {
            self.kill();
            let too_much = if self.has_long_line { TOO_LONG } else { too_much };
            return Err(Silence::new(too_much));
        }
        let status = self.ssh.wait().map_err(|e| Silence::new(crate::failure::reason(&e)))?;
        // A master of ssh that stays may keep its end of this pipe open, so its end is not awaited.
        read_all(self.stderr.as_fd(), &mut self.messages);
        Ok(status.code())
    }

    /// What an exit code and the last message say.
    fn silence(&self, code: Option<i32>) -> Silence {
        let text = String::from_utf8_lossy(&self.messages);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map(|line| {
            let text = line.trim().trim_start_matches("svctl: ");
            escape(text.trim_start_matches("fatal: ").trim_start_matches("warning: "))
        });
        let or = |text: &str| last.clone().unwrap_or_else(|| text.to_owned());
        match code {
            Some(SSH_FAILED) => Silence::new(format!("unable to reach it: {}", or("ssh failed"))),
            Some(NOT_FOUND) => Silence::new("svctl was not found there"),
            // It has answered: it does not know the service.
            Some(code) if code == i32::from(UNKNOWN) => {
                Silence { why: or("unknown"), code: UNKNOWN }
            }
            Some(code) => Silence::new(or(&format!("its svctl has ended with {code}"))),
            None => Silence::new("ssh was killed"),
        }
    }
}

/// Why a machine has no services to show.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    pub(super) why: String,
    /// The exit code that this means.
    pub(super) code: u8,
}

impl Silence {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), code: CANNOT }
    }
}

/// Waits until one of them has sent something, and reads it. Returns whether a signal ended the wait.
pub(super) fn pump(remotes: &mut [Remote], interrupt: Option<&Interrupt>) -> io::Result<bool> {
    pump_until(&mut remotes.iter_mut().collect::<Vec<_>>(), interrupt, None)
}

/// As [`pump`], at most for a time.
pub(super) fn pump_until(
    remotes: &mut [&mut Remote],
    interrupt: Option<&Interrupt>,
    timeout: Option<Duration>,
) -> io::Result<bool> {
    let mut polled: Vec<PollFd<'_>> = Vec::new();
    for remote in remotes.iter() {
        polled.push(PollFd::new(&remote.stdout, PollFlags::IN));
        if !remote.messages_ended {
            polled.push(PollFd::new(&remote.stderr, PollFlags::IN));
        }
    }
    if let Some(interrupt) = interrupt {
        polled.push(PollFd::from_borrowed_fd(interrupt.as_fd(), PollFlags::IN));
    }
    let timeout = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let is_interrupted =
        interrupt.is_some() && polled.last().is_some_and(|last| !last.revents().is_empty());
    drop(polled);
    remotes.iter_mut().for_each(|remote| remote.read());
    Ok(is_interrupted)
}

/// Reads what a pipe holds; returns whether it has ended.
fn read_all(fd: BorrowedFd<'_>, to: &mut Vec<u8>) -> bool {
    let mut room = [0; 16 * 1024];
    // As much as a pipe holds: a fast writer does not keep the others waiting.
    for _ in 0..64 {
        match read(fd, &mut room) {
            Ok(0) => return true,
            Ok(count) => to.extend_from_slice(room.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return false,
            Err(_) => return true,
        }
    }
    false
}
