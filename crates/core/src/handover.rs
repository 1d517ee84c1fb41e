//! The handover: the state that a program passes to its new version at a live upgrade.
//!
//! The handover holds only state that the new version cannot read from files or from the kernel. It
//! is a text of `key=value` lines. All versions understand the first three: the open descriptors,
//! the signal mask, and the version of the other lines. A program that does not know that version
//! closes the descriptors and starts as after a KILL.

use crate::Pid;
use crate::copier::Stream;
use crate::text::decimal::{self, Decimal};
use alloc::vec::Vec;

/// The version of the lines after the first three.
const VERSION: u64 = 1;

/// The key of a helper script.
const HELPER: &[u8] = b"helper";

/// The key of a supervise that is still to be upgraded. The number is that of the service, twice, and one
/// more for its logger. An earlier version takes the line for a descriptor that it does not use.
const LATE: &[u8] = b"late-upgrade";

/// The state that is handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// The signals that were blocked when the first version started, as a bit mask.
    pub mask: u64,
    /// The version or the format is unknown. The other fields are empty, and the descriptors have
    /// no names.
    pub unknown_version: bool,
    /// supervise: `x` was received; exit as soon as the service is down.
    pub leaving: bool,
    /// Descriptors: a name of lower-case letters that says what it is for, and the number.
    pub descriptors: Vec<(Vec<u8>, i32)>,
    /// supervise: helper scripts that run, and reapers of their orphans.
    pub helpers: Vec<Pid>,
    /// svscan: the services that it keeps running.
    pub services: Vec<Service>,
    /// svscan: the child that waits or runs the command after `--`.
    pub command: Option<Pid>,
    /// svscan: the process that copies the output of services.
    pub copier: Option<Pid>,
    /// svscan: the pipes to that process.
    pub outputs: Vec<Output>,
    /// svscan: the limit of open files for its children, if it differs from its own.
    pub open_files: Option<u64>,
}

/// A service of svscan, with its logger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The identity of its directory: device (major, minor), inode, and birth time.
    pub directory: [u64; 4],
    /// The supervises of the service and of the logger. An earlier version hands over only the children of
    /// svscan, and takes no other ones.
    pub supervises: [Option<Pid>; 2],
    /// The supervises, by role, that are still to be upgraded: svscan has not found them, or they did not
    /// read the signal yet.
    pub late: [bool; 2],
    /// The pipe to the logger: read end and write end.
    pub pipe: Option<[i32; 2]>,
    /// The name in the scan directory.
    pub name: Vec<u8>,
}

/// A pipe from a supervise to the process that copies the output of services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The identity of the service's directory, as in [`Service`].
    pub directory: [u64; 4],
    /// It is of the logger's supervise.
    pub is_log: bool,
    /// Which output it is.
    pub stream: Stream,
    /// The copying process has it.
    pub is_sent: bool,
    /// Read end and write end.
    pub pipe: [i32; 2],
}

impl Handover {
    /// Encodes the handover.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut line = |key: &[u8], numbers: &[u64]| {
            text.extend_from_slice(key);
            for (n, number) in numbers.iter().enumerate() {
                text.push(if n == 0 { b'=' } else { b' ' });
                text.extend_from_slice(Decimal::new(*number).as_bytes());
            }
            text.push(b'\n');
        };
        let named = self.descriptors.iter().map(|(_, number)| *number);
        let ends = self.services.iter().filter_map(|service| service.pipe).flatten();
        let outputs = self.outputs.iter().flat_map(|output| output.pipe);
        let inherited =
            named.chain(ends).chain(outputs).map(|number| u64::from(number.unsigned_abs()));
        line(b"inherited", &inherited.collect::<Vec<_>>());
        line(b"mask", &[self.mask]);
        line(b"version", &[VERSION]);
        line(b"leaving", &[u64::from(self.leaving)]);
        if let Some(pid) = self.command {
            line(b"command", &[pid.get().unsigned_abs().into()]);
        }
        if let Some(pid) = self.copier {
            line(b"copier-process", &[pid.get().unsigned_abs().into()]);
        }
        for Output { directory, is_log, stream, is_sent, pipe } in &self.outputs {
            let mut numbers = directory.to_vec();
            numbers.extend([u64::from(*is_log), stream.number().into(), u64::from(*is_sent)]);
            numbers.extend(pipe.iter().map(|number| u64::from(number.unsigned_abs())));
            line(b"output", &numbers);
        }
        if let Some(limit) = self.open_files {
            line(b"open-files", &[limit]);
        }
        // One line each: an earlier version takes it for a descriptor that it does not use.
        for pid in &self.helpers {
            line(HELPER, &[pid.get().unsigned_abs().into()]);
        }
        for (name, number) in &self.descriptors {
            line(name, &[u64::from(number.unsigned_abs())]);
        }
        let late = self.services.iter().flat_map(|service| service.late);
        for (number, _) in (0..).zip(late).filter(|(_, late)| *late) {
            line(LATE, &[number]);
        }
        for Service { directory, supervises, pipe, name, .. } in &self.services {
            let mut numbers = directory.to_vec();
            let pids = supervises.iter().map(|pid| pid.map_or(0, Pid::get));
            let ends = pipe.unwrap_or_default();
            numbers.extend(pids.chain(ends).map(|number| u64::from(number.unsigned_abs())));
            numbers.extend(name.iter().copied().map(u64::from));
            line(b"service", &numbers);
        }
        text
    }

    /// Decodes a handover; `None` if the first three lines are wrong.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = text.split(|&c| c == b'\n').filter(|line| !line.is_empty());
        let mut next = |wanted: &[u8]| {
            let (key, numbers) = key_and_numbers(lines.next()?)?;
            (key == wanted).then_some(numbers)
        };
        let (inherited, mask, version) = (next(b"inherited")?, next(b"mask")?, next(b"version"));
        let &[mask] = &mask[..] else {
            return None;
        };
        let known = version.is_some_and(|version| version == [VERSION]);
        if let Some(handover) = known.then(|| Self::parse_rest(mask, lines)).flatten() {
            return Some(handover);
        }
        let unnamed = inherited.into_iter().filter_map(|number| i32::try_from(number).ok());
        let descriptors = unnamed.map(|number| (Vec::new(), number)).collect();
        Some(Self { mask, unknown_version: true, descriptors, ..Self::default() })
    }

    fn parse_rest<'a>(mask: u64, lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut handover = Self { mask, ..Self::default() };
        let mut late = Vec::new();
        for line in lines {
            let (key, numbers) = key_and_numbers(line)?;
            match (key, &numbers[..]) {
                (b"leaving", &[leaving]) => handover.leaving = leaving != 0,
                (b"command", &[pid]) => {
                    handover.command = Some(Pid::new(i32::try_from(pid).ok()?)?);
                }
                (b"copier-process", &[pid]) => {
                    handover.copier = Some(Pid::new(i32::try_from(pid).ok()?)?);
                }
                (b"output", numbers) => handover.outputs.push(output(numbers)?),
                (b"open-files", &[limit]) => handover.open_files = Some(limit),
                (HELPER, &[pid]) => {
                    handover.helpers.push(Pid::new(i32::try_from(pid).ok()?)?);
                }
                (LATE, &[number]) => late.push(number),
                (b"service", numbers) => handover.services.push(service(numbers)?),
                (name, &[number]) => {
                    handover.descriptors.push((name.to_vec(), i32::try_from(number).ok()?));
                }
                _ => return None,
            }
        }
        let supervises = handover.services.iter_mut().flat_map(|service| &mut service.late);
        for (number, is_late) in (0..).zip(supervises) {
            *is_late = late.contains(&number);
        }
        Some(handover)
    }

    /// The number of the descriptor with this name.
    #[must_use]
    pub fn descriptor(&self, name: &[u8]) -> Option<i32> {
        self.descriptors.iter().find(|(key, _)| key == name).map(|(_, number)| *number)
    }
}

fn key_and_numbers(line: &[u8]) -> Option<(&[u8], Vec<u64>)> {
    let (key, value) = line.split_at(memchr::memchr(b'=', line).unwrap_or(line.len()));
    // An empty list has no `=`.
    let words = value.split(|&c| c == b' ' || c == b'=').skip(1);
    Some((key, words.map(decimal::parse).collect::<Option<_>>()?))
}

fn service(numbers: &[u64]) -> Option<Service> {
    let &[major, minor, inode, born, main, log, read, write, ref name @ ..] = numbers else {
        return None;
    };
    let small = |number: u64| i32::try_from(number).ok();
    let name = name.iter().map(|&byte| u8::try_from(byte).ok()).collect::<Option<_>>()?;
    Some(Service {
        directory: [major, minor, inode, born],
        supervises: [Pid::new(small(main)?), Pid::new(small(log)?)],
        late: [false; 2],
        pipe: Some([small(read)?, small(write)?]).filter(|ends| *ends != [0, 0]),
        name,
    })
}

fn output(numbers: &[u64]) -> Option<Output> {
    let &[major, minor, inode, born, log, stream, sent, read, write] = numbers else {
        return None;
    };
    Some(Output {
        directory: [major, minor, inode, born],
        is_log: log != 0,
        stream: Stream::of_number(u8::try_from(stream).ok()?)?,
        is_sent: sent != 0,
        pipe: [i32::try_from(read).ok()?, i32::try_from(write).ok()?],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_handover_is_read_back() {
        let handover = Handover {
            mask: 1 << 33,
            unknown_version: false,
            leaving: true,
            descriptors: vec![(b"lock".to_vec(), 4), (b"control".to_vec(), 1000)],
            helpers: [1, i32::MAX].into_iter().filter_map(Pid::new).collect(),
            services: vec![
                Service {
                    directory: [254, 0, u64::MAX, 5],
                    supervises: [Pid::new(7), Pid::new(i32::MAX)],
                    late: [false, true],
                    pipe: Some([7, 8]),
                    name: b"a\nname = \xff".to_vec(),
                },
                Service {
                    directory: [0; 4],
                    supervises: [None; 2],
                    late: [true, false],
                    pipe: None,
                    name: vec![],
                },
            ],
            command: Pid::new(77),
            copier: Pid::new(78),
            outputs: vec![Output {
                directory: [254, 0, u64::MAX, 5],
                is_log: true,
                stream: Stream::Err,
                is_sent: true,
                pipe: [10, 11],
            }],
            open_files: Some(1024),
        };
        let text = handover.to_text();
        assert_eq!(Handover::parse(&text), Some(handover.clone()));
        assert_eq!(handover.descriptor(b"control"), Some(1000));
        assert_eq!(handover.descriptor(b"other"), None);
        let none = Handover::default();
        assert_eq!(Handover::parse(&none.to_text()), Some(none));
    }

    #[test]
    fn the_first_lines_of_other_versions_are_read() {
        let beginning = "inherited=4 1000\nmask=5\n";
        for rest in [
            "version=2\nleaving=0\n",
            "version=1\nlock=4294967296\n",
            "version=1\nleaving\n",
            "version=1\nleaving=x\n",
            "version=1\nservice=1 2\n",
            "version=1\nservice=1 2 3 4 5 6 7 8 256\n",
            "version=1\nservice=1 2 3 4 4294967296 6 7 8\n",
            "version=1\noutput=1 2 3 4 0 3 1 7 8\n",
            "version=1\noutput=1 2 3 4 0 1 1 7\n",
            "entirely different",
            "",
        ] {
            let unnamed = vec![(vec![], 4), (vec![], 1000)];
            let known = Handover {
                mask: 5,
                unknown_version: true,
                descriptors: unnamed,
                ..Default::default()
            };
            let text = [beginning, rest].concat();
            assert_eq!(Handover::parse(text.as_bytes()), Some(known), "{text}");
        }
        for text in [&b""[..], b"version=1\nmask=0\n", b"inherited=x\nmask=0\nversion=1\n"] {
            assert_eq!(Handover::parse(text), None);
        }
    }

    #[test]
    fn the_first_line_lists_every_descriptor() {
        let pipe = Some([8, 9]);
        let service = Service {
            directory: [0; 4],
            supervises: [None; 2],
            late: [false; 2],
            pipe,
            name: vec![],
        };
        let descriptors = vec![(b"lock".to_vec(), 7)];
        let services = vec![service];
        let output = |pipe| Output {
            directory: [0; 4],
            is_log: false,
            stream: Stream::Out,
            is_sent: false,
            pipe,
        };
        let outputs = vec![output([10, 11])];
        let text = Handover { descriptors, services, outputs, ..Default::default() }.to_text();
        assert!(text.starts_with(b"inherited=7 8 9 10 11\nmask=0\nversion=1\n"));
        assert!(Handover::default().to_text().starts_with(b"inherited\nmask=0\n"));
    }
}
