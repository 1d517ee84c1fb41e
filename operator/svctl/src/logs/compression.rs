//! Compressed log files: a processor of the logger may have written them. The first bytes tell.

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

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

    /// The text of a file, from its beginning.
    pub(crate) fn read(self, file: File) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(
                BUFFER,
                FromStart::new(file),
            ))),
            Self::Zstd => Box::new(ZstdFrames::new(file)),
            Self::Xz => Box::new(Program::start("xz", file)?),
            Self::Bzip2 => Box::new(Program::start("bzip2", file)?),
        })
    }
}

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
    Between(Box<BufReader<FromStart>>),
    Frame(Box<StreamingDecoder<BufReader<FromStart>, ruzstd::decoding::FrameDecoder>>),
    End,
}

impl ZstdFrames {
    fn new(file: File) -> Self {
        let reader = BufReader::with_capacity(BUFFER, FromStart::new(file));
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

/// A program that decompresses its standard input.
struct Program {
    name: &'static str,
    child: Child,
    output: Option<ChildStdout>,
}

impl Program {
    fn start(name: &'static str, mut file: File) -> io::Result<Self> {
        use std::io::Seek as _;
        file.rewind()?;
        let mut command = Command::new(name);
        command.arg("-dc").stdin(file).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| named(name, &error))?;
        let output = child.stdout.take();
        Ok(Self { name, child, output })
    }
}

fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("unable to run {name}: {}", crate::failure::reason(error)))
}

impl Read for Program {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(output) = &mut self.output else { return Ok(0) };
        let count = output.read(room)?;
        if count == 0 && !room.is_empty() {
            self.output = None;
            let status = self.child.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("{} failed ({status})", self.name)));
            }
        }
        Ok(count)
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
