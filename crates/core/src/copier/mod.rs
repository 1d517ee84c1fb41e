//! The output of services as lines with a name in front, or as JSON: `svscan -p` and `svscan -j`.
//!
//! The copier is a process of svscan that reads the output of all services and writes it to the output of
//! svscan. [`pieces`] cuts what it sees in a pipe into lines, [`Form`] writes each of them.

mod json_object;
pub mod pieces;

use crate::time::tai::Tai64n;
use alloc::boxed::Box;
use alloc::vec::Vec;
use pieces::Piece;

/// Which output of a service a line comes from, and which output of svscan it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Out, Self::Err];

    /// The number of the descriptor.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Out => 1,
            Self::Err => 2,
        }
    }

    /// The stream of a descriptor's number.
    #[must_use]
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Out),
            2 => Some(Self::Err),
            _ => None,
        }
    }

    const fn word(self) -> &'static [u8] {
        match self {
            Self::Out => b"stdout",
            Self::Err => b"stderr",
        }
    }
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `NAME: TEXT`; the pieces of a long line after the first are `NAME+ TEXT`.
    Prefixed,
    /// An object with `time`, `service`, `stream`, `line`; and `partial`, which is true for each piece of a
    /// long line but the last.
    Json,
}

impl Form {
    /// The name of a service as the lines of this form begin with it.
    ///
    /// A name can contain a newline. In the prefix a control character becomes a question mark.
    #[must_use]
    pub fn name(self, name: &[u8]) -> Box<[u8]> {
        match self {
            Self::Prefixed => {
                name.iter().map(|&c| if c.is_ascii_control() { b'?' } else { c }).collect()
            }
            Self::Json => {
                let mut escaped = Vec::new();
                json_object::escape(name, &mut escaped);
                escaped.into()
            }
        }
    }

    /// Appends a piece of a line to `out`, with a newline. `name` is from [`Form::name`]. The piece
    /// continues a line if `continues`.
    pub fn append(
        self,
        name: &[u8],
        stream: Stream,
        piece: Piece<'_>,
        continues: bool,
        now: Tai64n,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Prefixed => {
                out.extend_from_slice(name);
                out.extend_from_slice(if continues { b"+ " } else { b": " });
                out.extend_from_slice(piece.text);
            }
            Self::Json => json_object::append(name, stream, piece, now, out),
        }
        out.push(b'\n');
    }
}

/// A message of svscan as a JSON object, with a newline.
#[must_use]
pub fn message_as_json(text: &[&[u8]], now: Tai64n) -> Vec<u8> {
    let mut out = Vec::new();
    let text = text.concat();
    let piece = Piece { text: &text, length: text.len(), is_cut: false };
    Form::Json.append(b"svscan", Stream::Err, piece, false, now, &mut out);
    out
}
