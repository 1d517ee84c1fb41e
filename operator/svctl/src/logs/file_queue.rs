//! The files of a followed directory that are still to be read, the oldest first.

use super::compression::Compression;
use super::directory::{FileId, LogDirectory, file_id, may_be_continued, split_name};
use super::directory_reader::BegunLine;
use super::follow_event::{FollowEvent, MissingLines};
use super::line_assembly::{LineAssembly, LinePiece};
use super::read_budget::ReadBudget;
use super::read_place::hash_before;
use crate::interrupt::is_end_requested;
use daemontools_core::time::tai::Tai64n;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;

/// How many finished files are held open until it is their turn: the logger may remove them.
const MOST_HELD: usize = 8;

/// How much is read of one directory before the others have their turn.
const TURN: usize = 256 * 1024;

/// A file of the queue.
struct QueuedFile {
    name: OsString,
    /// `None`: not opened yet.
    file: Option<File>,
    /// How much was read.
    offset: u64,
    /// The text of a file that a processor has compressed. It is read from the beginning.
    text: Option<Box<dyn Read>>,
    /// A KILL has ended the file. Its last line may have no end.
    is_interrupted: bool,
    /// Between this file and the one before, there may have been others.
    is_behind_gap: bool,
}

/// A place in a followed directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FollowedPlace {
    pub(crate) file: FileId,
    pub(crate) offset: u64,
    /// The hash of the text before, if it is known.
    pub(crate) text: Option<u64>,
    /// The file is `current`.
    pub(crate) is_live: bool,
}

/// The queue.
#[derive(Default)]
pub(crate) struct FileQueue {
    files: VecDeque<QueuedFile>,
    /// The last file is `current`.
    is_live: bool,
    lines: LineAssembly,
    /// Where the line without an end begins, if that is in a file before those of the queue.
    begun_at: Option<(FileId, u64)>,
}

impl FileQueue {
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// A queue whose first file continues a line.
    pub(crate) fn behind(begun: BegunLine) -> Self {
        Self {
            lines: LineAssembly::of_begun(begun.text),
            begun_at: Some((begun.file, begun.offset)),
            ..Self::default()
        }
    }

    /// Appends a finished file, which may be open already.
    pub(crate) fn push_finished(
        &mut self,
        name: OsString,
        file: Option<File>,
        is_behind_gap: bool,
    ) {
        let mut queued = QueuedFile { is_behind_gap, ..QueuedFile::new(name, None) };
        // An error is reported when it is the file's turn.
        let _ = file.map(|file| queued.begin(file));
        self.files.push_back(queued);
    }

    /// Appends a file without a final name.
    pub(crate) fn push_open(&mut self, name: &str, file: File, offset: u64) {
        self.files.push_back(QueuedFile { offset, ..QueuedFile::new(name.into(), Some(file)) });
    }

    /// Whether the last file is `current`, to which the logger writes.
    pub(crate) const fn set_live(&mut self, is_live: bool) {
        self.is_live = is_live;
    }

    /// The file that was `current` at the last look.
    pub(crate) fn live(&self) -> Option<&File> {
        self.files.back().filter(|_| self.is_live)?.file.as_ref()
    }

    pub(crate) fn live_id(&self) -> io::Result<Option<FileId>> {
        self.live().map(file_id).transpose()
    }

    /// The file that is being read, and where its next line begins.
    pub(crate) fn place(&self, directory: &LogDirectory) -> Option<FollowedPlace> {
        if let Some((file, offset)) = self.begun_at {
            return Some(FollowedPlace { file, offset, text: None, is_live: false });
        }
        let first = self.files.front()?;
        let offset = first.offset.saturating_sub(self.lines.begun_length());
        let plain = first.file.as_ref().filter(|_| first.text.is_none());
        Some(FollowedPlace {
            file: first.id(directory)?,
            offset,
            text: plain.and_then(|file| hash_before(file, offset).ok()?),
            is_live: self.is_live && self.files.len() == 1,
        })
    }

    /// Takes note of the final name of the file that was `current`.
    pub(crate) fn name_live(&mut self, name: &OsStr) -> io::Result<()> {
        if let Some(live) = self.files.back_mut().filter(|_| self.is_live)
            && let Some(file) = &live.file
        {
            live.is_interrupted = !may_be_continued(name, file)?;
        }
        Ok(())
    }

    /// Opens the next files, before the logger removes them.
    pub(crate) fn hold(&mut self, directory: &LogDirectory) {
        for queued in self.files.iter_mut().take(MOST_HELD) {
            // An error is reported when it is the file's turn.
            let _ = queued.open(directory);
        }
    }

    /// Passes on what can be read now, and at most [`TURN`] bytes. Returns whether there is more.
    pub(crate) fn read(
        &mut self,
        directory: &LogDirectory,
        room: &mut [u8],
        sink: &mut impl FnMut(FollowEvent<'_>),
    ) -> io::Result<bool> {
        let mut left = TURN;
        while left > 0 && !is_end_requested() {
            if !self.open_first(directory, sink)? {
                return Ok(false);
            }
            let is_last = self.files.len() == 1 && self.is_live;
            let Some(first) = self.files.front_mut() else { return Ok(false) };
            let count = match first.read(room) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let name = first.name.clone();
                    self.report_gap(MissingLines::Unreadable { name: &name, error }, sink);
                    if is_last {
                        return Ok(false);
                    }
                    self.files.pop_front();
                    continue;
                }
            };
            left = left.saturating_sub(count);
            if count > 0 {
                let block = room.get(..count).unwrap_or_default();
                let grown = self.lines.begun_length() + block.len() as u64;
                self.lines.add(block, &mut |piece| sink(event(piece)));
                if self.lines.begun_length() != grown {
                    self.begun_at = None;
                }
            } else if is_end_requested() {
                // The rest of the file is there, and was not read.
                return Ok(false);
            } else if !is_last {
                if first.is_interrupted {
                    self.end_line(sink);
                } else if self.begun_at.is_none() && self.lines.begun_length() > 0 {
                    let begun = first.offset.saturating_sub(self.lines.begun_length());
                    self.begun_at = first.id(directory).map(|id| (id, begun));
                }
                self.files.pop_front();
            } else if first.is_truncated()? {
                first.offset = 0;
                self.report_gap(MissingLines::Truncated, sink);
            } else {
                return Ok(false);
            }
        }
        Ok(!is_end_requested())
    }

    /// Passes on the begin of a last line that gets no end any more.
    pub(crate) fn end_line(&mut self, sink: &mut impl FnMut(FollowEvent<'_>)) {
        self.lines.end(&mut |piece| sink(event(piece)));
        self.begun_at = None;
    }

    /// Opens the first file that still exists. Returns whether there is one.
    fn open_first(
        &mut self,
        directory: &LogDirectory,
        sink: &mut impl FnMut(FollowEvent<'_>),
    ) -> io::Result<bool> {
        let mut removed: (usize, Option<Tai64n>) = (0, None);
        let found = loop {
            let Some(first) = self.files.front_mut().filter(|_| !is_end_requested()) else {
                break false;
            };
            let is_behind_gap = std::mem::take(&mut first.is_behind_gap);
            if is_behind_gap {
                self.report_gap(MissingLines::Unknown, sink);
                continue;
            }
            match first.open(directory) {
                Ok(true) => break true,
                Ok(false) => {
                    removed.0 += 1;
                    removed.1 = split_name(first.name.as_bytes()).map(|(label, _)| label);
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let name = first.name.clone();
                    self.report_gap(MissingLines::Unreadable { name: &name, error }, sink);
                }
                Err(error) => return Err(error),
            }
            self.files.pop_front();
        };
        if let (files @ 1.., last) = removed {
            self.report_gap(MissingLines::Removed { files, last }, sink);
        }
        Ok(found)
    }

    /// No line continues behind missing lines.
    fn report_gap(&mut self, missing: MissingLines<'_>, sink: &mut impl FnMut(FollowEvent<'_>)) {
        self.end_line(sink);
        sink(FollowEvent::Missing(missing));
    }
}

impl QueuedFile {
    const fn new(name: OsString, file: Option<File>) -> Self {
        let (offset, text) = (0, None);
        Self { name, file, offset, text, is_interrupted: false, is_behind_gap: false }
    }

    fn id(&self, directory: &LogDirectory) -> Option<FileId> {
        match &self.file {
            Some(file) => file_id(file).ok(),
            None => directory.id_of(&self.name),
        }
    }

    /// Reads on; returns 0 at the present end.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = match (&mut self.text, &self.file) {
            (Some(text), _) => text.read(room)?,
            (None, Some(file)) => file.read_at(room, self.offset)?,
            (None, None) => 0,
        };
        self.offset += count as u64;
        Ok(count)
    }

    fn is_truncated(&self) -> io::Result<bool> {
        Ok(match &self.file {
            Some(file) => file.metadata()?.len() < self.offset,
            None => false,
        })
    }

    /// Opens the file, unless that was done. Returns `false` if the file is gone.
    fn open(&mut self, directory: &LogDirectory) -> io::Result<bool> {
        if self.file.is_some() {
            return Ok(true);
        }
        let mut found = directory.open_regular(&self.name)?;
        if found.is_none()
            && let Some(name) = other_name(directory, &self.name)?
        {
            found = directory.open_regular(&name)?;
            self.name = name;
        }
        found.map(|file| self.begin(file)).transpose().map(|begun| begun.is_some())
    }

    /// Begins to read a complete file.
    fn begin(&mut self, file: File) -> io::Result<()> {
        self.is_interrupted = !may_be_continued(&self.name, &file)?;
        let compression = Compression::of(&file)?;
        let text = compression
            .map(|compression| compression.read(file.try_clone()?, &ReadBudget::unlimited()));
        self.text = text.transpose()?;
        self.file = Some(file);
        Ok(())
    }
}

/// The name with another code that a file got from svlogd: `@LABEL.s` in place of `@LABEL.u`.
fn other_name(directory: &LogDirectory, name: &OsStr) -> io::Result<Option<OsString>> {
    let Some((label, _)) = split_name(name.as_bytes()) else { return Ok(None) };
    let files = directory.finished_files()?;
    let other = files.into_iter().map(|file| file.name).find(|other| {
        split_name(other.as_bytes()).is_some_and(|(same, code)| same == label && code != b"t")
    });
    Ok(other)
}

const fn event(piece: LinePiece<'_>) -> FollowEvent<'_> {
    match piece {
        LinePiece::Part(part) => FollowEvent::Part(part),
        LinePiece::Line(line) => FollowEvent::Line(line),
    }
}
