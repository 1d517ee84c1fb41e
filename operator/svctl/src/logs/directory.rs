//! A log directory: its files in the order in which they were written, and which program writes it.
//!
//! | file | meaning |
//! |---|---|
//! | `@LABEL.CODE` | finished at the moment of the label: `s`, `u`, or the code of the action `w` |
//! | `@LABEL.t` | what svlogd's processor has written so far of the file `@LABEL.u` |
//! | `previous` | full; it waits for the processor or for its final name |
//! | `processed` | what the processor makes of `previous`; it takes its place when it is complete |
//! | `current` | receives new lines |
//!
//! Another user can write to a log directory: links are not followed, and only regular files are
//! opened.

use super::local_zone::LocalZone;
use super::stamp::{Moment, StampReader, Tai};
use crate::interrupt::is_end_requested;
use daemontools_core::sorting::sort_by;
use daemontools_core::time::tai::{DIGITS, Tai64n};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, open, openat, statat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the list is read again because the logger began a new `current` meanwhile.
const ATTEMPTS: usize = 10;

/// The part of `current` whose last stamp is compared with the time of the last write.
const TAIL: u64 = 4096;

/// How many finished files show by their times which labels they have.
const WITNESSES: usize = 4;

/// The owner may execute a file that its logger has completed.
const COMPLETE: u32 = 0o100;

/// The program that writes a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogWriter {
    Multilog,
    Svlogd,
    S6Log,
    /// Plain files, or too few to tell.
    Unknown,
}

impl LogWriter {
    /// The logger that runs as a process, by its name.
    pub(crate) fn of_process(pid: u32) -> Option<Self> {
        let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
        match name.trim_ascii_end() {
            b"multilog" => Some(Self::Multilog),
            b"svlogd" => Some(Self::Svlogd),
            b"s6-log" => Some(Self::S6Log),
            _ => None,
        }
    }
}

/// What a file of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileRole {
    /// `@LABEL.CODE`.
    Finished(Moment),
    /// `previous`, or `processed` in its place.
    Previous,
    /// `current`.
    Current,
}

/// A file of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile {
    pub(crate) name: OsString,
    pub(crate) role: FileRole,
}

/// A file without a final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UnnamedFile {
    id: FileId,
    /// It has no final name yet.
    is_only_name: bool,
    is_complete: bool,
}

/// The files without a final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UnnamedFiles {
    current: Option<UnnamedFile>,
    previous: Option<UnnamedFile>,
    processed: Option<UnnamedFile>,
}

impl UnnamedFiles {
    /// The file before `current` if it has no final name. The logger removes `previous` before it gives the
    /// complete `processed` a final name.
    fn oldest(&self) -> Option<(&'static str, FileId)> {
        let (name, file) = match (self.previous, self.processed) {
            (Some(previous), _) => ("previous", previous),
            (None, processed) => ("processed", processed.filter(|file| file.is_complete)?),
        };
        file.is_only_name.then_some((name, file.id))
    }
}

/// A file whatever its name: device and inode.
pub(crate) type FileId = (u64, u64);

/// A log directory and its files at one moment.
#[derive(Debug)]
pub(crate) struct LogDirectory {
    path: PathBuf,
    fd: OwnedFd,
    pub(crate) writer: LogWriter,
    pub(crate) tai: Tai,
    /// In the order in which they were written.
    pub(crate) files: Vec<LogFile>,
    /// `current`, which stays open: the logger may rename it.
    current: Option<File>,
    /// The file of [`FileRole::Previous`], which the logger may remove.
    previous: Option<File>,
    /// How many names are read.
    most_names: usize,
    /// Whether there were more names.
    pub(crate) has_more_names: bool,
}

impl LogDirectory {
    /// Opens a directory and lists its files. `tai` is how its labels count, if the user says so;
    /// `writer` is the program that writes it, if that is known.
    pub(crate) fn open(
        path: &Path,
        tai: Option<Tai>,
        writer: Option<LogWriter>,
    ) -> io::Result<Self> {
        Self::open_limited(path, tai, writer, usize::MAX)
    }

    /// The same, with at most so many names of its files. `current` and `previous` are always found.
    pub(crate) fn open_limited(
        path: &Path,
        tai: Option<Tai>,
        writer: Option<LogWriter>,
        most_names: usize,
    ) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(path, flags, Mode::empty())?;
        let mut directory = Self {
            path: path.to_owned(),
            fd,
            writer: LogWriter::Unknown,
            tai: tai.unwrap_or_default(),
            files: Vec::new(),
            current: None,
            previous: None,
            most_names,
            has_more_names: false,
        };
        let by_files = directory.writer_by_files();
        directory.writer = writer.unwrap_or(by_files);
        directory.list()?;
        if tai.is_none() {
            directory.tai = match writer {
                Some(LogWriter::S6Log) => Tai::S6,
                Some(LogWriter::Multilog | LogWriter::Svlogd) => Tai::Djb,
                _ => directory.tai_by_times(by_files).unwrap_or(match by_files {
                    LogWriter::S6Log => Tai::S6,
                    _ => Tai::Djb,
                }),
            };
            // The names became moments before their labels were understood.
            if directory.tai == Tai::S6 {
                for file in &mut directory.files {
                    if let Some((label, _)) = split_name(file.name.as_bytes())
                        && let Some(moment) = directory.tai.moment(label)
                    {
                        file.role = FileRole::Finished(moment);
                    }
                }
            }
        }
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lists the files again.
    pub(crate) fn list(&mut self) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let before = self.unnamed_files();
            self.current = self.open_regular(OsStr::new("current"))?;
            let previous = before.oldest();
            self.previous = match previous {
                Some((name, _)) => self.open_regular(OsStr::new(name))?,
                None => None,
            };
            (self.files, self.has_more_names) = self.read_names()?;
            if let (Some((name, _)), Some(_)) = (previous, &self.previous) {
                self.files.push(LogFile { name: name.into(), role: FileRole::Previous });
            }
            if self.current.is_some() {
                self.files.push(LogFile { name: "current".into(), role: FileRole::Current });
            }
            let held = |file: &Option<File>| file.as_ref().and_then(|file| file_id(file).ok());
            if held(&self.current) == before.current.map(|found| found.id)
                && held(&self.previous) == previous.map(|(_, id)| id)
                && before == self.unnamed_files()
            {
                return Ok(());
            }
            // The logger has renamed a file: the list may lack it, or have it twice.
        }
        Ok(())
    }

    /// What the names lead to that a logger gives to files without a final name.
    fn unnamed_files(&self) -> UnnamedFiles {
        let find = |name: &str| {
            let found = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            is_regular(found.st_mode).then_some(UnnamedFile {
                id: (found.st_dev, found.st_ino),
                is_only_name: found.st_nlink == 1,
                is_complete: found.st_mode & COMPLETE != 0,
            })
        };
        UnnamedFiles {
            current: find("current").map(|found| UnnamedFile { is_complete: false, ..found }),
            previous: find("previous"),
            processed: find("processed"),
        }
    }

    /// Opens a file; `None` if it is gone or not a regular file. `current` and `previous` are those that
    /// were there when the files were listed.
    pub(crate) fn open_file(&self, file: &LogFile) -> io::Result<Option<File>> {
        match (file.role, &self.current, &self.previous) {
            (FileRole::Current, Some(current), _) | (FileRole::Previous, _, Some(current)) => {
                current.try_clone().map(Some)
            }
            _ => self.open_regular(&file.name),
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The directory whatever its path.
    pub(crate) fn id(&self) -> io::Result<FileId> {
        let found = fstat(&self.fd)?;
        Ok((found.st_dev, found.st_ino))
    }

    /// Whether the directory has been removed.
    pub(crate) fn is_removed(&self) -> io::Result<bool> {
        Ok(fstat(&self.fd)?.st_nlink == 0)
    }

    /// `current` of the list.
    pub(crate) const fn current(&self) -> Option<&File> {
        self.current.as_ref()
    }

    /// Hands over `current` of the list, which then no longer keeps a removed file alive.
    pub(crate) const fn take_current(&mut self) -> Option<File> {
        self.current.take()
    }

    /// Whether there is a complete `processed` that has no final name yet.
    pub(crate) fn has_complete_processed(&self) -> bool {
        self.unnamed_files().processed.is_some_and(|file| file.is_complete && file.is_only_name)
    }

    /// Whether a file has this name and no other.
    pub(crate) fn has_one_name(&self, name: &OsStr) -> bool {
        let found = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| found.st_nlink == 1)
    }

    /// The file of a name, whether it is open or not.
    pub(crate) fn id_of(&self, name: &OsStr) -> Option<FileId> {
        let found = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((found.st_dev, found.st_ino))
    }

    /// Opens the regular file of a name, without following a link.
    pub(crate) fn open_regular(&self, name: &OsStr) -> io::Result<Option<File>> {
        // A device may do something when it is opened, so look before.
        if !self.is_regular(name) {
            return Ok(None);
        }
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) if is_regular(fstat(&fd)?.st_mode) => Ok(Some(File::from(fd))),
            Ok(_) | Err(Errno::NOENT | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn is_regular(&self, name: &OsStr) -> bool {
        let found = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| is_regular(found.st_mode))
    }

    /// The files with a final name, the oldest first.
    pub(crate) fn finished_files(&self) -> io::Result<Vec<LogFile>> {
        self.read_names().map(|(files, _)| files)
    }

    /// The same, and whether there are more names than the limit.
    fn read_names(&self) -> io::Result<(Vec<LogFile>, bool)> {
        let mut found = Vec::new();
        let mut has_more = false;
        for (number, entry) in Dir::read_from(&self.fd)?.enumerate() {
            if number == self.most_names || is_end_requested() {
                has_more = true;
                break;
            }
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let Some((label, _)) = split_name(name) else { continue };
            let known = entry.file_type();
            let name = OsString::from_vec(name.to_vec());
            if known != FileType::RegularFile
                && (known != FileType::Unknown || !self.is_regular(&name))
            {
                continue;
            }
            if let Some(moment) = self.tai.moment(label) {
                found.push(LogFile { name, role: FileRole::Finished(moment) });
            }
        }
        // Labels have one length, so names sort as their moments.
        sort_by(&mut found, |one, other| one.name.cmp(&other.name));
        drop_copies(&mut found, self.writer);
        Ok((found, has_more))
    }

    /// The writer, by the files that it makes beside the log.
    fn writer_by_files(&self) -> LogWriter {
        let Ok(lock) = statat(&self.fd, "lock", AtFlags::SYMLINK_NOFOLLOW) else {
            return LogWriter::Unknown;
        };
        let has = |name: &str| statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if has("config") || !has("state") {
            LogWriter::Svlogd
        } else if Mode::from_raw_mode(lock.st_mode).intersects(Mode::RGRP | Mode::ROTH) {
            // multilog and svlogd make it readable for their user only.
            LogWriter::S6Log
        } else {
            LogWriter::Multilog
        }
    }

    /// How the labels count, by comparing them with the times of the files.
    fn tai_by_times(&self, by_files: LogWriter) -> Option<Tai> {
        if let Some(tai) = self.tai_by_last_line() {
            return Some(tai);
        }
        let ahead = |file: &LogFile| {
            let FileRole::Finished(moment) = file.role else { return None };
            // An interrupted file got its name later.
            if !file.name.as_bytes().ends_with(b".s") {
                return None;
            }
            let found = statat(&self.fd, &file.name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            tai_by_difference(moment, written(&found), Duration::from_millis(1500))
        };
        let votes: Vec<Tai> = self.files.iter().rev().filter_map(ahead).take(WITNESSES).collect();
        let for_s6 = votes.iter().filter(|&&tai| tai == Tai::S6).count();
        let is_other = matches!(by_files, LogWriter::Multilog | LogWriter::Svlogd);
        if for_s6 == 1 && is_other {
            // A file that got its name 27 seconds after its last line, by chance.
            return None;
        }
        (!votes.is_empty()).then_some(if for_s6 * 2 > votes.len() { Tai::S6 } else { Tai::Djb })
    }

    /// A logger writes a line soon after it has stamped it, and never before.
    fn tai_by_last_line(&self) -> Option<Tai> {
        let current = self.current.as_ref()?;
        let found = fstat(current).ok()?;
        let size = u64::try_from(found.st_size).ok()?;
        let mut tail = [0; 4096];
        let begin = size.saturating_sub(TAIL);
        let count = current.read_at(&mut tail, begin).ok()?;
        let text = tail.get(..count)?;
        let text = text.get(..memchr::memrchr(b'\n', text)?)?;
        let line = text.get(memchr::memrchr(b'\n', text).map_or(0, |at| at + 1)..)?;
        let mut reader = StampReader::new(Tai::Djb, LocalZone::utc());
        let stamped = reader.read(line).filter(|found| found.label.starts_with(b"@"))?;
        tai_by_difference(stamped.moment, written(&found), Duration::from_secs(1))
    }
}

/// Device and inode of a file.
pub(crate) fn file_id(file: &File) -> io::Result<FileId> {
    let found = fstat(file)?;
    Ok((found.st_dev, found.st_ino))
}

/// When a file was last written.
pub(crate) fn written(found: &rustix::fs::Stat) -> Moment {
    let nanoseconds = u32::try_from(found.st_mtime_nsec).unwrap_or(0);
    Moment::new(found.st_mtime, nanoseconds).unwrap_or(Moment::MAX)
}

/// How a label counts that was written down at most `later` before or after a file was written.
fn tai_by_difference(label: Moment, written: Moment, later: Duration) -> Option<Tai> {
    let is_near = |moment: Moment| moment.0.abs_diff(written.0) <= duration(later);
    let s6 = super::leap_seconds::from_s6(label.seconds());
    if is_near(label) {
        Some(Tai::Djb)
    } else if is_near(Moment::new(s6, label.nanoseconds())?) {
        Some(Tai::S6)
    } else {
        None
    }
}

fn duration(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn is_regular(mode: rustix::fs::RawMode) -> bool {
    FileType::from_raw_mode(mode) == FileType::RegularFile
}

/// The label and the code of a finished file's name.
pub(crate) fn split_name(name: &[u8]) -> Option<(Tai64n, &[u8])> {
    let label = Tai64n::from_label(name)?;
    let code = name.get(DIGITS + 1..)?.strip_prefix(b".")?;
    (!code.is_empty()).then_some((label, code))
}

/// Whether a file may end within a line that the next file continues. A logger that was killed has
/// ended `@LABEL.u` with its last line, and has not completed the file.
pub(crate) fn may_be_continued(name: &OsStr, file: &File) -> io::Result<bool> {
    let is_unprocessed = split_name(name.as_bytes()).is_some_and(|(_, code)| code == b"u");
    Ok(!is_unprocessed || fstat(file)?.st_mode & COMPLETE != 0)
}

/// Leaves one file of each label that svlogd's processor reads, writes or has written.
fn drop_copies(files: &mut Vec<LogFile>, writer: LogWriter) {
    let has = |files: &[LogFile], file: &LogFile, code: &[u8]| {
        let label = file.name.as_bytes().get(..DIGITS + 1).unwrap_or_default();
        let other = [label, b".", code].concat();
        let other = OsStr::from_bytes(&other);
        files.binary_search_by(|it| it.name.as_os_str().cmp(other)).is_ok()
    };
    if writer != LogWriter::Svlogd {
        return;
    }
    let copies: Vec<OsString> = files
        .iter()
        .filter(|file| match split_name(file.name.as_bytes()) {
            Some((_, b"t")) => has(files, file, b"u") || has(files, file, b"s"),
            Some((_, b"u")) => has(files, file, b"s"),
            _ => false,
        })
        .map(|file| file.name.clone())
        .collect();
    files.retain(|file| !copies.contains(&file.name));
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
