//! Compressed log files: a processor of the logger may have written them. The first bytes tell.

use super::read_budget::{BudgetedReader, ReadBudget};
use crate::interrupt::is_end_requested;
use flate2::read::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio};
use ruzstd::decoding::StreamingDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The size of the buffer before a decoder.
const BUFFER: usize = 32 * 1024;

/// The largest window of a zstd file, which is kept in memory: that of `zstd -19`.
const ZSTD_WINDOW: u64 = 8 * 1024 * 1024;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

impl Compression {
    /// The compression of a file; `None` for plain text.
    pub(crate) fn of(file: &File) -> io::Result<Option<Self>> {
        let mut start = [0; 10];
        let count = file.read_at(&mut start, 0)?;
        Ok(match start.get(..count).unwrap_or_default() {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y'] => {
                Some(Self::Bzip2)
            }
            _ => None,
        })
    }

    /// The text of a file, from its beginning, as far as the budget allows.
    pub(crate) fn read(self, file: File, budget: &ReadBudget) -> io::Result<Box<dyn Read>> {
        // A small file can have a long text, and a long file none: both sides count.
        let input = BudgetedReader::new(FromStart::new(file), budget.clone());
        let budget = budget.clone();
        Ok(match self {
            Self::Gzip => {
                let decoder = MultiGzDecoder::new(BufReader::with_capacity(BUFFER, input));
                Box::new(BudgetedReader::new(decoder, budget))
            }
            Self::Zstd => Box::new(BudgetedReader::new(ZstdFrames::new(input), budget)),
            Self::Xz => Box::new(BudgetedReader::new(Program::start(&XZ, input)?, budget)),
            Self::Bzip2 => Box::new(BudgetedReader::new(Program::start(&BZIP2, input)?, budget)),
        })
    }
}

/// The bytes of a file that a decoder gets.
type Input = BudgetedReader<FromStart>;

/// A file from its start, whatever the position that other descriptors share with it.
struct FromStart {
    file: File,
    at: u64,
}

impl FromStart {
    const fn new(file: File) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for FromStart {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(room, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// All frames of a zstd file, one after the other.
struct ZstdFrames {
    state: ZstdState,
}

enum ZstdState {
    Between(Box<BufReader<Input>>),
    Frame(Box<StreamingDecoder<BufReader<Input>, ruzstd::decoding::FrameDecoder>>),
    End,
}

impl ZstdFrames {
    fn new(input: Input) -> Self {
        let reader = BufReader::with_capacity(BUFFER, input);
        Self { state: ZstdState::Between(Box::new(reader)) }
    }
}

impl Read for ZstdFrames {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        use std::io::BufRead as _;
        loop {
            match std::mem::replace(&mut self.state, ZstdState::End) {
                ZstdState::End => return Ok(0),
                ZstdState::Between(mut reader) => {
                    if reader.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let frame = StreamingDecoder::new_with_max_window_size(*reader, ZSTD_WINDOW)
                        .map_err(io::Error::other)?;
                    self.state = ZstdState::Frame(Box::new(frame));
                }
                ZstdState::Frame(mut frame) => match frame.read(room)? {
                    0 => self.state = ZstdState::Between(Box::new(frame.into_inner())),
                    count => {
                        self.state = ZstdState::Frame(frame);
                        return Ok(count);
                    }
                },
            }
        }
    }
}

/// A program that decompresses its standard input, and its words.
struct Decompressor {
    name: &'static str,
    words: &'static [&'static str],
}

/// The memory suffices for a file of `xz -9`. The writer of a file decides how much of it is used.
static XZ: Decompressor =
    Decompressor { name: "xz", words: &["-dc", "--memlimit-decompress=80MiB"] };

static BZIP2: Decompressor = Decompressor { name: "bzip2", words: &["-dc"] };

/// A decompressor that runs. It gets its input through a pipe, and not the file: so it ends with svctl,
/// and reads no more than the budget allows.
struct Program {
    name: &'static str,
    child: Child,
    /// `None`: the program has all of it.
    input: Option<(ChildStdin, Input)>,
    /// What the program has not taken yet.
    block: Box<[u8]>,
    untaken: Range<usize>,
    output: Option<ChildStdout>,
}

impl Program {
    fn start(program: &Decompressor, input: Input) -> io::Result<Self> {
        let Decompressor { name, words } = *program;
        let mut command = Command::new(name);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| named(name, &error))?;
        let (stdin, output) = (child.stdin.take(), child.stdout.take());
        if let Some(stdin) = &stdin {
            ioctl_fionbio(stdin, true)?;
        }
        let input = stdin.map(|stdin| (stdin, input));
        let block = vec![0; BUFFER].into_boxed_slice();
        Ok(Self { name, child, input, block, untaken: 0..0, output })
    }

    /// Gives the program as much input as it takes now. Returns whether it may take more later.
    fn feed(&mut self) -> io::Result<bool> {
        let Some((stdin, input)) = &mut self.input else { return Ok(false) };
        loop {
            if self.untaken.is_empty() {
                let count = input.read(&mut self.block)?;
                self.untaken = 0..count;
                if count == 0 {
                    break;
                }
            }
            let untaken = self.block.get(self.untaken.clone()).unwrap_or_default();
            match stdin.write(untaken) {
                Ok(count) => self.untaken.start += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It has ended, or needs no more: its exit code tells.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error),
            }
        }
        self.input = None;
        Ok(false)
    }
}

fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("unable to run {name}: {}", crate::failure::reason(error)))
}

impl Read for Program {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let is_hungry = self.feed()?;
            let (Some(output), false) = (&mut self.output, is_end_requested()) else {
                return Ok(0);
            };
            if is_hungry && let Some((stdin, _)) = &self.input {
                let mut polled =
                    [PollFd::new(output, PollFlags::IN), PollFd::new(stdin, PollFlags::OUT)];
                match poll(&mut polled, None) {
                    Err(Errno::INTR) => continue,
                    polled => polled?,
                };
                if polled[0].revents().is_empty() {
                    continue;
                }
            }
            let count = output.read(room)?;
            if count == 0 && !room.is_empty() {
                self.output = None;
                self.input = None;
                let status = self.child.wait()?;
                if !status.success() {
                    return Err(io::Error::other(format!("{} failed ({status})", self.name)));
                }
            }
            return Ok(count);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Without a reader it would end by SIGPIPE; a program that computes only ends by KILL.
        if self.output.take().is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
