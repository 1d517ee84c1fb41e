//! `--cursor`: where to go on later. A line of text has the place in each directory.
//!
//! `c1`, and for each directory `;`, a hash of its path and the place: the inode of the file, the bytes of
//! it that were read, the moment of the last line, a hash of the text before, the label of the files before,
//! and 1 if one without a label is between. They are hexadecimal with `:` between; the last three are empty
//! if they are not known.

use super::cursor_place::CursorPlace;
use super::directory_reader::{DirectoryReader, LinePlace};
use super::read_place::{FilesBefore, ReadTo, hash};
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
                    let numbers = part.split(':').map(|number| match number {
                        "" => Some(None),
                        number => u64::from_str_radix(number, 16).ok().map(Some),
                    });
                    let numbers: Option<Vec<Option<u64>>> = numbers.collect();
                    let &[directory, inode, offset, moment, text, label, unnamed] = &numbers?[..]
                    else {
                        return None;
                    };
                    let as_moment = |number: u64| Moment(number.cast_signed());
                    let place = CursorPlace {
                        inode: inode?,
                        offset: offset?,
                        moment: as_moment(moment?),
                        text,
                        behind: label.zip(unnamed).map(|(label, unnamed)| FilesBefore {
                            label: as_moment(label),
                            has_unnamed: unnamed != 0,
                        }),
                    };
                    Some((directory?, place))
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
            let CursorPlace { inode, offset, moment, text: before, behind } = place;
            let moment = moment.0.cast_unsigned();
            let _ = write!(text, ";{directory:x}:{inode:x}:{offset:x}:{moment:x}");
            let label = behind.map(|behind| behind.label.0.cast_unsigned());
            let unnamed = behind.map(|behind| u64::from(behind.has_unnamed));
            for number in [*before, label, unnamed] {
                text.push(':');
                if let Some(number) = number {
                    let _ = write!(text, "{number:x}");
                }
            }
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
        let directory = path_hash(directory);
        let place = CursorPlace::of(read_to, self.places.get(&directory).copied());
        self.places.insert(directory, place);
    }

    /// Lets a reader go on. Without the file, lines later than the last one follow; the result says
    /// what may be missing.
    pub(crate) fn apply(&self, reader: &mut DirectoryReader) -> Option<String> {
        let place = self.places.get(&path_hash(reader.directory.path()))?;
        if let Some(file) = place.find(reader) {
            reader.start_at(LinePlace { file, offset: place.offset, skip: 0 });
            return None;
        }
        reader.only_behind(place.moment);
        Some(place.missing_words(reader))
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

/// The hash of the path without links.
fn path_hash(directory: &Path) -> u64 {
    let path = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    hash(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let mut cursor = Cursor::default();
        assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        for (path, moment, text) in [("/a", None, None), ("/b", Some(Moment(5)), Some(6))] {
            let behind = text.map(|_| FilesBefore { label: Moment::MIN, has_unnamed: true });
            let read_to = ReadTo { file: (1, 2), offset: 3, moment, text, behind };
            cursor.set(Path::new(path), read_to);
        }
        assert_eq!(Cursor::parse(&format!("{}\n", cursor.text())).unwrap(), cursor);
        for wrong in [
            "",
            "c2",
            "c1;",
            "c1;1:2:3",
            "c1;1:1:1:1",
            "c1;x:1:1:1:::",
            "c1;1:1:1::::",
            "@400000000000000a00000000",
        ] {
            assert_eq!(Cursor::parse(wrong).unwrap_err().code, USAGE, "{wrong}");
        }
    }
}
