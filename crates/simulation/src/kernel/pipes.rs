//! Pipes from services to loggers.

use super::state::{Kernel, trace};
use super::tables::{Kind, Open, PIPE_LINES, Pipe, Process, Program, SECOND};
use daemontools_core::Ended;

impl Kernel {
    /// The pipe of a pipe end.
    pub(super) fn pipe(&self, end: Open) -> &Pipe {
        match self.kind(end) {
            Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe) => &self.pipes[pipe],
            other => panic!("{other:?} is no pipe"),
        }
    }

    /// Whether the pipe has no open read end.
    pub(crate) fn has_no_reader(&self, write_end: Open) -> bool {
        self.pipe(write_end).readers == 0
    }

    /// Whether the pipe has unread lines.
    pub(crate) fn has_lines(&self, end: Open) -> bool {
        self.pipe(end).lines > 0
    }

    /// svscan makes a new pipe for a service; returns the read end first.
    pub(crate) fn make_pipe(&mut self, n: usize, service: usize) -> (Open, Open) {
        self.abandon_pipes(service, None);
        let new = self.pipes.iter().position(Pipe::is_free).expect("a free pipe");
        self.pipes[new] = Pipe { service, ..Pipe::default() };
        trace!(self, "{n} makes a pipe for {service}");
        (self.open(n, Kind::ReadEnd(new)), self.open(n, Kind::WriteEnd(new)))
    }

    /// Opens another end of a pipe; `None` if no process has it open any more.
    pub(crate) fn reopen_end(&mut self, n: usize, end: Kind) -> Option<Open> {
        let (Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe)) = end else {
            panic!("{end:?} is no pipe");
        };
        (!self.pipes[pipe].is_free()).then(|| self.open(n, end))
    }

    /// svscan reopens an existing pipe of a service.
    pub(crate) fn reopen_pipe(&mut self, n: usize, service: usize, ends: (Open, Open)) {
        let pipes = [ends.0, ends.1].map(|end| match self.kind(end) {
            Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe) => pipe,
            other => panic!("{other:?} is no pipe"),
        });
        assert_eq!(pipes[0], pipes[1], "ends of two pipes");
        assert_eq!(self.pipes[pipes[0]].service, service, "the pipe of another service");
        trace!(self, "{n} takes back the pipe of {service}");
        self.abandon_pipes(service, Some(pipes[0]));
        self.stats.pipes_reopened += 1;
    }

    /// Marks the other pipes of a service that are in use. svscan cannot find one that only a
    /// background child has open.
    fn abandon_pipes(&mut self, service: usize, kept: Option<usize>) {
        for pipe in 0..self.pipes.len() {
            let used = |process: &Process| {
                let ends = [process.stdin, process.stdout];
                !matches!(process.program, Program::Daemon { .. })
                    && ends.into_iter().flatten().any(|end| {
                        [Kind::ReadEnd(pipe), Kind::WriteEnd(pipe)].contains(&self.kind(end))
                    })
            };
            let found = &self.pipes[pipe];
            if kept != Some(pipe)
                && found.service == service
                && !found.is_free()
                && self.alive().any(|(_, process)| used(process))
            {
                trace!(self, "the other pipe {pipe} of {service} is abandoned");
                self.pipes[pipe].abandoned = true;
            }
        }
    }

    /// svscan closes a pipe end on purpose.
    pub(crate) fn drop_pipe(&mut self, n: usize, end: Open) {
        if let Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe) = self.kind(end) {
            self.pipes[pipe].dropped = true;
        }
        self.close(n, end);
    }

    /// Writes a line; returns false if the pipe is full. Without a reader, SIGPIPE kills the
    /// process.
    pub(crate) fn write_line(&mut self, n: usize, end: Open) -> bool {
        let Kind::WriteEnd(no) = self.kind(end) else {
            panic!("cannot be written to");
        };
        let pipe = &mut self.pipes[no];
        if pipe.readers == 0 {
            let late = self.world.calm.is_some_and(|calm| calm + 10 * SECOND < self.now);
            let service = pipe.service;
            trace!(self, "{n} writes to a pipe without a reader");
            assert!(
                !(late && self.world.linked[service]),
                "{n} writes to a pipe that will never have a reader"
            );
            self.stats.broken_pipes += 1;
            self.end(n, Ended::Killed(13));
            return true;
        }
        if pipe.lines == PIPE_LINES {
            return false;
        }
        pipe.lines += 1;
        self.stats.lines += 1;
        true
    }

    /// Reads up to three lines; `None` at the end of the input.
    pub(crate) fn read_lines(&mut self, n: usize, end: Open) -> Option<u32> {
        let Kind::ReadEnd(no) = self.kind(end) else {
            panic!("cannot be read");
        };
        let pipe = &mut self.pipes[no];
        let lines = pipe.lines.min(3);
        if lines == 0 && pipe.writers == 0 {
            return None;
        }
        pipe.lines -= lines;
        self.processes[n].unlogged = lines;
        Some(lines)
    }

    /// The logger writes the lines that it has read into its log.
    pub(crate) fn log_lines(&mut self, n: usize) {
        let lines = core::mem::take(&mut self.processes[n].unlogged);
        self.ledgers[0].logged += u64::from(lines);
    }

    /// Discards the lines in a pipe when no process has it open.
    pub(super) fn drain_pipe(&mut self, no: usize) {
        let pipe = self.pipes[no];
        if !pipe.is_free() || pipe.lines == 0 {
            return;
        }
        self.pipes[no].lines = 0;
        let lines = u64::from(pipe.lines);
        trace!(self, "{lines} lines of {} are lost", pipe.service);
        assert!(!pipe.abandoned, "svscan has made a second pipe, and lines in the first are lost");
        if pipe.dropped {
            self.stats.lines_cut_off += lines;
        } else {
            self.stats.lines_lost_with_all_users += lines;
        }
    }

    /// The number of lines in pipes and of lines that loggers have read and not logged.
    pub(crate) fn lines_on_their_way(&self) -> u64 {
        let unlogged = self.alive().map(|(_, process)| process.unlogged);
        self.pipes.iter().map(|pipe| pipe.lines).chain(unlogged).map(u64::from).sum()
    }
}
