//! `--cursor`: where to go on later. A line of text has the place in each directory.
//!
//! `c1`, and for each directory `;`, a hash of its path, `:`, the inode of the file, `:`, the bytes of it
//! that were read, `:`, and the moment of the last line, in hexadecimal.

use super::directory_reader::{DirectoryReader, LinePlace, ReadTo};
use super::stamp::Moment;
use crate::escape::escape;
use crate::failure::{Failure, USAGE};
use crate::guarded_path::GuardedPlace;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const VERSION: &str = "c1";

/// The most that is read of a file: the places of more than 15,000 directories.
const LARGEST: u64 = 1024 * 1024;

/// A place in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CursorPlace {
    inode: u64,
    offset: u64,
    moment: Moment,
}

/// The places in the directories, by the hashes of their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    places: BTreeMap<u64, CursorPlace>,
}

/// The value of `--cursor`.
#[derive(Debug)]
pub(crate) enum CursorArgument {
    /// A token, which is the text of a cursor.
    Token,
    /// A file, which is written at the end.
    File(CursorFile),
}

/// The file of a cursor. Its directory stays open: another one in its place is not written.
#[derive(Debug)]
pub(crate) struct CursorFile {
    place: GuardedPlace,
    /// Its path, for messages.
    shown: String,
}

impl Cursor {
    /// The cursor of an argument: a token, or a file, which need not exist yet.
    pub(crate) fn of_argument(argument: &Path) -> Result<(Self, CursorArgument), Failure> {
        let text = argument.to_string_lossy();
        if text == VERSION || text.starts_with("c1;") {
            return Ok((Self::parse(&text)?, CursorArgument::Token));
        }
        let shown = escape(&text);
        let failure = |error: &io::Error| Failure::system(format!("read {shown}"), error);
        let place = GuardedPlace::locate(argument).map_err(|error| failure(&error))?;
        let text = read(&place).map_err(|error| failure(&error))?;
        let cursor = text.map(|text| Self::parse(&text)).transpose()?;
        Ok((cursor.unwrap_or_default(), CursorArgument::File(CursorFile { place, shown })))
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let places = |text: &str| {
            let mut parts = text.trim_end().split(';');
            if parts.next()? != VERSION {
                return None;
            }
            parts
                .map(|part| {
                    let mut numbers = part.split(':').map(|it| u64::from_str_radix(it, 16));
                    let mut next = || numbers.next()?.ok();
                    let (directory, inode, offset, moment) = (next()?, next()?, next()?, next()?);
                    let moment = Moment(moment.cast_signed());
                    Some((directory, CursorPlace { inode, offset, moment }))
                })
                .collect()
        };
        places(text).map(|places| Self { places }).ok_or_else(|| {
            Failure::new(USAGE, "unable to use the cursor: it is damaged or of another version")
        })
    }

    /// The cursor as text.
    pub(crate) fn text(&self) -> String {
        self.places.iter().fold(VERSION.to_owned(), |mut text, (directory, place)| {
            let CursorPlace { inode, offset, moment } = place;
            let moment = moment.0.cast_unsigned();
            let _ = write!(text, ";{directory:x}:{inode:x}:{offset:x}:{moment:x}");
            text
        })
    }

    /// Writes the cursor into its file, which is replaced in one step.
    pub(crate) fn write(&self, file: &CursorFile) -> Result<(), Failure> {
        let GuardedPlace { dir, name } = &file.place;
        let mut new = name.clone();
        new.push(format!(".new.{}", std::process::id()));
        let written = create_new(&file.place, &new)
            .and_then(|mut file| writeln!(file, "{}", self.text()))
            .and_then(|()| Ok(renameat(dir, &new, dir, name)?));
        written.map_err(|error| {
            let _ = unlinkat(dir, &new, AtFlags::empty());
            Failure::system(format!("write {}", file.shown), &error)
        })
    }

    /// Remembers where the next line of a directory is.
    pub(crate) fn set(&mut self, directory: &Path, read_to: ReadTo) {
        let ReadTo { file: (_, inode), offset, moment } = read_to;
        let place = self.places.entry(hash(directory));
        // Without a line in this run, the last one is that of the run before.
        let place = place.or_insert(CursorPlace { inode, offset, moment: Moment::MIN });
        let moment = moment.unwrap_or(place.moment);
        *place = CursorPlace { inode, offset, moment };
    }

    /// Lets a reader go on. Without the file, lines later than the last one follow; the result says
    /// so.
    pub(crate) fn apply(&self, reader: &mut DirectoryReader) -> Option<String> {
        let path = reader.directory.path().to_owned();
        let place = self.places.get(&hash(&path))?;
        let files = &reader.directory.files;
        let is_it = |index: &usize| {
            let id = files.get(*index).and_then(|file| reader.directory.id_of(&file.name));
            id.is_some_and(|(_, inode)| inode == place.inode)
        };
        if let Some(file) = (0..files.len()).rev().find(is_it)
            && reader.is_line_end(file, place.offset, place.moment)
        {
            reader.start_at(LinePlace { file, offset: place.offset, skip: 0 });
            return None;
        }
        reader.only_behind(place.moment);
        let path = escape(&path.to_string_lossy());
        Some(format!("{path}: the file of the cursor is gone; lines with later stamps follow"))
    }
}

/// The text of a file; `None` without the file. Another user may have arranged it: no link is followed,
/// no FIFO blocks, and no device is opened.
fn read(place: &GuardedPlace) -> io::Result<Option<String>> {
    let is_file = |found: Stat| match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(io::Error::other("it is a symbolic link")),
        _ => Err(io::Error::other("it is not a regular file")),
    };
    match place.stat() {
        Err(Errno::NOENT) => return Ok(None),
        found => is_file(found?)?,
    }
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(&place.dir, &place.name, flags, Mode::empty())?);
    is_file(fstat(&file)?)?;
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other("it is too large for a cursor"));
    }
    Ok(Some(text))
}

/// Makes a file beside the one of the cursor. A run that was killed may have left one.
fn create_new(place: &GuardedPlace, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let create = || openat(&place.dir, name, flags, Mode::from_raw_mode(0o666));
    let made = match create() {
        Err(Errno::EXIST) => {
            unlinkat(&place.dir, name, AtFlags::empty())?;
            create()
        }
        made => made,
    };
    Ok(File::from(made?))
}

/// FNV-1a of the path without links.
fn hash(directory: &Path) -> u64 {
    let path = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let mut cursor = Cursor::default();
        assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        for (path, moment) in [("/a", None), ("/b", Some(Moment(5)))] {
            cursor.set(Path::new(path), ReadTo { file: (1, 2), offset: 3, moment });
        }
        assert_eq!(Cursor::parse(&format!("{}\n", cursor.text())).unwrap(), cursor);
        for wrong in ["", "c2", "c1;", "c1;1:2:3", "c1;x:1:1:1", "@400000000000000a00000000"] {
            assert_eq!(Cursor::parse(wrong).unwrap_err().code, USAGE, "{wrong}");
        }
    }
}
