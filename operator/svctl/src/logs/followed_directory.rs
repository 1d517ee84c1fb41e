//! Which files of a followed directory were begun since the last look, in order.
//!
//! A logger writes one file after the other, all under the name `current`. Each gets one final name
//! in the end: at once, or after it was `previous`, or a processor makes another file of it. So the
//! order of the labels is the order of the files. The file that was `current` before is recognised
//! by its inode. If a processor has replaced it, its label is the next one to appear; a complete
//! `processed` gets it soon, and counts as if it had it.

use super::compression::Compression;
use super::directory::{
    FileId, FileRole, LogDirectory, LogFile, file_id, may_be_continued, split_name,
};
use super::directory_reader::BegunLine;
use super::file_queue::{FileQueue, FollowedPlace};
use super::follow_event::FollowEvent;
use super::known_labels::KnownLabels;
use super::read_budget::ReadBudget;
use super::read_place::{FilesBefore, ReadTo};
use super::stamp::Moment;
use daemontools_core::sorting::sort;
use daemontools_core::time::tai::Tai64n;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::mem::take;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;

/// With so many files to read, no further ones are looked for.
const MOST_QUEUED: usize = 16;

/// The most names that are kept until there is room for their files.
const MOST_NAMES: usize = 1024;

/// How much of two files is compared to find out whether they have the same lines.
const COMPARED: usize = 4096;

/// How much of a compressed file is read to compare it.
const COMPARED_INPUT: u64 = 1024 * 1024;

/// What a processor has made, before it has a final name.
const PROCESSED: &str = "processed";

/// The longest begun line at the end of a file whose begin is looked for.
const LONGEST_BEGUN: usize = 64 * 1024;

/// A finished file with a new name.
#[derive(Clone, Debug)]
struct NewName {
    name: OsString,
    /// `None`: it is gone already.
    id: Option<FileId>,
}

/// What the names of a directory lead to at one moment.
#[derive(Debug)]
pub(crate) struct NamedFiles {
    current: Option<(File, FileId)>,
    previous: Option<(File, FileId)>,
    /// `processed`, if it is complete: the logger has removed `previous`, and gives it a final name next.
    processed: Option<(File, FileId)>,
    /// `previous` or `processed` has no final name yet.
    in_flight: bool,
    finished: Vec<LogFile>,
}

/// A directory, and what is to be read of it.
pub(crate) struct FollowedDirectory {
    directory: LogDirectory,
    queue: FileQueue,
    known: KnownLabels,
    /// New names of finished files, in the order of their appearance.
    appeared: Vec<OsString>,
    /// The names may lead to other files than at the last look.
    names_changed: bool,
    /// Names may have appeared and gone without an event.
    events_lost: bool,
    /// Names have appeared that were not kept: nothing is read, or too slowly.
    names_dropped: bool,
    /// A file older than the last one of the queue has no final name yet.
    in_flight: bool,
    /// `previous`, if it is older than the queue or was in it.
    old_previous: Option<FileId>,
}

impl FollowedDirectory {
    /// Follows a directory behind its listed files and the first bytes of `current`, which may continue a
    /// line.
    pub(crate) fn behind(
        mut directory: LogDirectory,
        offset: u64,
        begun: Option<BegunLine>,
    ) -> io::Result<Self> {
        let current = directory.take_current();
        let mut followed = Self::of(directory);
        followed.queue = begun.map(FileQueue::behind).unwrap_or_default();
        for label in followed.directory.files.iter().filter_map(label_of) {
            followed.known.insert(label);
        }
        if let Some(current) = current {
            let previous = followed.directory.id_of(OsStr::new("previous"));
            let now = followed.directory.id_of(OsStr::new("current"));
            if now == Some(file_id(&current)?) {
                followed.old_previous = previous;
            }
            let had_previous = |file: &LogFile| file.role == FileRole::Previous;
            followed.in_flight = followed.directory.files.iter().any(had_previous);
            followed.queue.push_open("current", current, offset);
            followed.queue.set_live(true);
        }
        Ok(followed)
    }

    /// Follows a directory from its oldest line.
    pub(crate) fn from_beginning(mut directory: LogDirectory) -> Self {
        drop(directory.take_current());
        Self::of(directory)
    }

    /// Follows a directory from its present end: from the line that is being written now, if any.
    pub(crate) fn from_now(directory: LogDirectory) -> io::Result<Self> {
        let end = directory.current().map(end_of_lines).transpose()?.unwrap_or(0);
        let begun = if end == 0 { begun_line(&directory)? } else { None };
        Self::behind(directory, end, begun)
    }

    fn of(directory: LogDirectory) -> Self {
        Self {
            directory,
            queue: FileQueue::default(),
            known: KnownLabels::default(),
            appeared: Vec::new(),
            names_changed: true,
            events_lost: true,
            names_dropped: false,
            in_flight: false,
            old_previous: None,
        }
    }

    pub(crate) const fn directory(&self) -> &LogDirectory {
        &self.directory
    }

    /// The file that is being read, and where its next line begins. `moment` is that of the last line.
    pub(crate) fn place(&self, moment: Option<Moment>) -> Option<ReadTo> {
        let FollowedPlace { file, offset, text, is_live } = self.queue.place(&self.directory)?;
        // A new name may be that of the file that has none yet.
        let behind = (is_live && !self.names_changed).then(|| FilesBefore {
            label: self
                .known
                .newest()
                .and_then(|label| self.directory.tai.moment(label))
                .unwrap_or(Moment::MIN),
            has_unnamed: self.in_flight,
        });
        Some(ReadTo { file, offset, moment, text, behind })
    }

    /// Takes note of an event of the directory.
    pub(crate) fn note_name(&mut self, name: &OsStr, is_new: bool) {
        if name == "current" {
            self.names_changed = true;
        } else if name == "previous" {
            self.names_changed = true;
            if is_new {
                self.old_previous = None;
            }
        } else if is_new
            && let Some((label, code)) = split_name(name.as_bytes())
            // svlogd's processor writes a file of a known label.
            && code != b"t"
        {
            self.names_changed = true;
            if self.known.insert(label) {
                self.remember(name.to_owned());
            }
        }
    }

    fn remember(&mut self, name: OsString) {
        if self.appeared.len() == MOST_NAMES {
            self.appeared.clear();
            self.names_dropped = true;
        }
        self.appeared.push(name);
    }

    /// Takes note of lost events.
    pub(crate) const fn note_overflow(&mut self) {
        self.names_changed = true;
        self.events_lost = true;
    }

    /// Whether the names have changed since the last look.
    pub(crate) const fn has_new_names(&self) -> bool {
        self.names_changed
    }

    /// Whether there is room in the queue for further files.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < MOST_QUEUED
    }

    /// Opens the files of all names. The caller reads the events then, and gives the result to
    /// [`Self::settle`] unless a name has changed meanwhile.
    pub(crate) fn look(&mut self) -> io::Result<NamedFiles> {
        self.names_changed = false;
        // The next look tries again what has failed now.
        self.named_files().inspect_err(|_| self.names_changed = true)
    }

    fn named_files(&self) -> io::Result<NamedFiles> {
        let open = |name: &str| {
            let file = self.directory.open_regular(OsStr::new(name))?;
            file.map(|file| file_id(&file).map(|id| (file, id))).transpose()
        };
        let (current, previous) = (open("current")?, open("previous")?);
        let is_complete = previous.is_none() && self.directory.has_complete_processed();
        Ok(NamedFiles {
            current,
            previous,
            processed: if is_complete { open("processed")? } else { None },
            in_flight: ["previous", PROCESSED].iter().any(|name| self.is_unnamed(name)),
            // The last step: the kernel lists a directory only when a change of its names is
            // complete and has become an event.
            finished: self.directory.finished_files()?,
        })
    }

    /// Whether there is a file of this name that gets its final name later. multilog links the final
    /// name before it removes this one.
    fn is_unnamed(&self, name: &str) -> bool {
        self.directory.has_one_name(OsStr::new(name))
    }

    /// Appends the files to the queue that were begun since the last look.
    pub(crate) fn settle(&mut self, names: NamedFiles) -> io::Result<()> {
        let NamedFiles { current, previous, processed, in_flight, finished } = names;
        let mut has_older = false;
        let mut has_unnoted = false;
        for file in finished {
            let Some(label) = label_of(&file) else { continue };
            if self.known.insert(label) {
                has_unnoted = true;
                self.remember(file.name);
            } else {
                has_older |= !self.appeared.contains(&file.name);
            }
        }
        if has_unnoted {
            // A name without an event is older than the watch, and so than the names with one.
            sort(&mut self.appeared);
        }
        // Between two names, or no logger has run yet.
        let Some((current, current_id)) = current else { return Ok(()) };
        let previous_id = previous.as_ref().map(|(_, id)| *id);
        if previous_id == Some(current_id) {
            // The logger has renamed it between the two calls.
            self.names_changed = true;
            return Ok(());
        }
        let appeared = take(&mut self.appeared).into_iter();
        let appeared = appeared.map(|name| NewName { id: self.directory.id_of(&name), name });
        // `current` of a killed logger gets its final name before it loses this one. It is newer
        // than the other finished files.
        let (present, mut appeared): (Vec<NewName>, Vec<NewName>) =
            appeared.partition(|new| new.id == Some(current_id));
        self.appeared = present.into_iter().map(|new| new.name).collect();
        appeared.extend(
            processed.as_ref().map(|(_, id)| NewName { name: PROCESSED.into(), id: Some(*id) }),
        );
        let is_named = |id: FileId| appeared.iter().any(|new| new.id == Some(id));
        let held = self.queue.live_id()?;
        if held != Some(current_id) {
            let unread = self.newer_than_held(&appeared, held, previous_id, has_older)?;
            let mut is_behind_gap = take(&mut self.names_dropped) || unread.is_behind_gap;
            let mut processed = processed.map(|(file, _)| file);
            for new in appeared.iter().skip(unread.begin) {
                // Opened already: it can have another name by now.
                let file = if new.name == PROCESSED { processed.take() } else { None };
                self.queue.push_finished(new.name.clone(), file, take(&mut is_behind_gap));
            }
            if let Some((file, id)) = previous
                && ![held, self.old_previous].contains(&Some(id))
                && !is_named(id)
            {
                self.queue.push_open("previous", file, 0);
            }
            self.queue.push_open("current", current, 0);
            self.queue.set_live(true);
            self.queue.hold(&self.directory);
        }
        self.in_flight = in_flight;
        self.old_previous = previous_id;
        self.events_lost = false;
        Ok(())
    }

    /// Finds the file that was `current` at the last look among the new names.
    fn newer_than_held(
        &mut self,
        appeared: &[NewName],
        held: Option<FileId>,
        previous: Option<FileId>,
        has_older: bool,
    ) -> io::Result<Unread> {
        let older = usize::from(self.in_flight);
        let behind = |begin: usize| Unread { begin, is_behind_gap: false };
        if held.is_none() {
            return Ok(behind(older));
        }
        if previous == held {
            return Ok(behind(appeared.len()));
        }
        if let Some(at) = appeared.iter().position(|new| new.id == held) {
            if let Some(new) = appeared.get(at) {
                self.queue.name_live(&new.name)?;
            }
            return Ok(behind(at + 1));
        }
        // A processor has replaced the file, or the logger has removed it.
        if self.events_lost {
            if let Some(at) = self.position_of_copy(appeared)? {
                return Ok(behind(at + 1));
            }
            if !has_older {
                // A logger removes the oldest files first. None of them is left, so newer ones may
                // be gone too.
                return Ok(Unread { begin: 0, is_behind_gap: !appeared.is_empty() });
            }
        }
        Ok(behind(older + 1))
    }

    /// The file that begins with the same lines as the held one.
    fn position_of_copy(&self, appeared: &[NewName]) -> io::Result<Option<usize>> {
        let Some(held) = self.queue.live() else { return Ok(None) };
        let mut wanted = vec![0; COMPARED];
        let count = held.read_at(&mut wanted, 0)?;
        wanted.truncate(count);
        if wanted.is_empty() {
            return Ok(None);
        }
        for (at, new) in appeared.iter().enumerate() {
            let Some(file) = self.directory.open_regular(&new.name)? else { continue };
            let mut begin = Vec::new();
            // A file that cannot be decompressed is no copy.
            let read = match Compression::of(&file)? {
                Some(compression) => compression
                    .read(file, &ReadBudget::of_bytes(COMPARED_INPUT))
                    .and_then(|text| text.take(COMPARED as u64).read_to_end(&mut begin)),
                None => file.take(COMPARED as u64).read_to_end(&mut begin),
            };
            // The held file may have grown meanwhile.
            if read.is_ok() && begin.starts_with(&wanted) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Passes on what can be read now. Returns whether there is more.
    pub(crate) fn read(
        &mut self,
        room: &mut [u8],
        sink: &mut impl FnMut(FollowEvent<'_>),
    ) -> io::Result<bool> {
        self.queue.read(&self.directory, room, sink)
    }

    /// Reads the files that are known to their ends: the directory has gone.
    pub(crate) fn finish(
        &mut self,
        room: &mut [u8],
        sink: &mut impl FnMut(FollowEvent<'_>),
    ) -> io::Result<()> {
        self.queue.set_live(false);
        while self.queue.read(&self.directory, room, sink)? {}
        self.queue.end_line(sink);
        Ok(())
    }
}

/// The new names from `begin` on are unread.
struct Unread {
    begin: usize,
    is_behind_gap: bool,
}

fn label_of(file: &LogFile) -> Option<Tai64n> {
    split_name(file.name.as_bytes()).map(|(label, _)| label)
}

/// The line that `current` continues from its first byte on. The beginning of a long one, or one in a
/// compressed file, is not looked for.
fn begun_line(directory: &LogDirectory) -> io::Result<Option<BegunLine>> {
    let mut files = directory.files.iter().rev().filter(|file| file.role != FileRole::Current);
    let Some(last) = files.next() else { return Ok(None) };
    let Some(file) = directory.open_file(last)? else { return Ok(None) };
    if !may_be_continued(&last.name, &file)? || Compression::of(&file)?.is_some() {
        return Ok(None);
    }
    let offset = end_of_lines(&file)?;
    let mut text = vec![0; LONGEST_BEGUN];
    let count = file.read_at(&mut text, offset)?;
    text.truncate(count);
    Ok((!text.is_empty()).then_some(BegunLine { text, file: file_id(&file)?, offset }))
}

/// Where the line begins that has no end yet.
fn end_of_lines(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut tail = vec![0; LONGEST_BEGUN];
    let begin = size.saturating_sub(LONGEST_BEGUN as u64);
    let count = file.read_at(&mut tail, begin)?;
    tail.truncate(count);
    // A longer line is shown from here on.
    Ok(match memchr::memrchr(b'\n', &tail) {
        Some(at) => begin + at as u64 + 1,
        None if begin == 0 => 0,
        None => size,
    })
}
