//! `svctl grant`: the rights of a group on the state directories of services.
//!
//! supervise makes its state directory and the FIFOs in it only if they are missing, and keeps the
//! modes of existing ones. So the rights stay when supervise starts again.

use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE, warn};
use crate::options::{CONTROL, DRY_RUN, READ, REVOKE};
use crate::output::{escape, line};
use crate::selection::{Target, all, scan_dir, select};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, chmodat, chownat, fchmod,
    fchown, fstat, fstatfs, mknodat, open, openat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use servicedir::{EntryKind, ServiceDir};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The file system type of a tmpfs, whose files end with the next boot.
const TMPFS: u64 = 0x0102_1994;

/// The modes with rights for the group. Members may list and enter the directory, and open a FIFO to
/// write. They may not read from `ok`: a service without supervise would look supervised. To learn from
/// inotify that a command was read, they have to be able to read from `control`.
const DIR_MODE: u32 = 0o750;
const OK_MODE: u32 = 0o620;
const CONTROL_MODE: u32 = 0o660;
/// The notes of the clients, with the mark of files that were made for their place.
const NOTES_MODE: u32 = 0o1664;

/// The modes that supervise chooses.
const CLOSED_DIR: u32 = 0o700;
const CLOSED_FIFO: u32 = 0o600;
const CLOSED_NOTES: u32 = 0o1644;

/// The file of the notes.
const NOTES: &str = "requests";

/// The FIFO of the commands, and its name until it is in place.
const CONTROL_FIFO: &str = "control";
const NEW_CONTROL: &str = "control.new";

/// How long to wait until supervise reads a new FIFO.
const PATIENCE: Duration = Duration::from_secs(5);

struct Group {
    id: u32,
}

/// The groups that get rights; none, to take the rights away.
struct Rights {
    read: Option<Group>,
    control: Option<Group>,
}

/// What a file is to become.
struct Change {
    shown: String,
    /// Open with `O_PATH`: nothing is read, and no FIFO gets a reader.
    file: OwnedFd,
    before: Stat,
    group: Option<u32>,
    mode: u32,
    replaced: Option<Replaced>,
}

/// A new file takes the place of this one, because a member can have the old one open. It has the state
/// directory.
enum Replaced {
    /// The file of notes. With the mode of a record the old one could later count as one.
    Notes(OwnedFd),
    /// The FIFO of the commands.
    Control(OwnedFd),
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let rights = Rights {
        read: arguments.value(READ.long).map(group).transpose()?,
        control: arguments.value(CONTROL.long).map(group).transpose()?,
    };
    let grants = rights.read.is_some() || rights.control.is_some();
    if grants == arguments.has(&REVOKE) {
        let usage = "usage: svctl grant --read GROUP | --control GROUP | --revoke [NAME...]";
        return Err(Failure::new(USAGE, usage));
    }
    let scan = scan_dir(arguments);
    let is_everything = arguments.operands.is_empty();
    let mut targets = if is_everything { all(&scan)? } else { select(&scan, &arguments.operands)? };
    if is_everything {
        targets.retain(|target| target.kind == EntryKind::Service);
    }
    let mut code = DONE;
    for target in &targets {
        for dir in [Some(target.dir.clone()), target.dir.logger()].into_iter().flatten() {
            if let Err(failure) = grant(arguments, target, &dir, &rights) {
                warn(&failure.message);
                code = CANNOT;
            }
        }
    }
    if is_everything && grants {
        line("services that are added later get no rights by this: repeat it then");
    }
    Ok(code)
}

fn grant(
    arguments: &Arguments,
    target: &Target,
    dir: &ServiceDir,
    rights: &Rights,
) -> Result<(), Failure> {
    let path = dir.state_dir();
    let shown = escape(&path.to_string_lossy());
    if rights.control.is_some() && !arguments.has(&DRY_RUN) {
        make_notes(path)
            .map_err(|e| Failure::system(format!("make {shown}/{NOTES}"), &e.into()))?;
    }
    let changes = changes(path, &shown, rights)?;
    let mut is_changed = false;
    for change in &changes {
        let Some(words) = change.words(true) else { continue };
        is_changed = true;
        if arguments.has(&DRY_RUN) {
            line(&format!("would change {}: {words}", change.shown));
            continue;
        }
        let is_replaced =
            change.make().map_err(|e| Failure::system(format!("change {}", change.shown), &e))?;
        let words = change.words(is_replaced).unwrap_or_default();
        line(&format!("{}: {words}", change.shown));
    }
    if !is_changed {
        line(&format!("{shown}: nothing to change"));
    }
    if rights.read.is_some() || rights.control.is_some() {
        note_limits(target, path, &shown, &changes);
    }
    if rights.control.is_some() && dir.path().join("essential").exists() {
        line(&format!(
            "    {} is essential: a member ends the whole svscan by a signal at which it exits by itself",
            target.shown()
        ));
    }
    Ok(())
}

/// The changes of a state directory, in an order that opens it last.
fn changes(path: &Path, shown: &str, rights: &Rights) -> Result<Vec<Change>, Failure> {
    let failure = |error: Errno| {
        if error == Errno::NOENT {
            let message =
                format!("unable to grant rights on {shown}: no supervise has run for it yet");
            return Failure::new(CANNOT, message);
        }
        Failure::system(format!("look at {shown}"), &error.into())
    };
    // Debian links the state directory to another place.
    let dir = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(failure)?;
    let dir_stat = fstat(&dir).map_err(failure)?;
    let readers = rights.read.as_ref().or(rights.control.as_ref()).map(|group| group.id);
    let controllers = rights.control.as_ref().map(|group| group.id);
    let mut changes = Vec::new();
    for (name, group, open_mode) in
        [(CONTROL_FIFO, controllers, CONTROL_MODE), ("ok", readers, OK_MODE)]
    {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&dir, name, flags, Mode::empty()).map_err(failure)?;
        let before = fstat(&file).map_err(failure)?;
        // Otherwise a link in the place of the state directory could give away another directory.
        let is_own = FileType::from_raw_mode(before.st_mode) == FileType::Fifo
            // A member can make a second name for it, which must not keep the rights from being taken.
            && (before.st_nlink == 1 || group.is_none())
            && before.st_uid == dir_stat.st_uid;
        if !is_own {
            let why = "is not a FIFO that its supervise has made";
            let message = format!("unable to grant rights on {shown}: {name} {why}");
            return Err(Failure::new(CANNOT, message));
        }
        let mode = if group.is_some() { open_mode } else { CLOSED_FIFO };
        let shown = format!("{shown}/{name}");
        let is_replaced = name == CONTROL_FIFO && is_taken_away(&before, group);
        let replaced = is_replaced.then(|| dir.try_clone().map(Replaced::Control)).transpose();
        let replaced = replaced.map_err(|e| Failure::system(format!("open {shown}"), &e))?;
        changes.push(Change { shown, file, before, group, mode, replaced });
    }
    changes.extend(notes(&dir, &dir_stat, shown, controllers)?);
    let mode = if readers.is_some() { DIR_MODE } else { CLOSED_DIR };
    let (shown, group) = (shown.to_owned(), readers);
    changes.push(Change { shown, file: dir, before: dir_stat, group, mode, replaced: None });
    Ok(changes)
}

/// Makes the file of the notes, if supervise keeps a history: a group that may only use the FIFOs cannot
/// make it.
fn make_notes(path: &Path) -> Result<(), Errno> {
    let dir = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if statat(&dir, "history", AtFlags::SYMLINK_NOFOLLOW).is_err() {
        return Ok(());
    }
    match new_notes(&dir) {
        Err(Errno::EXIST) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Makes the file of the notes, closed.
fn new_notes(dir: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(dir, NOTES, flags, Mode::from_raw_mode(CLOSED_NOTES))?;
    let owner = Uid::from_raw(fstat(dir)?.st_uid);
    fchown(&file, Some(owner), None)?;
    Ok(file)
}

/// The change of the file of the notes, if it exists.
fn notes(
    dir: &OwnedFd,
    dir_stat: &Stat,
    shown: &str,
    group: Option<u32>,
) -> Result<Option<Change>, Failure> {
    let shown = format!("{shown}/{NOTES}");
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let look = |error: Errno| Failure::system(format!("look at {shown}"), &error.into());
    let file = match openat(dir, NOTES, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(look)?,
    };
    let before = fstat(&file).map_err(look)?;
    let is_own = FileType::from_raw_mode(before.st_mode) == FileType::RegularFile
        && before.st_nlink == 1
        && before.st_mode & 0o1000 != 0
        && before.st_uid == dir_stat.st_uid;
    let mode = if group.is_some() { NOTES_MODE } else { CLOSED_NOTES };
    let is_replaced = !is_own || is_taken_away(&before, group);
    let replaced = is_replaced.then(|| dir.try_clone().map(Replaced::Notes)).transpose();
    let replaced = replaced.map_err(|e| Failure::system(format!("open {shown}"), &e))?;
    Ok(Some(Change { shown, file, before, group, mode, replaced }))
}

/// Whether a group that could write a file loses that right.
fn is_taken_away(before: &Stat, group: Option<u32>) -> bool {
    before.st_mode & 0o020 != 0 && group != Some(before.st_gid)
}

impl Change {
    /// The change in words; `None` if the file is right already. `is_replaced` says whether a new file
    /// takes the place of one that is to be replaced.
    fn words(&self, is_replaced: bool) -> Option<String> {
        let mut words = Vec::new();
        let (group, mode) = (self.before.st_gid, self.before.st_mode & 0o7777);
        if let Some(new) = self.group.filter(|new| *new != group) {
            words.push(format!("group {} -> {}", group_name(group), group_name(new)));
        }
        if mode != self.mode {
            words.push(format!("mode {mode:04o} -> {:04o}", self.mode));
        }
        match self.replaced.as_ref().filter(|_| is_replaced) {
            Some(Replaced::Notes(_)) => words.push("a new file".to_owned()),
            Some(Replaced::Control(_)) => words.push("a new FIFO".to_owned()),
            None => {}
        }
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// Makes the change. Returns false if the old FIFO has to stay in its place.
    fn make(&self) -> io::Result<bool> {
        let mut is_replaced = true;
        if let Some(Replaced::Control(dir)) = &self.replaced {
            is_replaced = self.replace_control(dir)?;
            if is_replaced {
                return Ok(true);
            }
        }
        if let Some(Replaced::Notes(dir)) = &self.replaced {
            unlinkat(dir, NOTES, AtFlags::empty())?;
            let file = new_notes(dir)?;
            if let Some(group) = self.group {
                fchown(&file, None, Some(Gid::from_raw(group)))?;
            }
            // The umask may have taken rights away.
            fchmod(&file, Mode::from_raw_mode(self.mode))?;
            return Ok(true);
        }
        if let Some(group) = self.group.filter(|new| *new != self.before.st_gid) {
            // The group that follows gets none of the rights of the earlier one.
            self.set_mode(self.before.st_mode & 0o700)?;
            chownat(&self.file, "", None, Some(Gid::from_raw(group)), AtFlags::EMPTY_PATH)?;
        }
        self.set_mode(self.mode)?;
        Ok(is_replaced)
    }

    /// Puts a new FIFO in the place of `control`, and waits until supervise reads it. Returns false, and
    /// leaves the old one, if the file system or supervise cannot do that.
    fn replace_control(&self, dir: &OwnedFd) -> io::Result<bool> {
        match unlinkat(dir, NEW_CONTROL, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        mknodat(dir, NEW_CONTROL, FileType::Fifo, Mode::from_raw_mode(CLOSED_FIFO), 0)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = openat(dir, NEW_CONTROL, flags, Mode::empty())?;
        let found = fstat(&new)?;
        let is_new = FileType::from_raw_mode(found.st_mode) == FileType::Fifo
            && found.st_nlink == 1
            && found.st_uid == geteuid().as_raw();
        // The owner of the directory may have put another file of ours there, to get it.
        if !is_new {
            return Err(io::Error::other("another file has taken the place of control.new"));
        }
        let owner = Some(Uid::from_raw(self.before.st_uid));
        let group = Gid::from_raw(self.group.unwrap_or(self.before.st_gid));
        chownat(&new, "", owner, Some(group), AtFlags::EMPTY_PATH)?;
        set_mode(&new, self.mode)?;
        let exchange = || renameat_with(dir, NEW_CONTROL, dir, CONTROL_FIFO, RenameFlags::EXCHANGE);
        let mut is_read = false;
        let exchanged = exchange();
        if exchanged.is_ok() {
            is_read = self.wait_for_reader(&new);
            if !is_read {
                exchange()?;
            }
        }
        unlinkat(dir, NEW_CONTROL, AtFlags::empty())?;
        if !is_read {
            warn(&format!(
                "{}: a member that has it open can send commands until supervise starts again",
                self.shown
            ));
        }
        Ok(is_read)
    }

    /// Waits until supervise reads a new FIFO. It looks for one when it gets something by the old one,
    /// here bytes that mean nothing. Also returns true if there is no supervise.
    fn wait_for_reader(&self, new: &OwnedFd) -> bool {
        let writer = |fifo: &OwnedFd| {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            open(own_path(fifo), flags, Mode::empty())
        };
        let Ok(old) = writer(&self.file) else { return true };
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            // As much as fits: a member may read the FIFO as well, and without a pause.
            let _ = (0..64).try_for_each(|_| rustix::io::write(&old, &[b'\n'; 4096]).map(drop));
            if writer(new).is_ok() {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Sets the mode of the open file: the name may lead to another file by now.
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        set_mode(&self.file, mode)
    }
}

fn set_mode(file: &OwnedFd, mode: u32) -> io::Result<()> {
    Ok(chmodat(CWD, own_path(file), Mode::from_raw_mode(mode), AtFlags::empty())?)
}

/// The path of a descriptor of this process.
fn own_path(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Says what takes the rights away again, or keeps them from being useful.
fn note_limits(target: &Target, path: &Path, shown: &str, changes: &[Change]) {
    let dir = changes.last().map(|change| &change.file);
    if dir.and_then(|dir| fstatfs(dir).ok()).is_some_and(|found| found.f_type as u64 == TMPFS) {
        line(&format!("    {shown} is in memory: grant the rights again after each boot"));
    }
    let is_hidden = |file: &str| {
        dir.and_then(|dir| statat(dir, file, AtFlags::SYMLINK_NOFOLLOW).ok())
            .is_some_and(|found| found.st_mode & 0o004 == 0)
    };
    if let Some(file) = ["status", "state", "history"].into_iter().find(|file| is_hidden(file)) {
        let file = path.join(file);
        warn(&format!(
            "the group may not read {}: the umask of the supervise of {} hides it (start svscan with umask 022)",
            escape(&file.to_string_lossy()),
            target.shown()
        ));
    }
}

/// The lines of /etc/group, as fields.
fn groups() -> io::Result<Vec<Vec<Vec<u8>>>> {
    let text = fs::read("/etc/group")?;
    let fields = |line: &[u8]| line.split(|&byte| byte == b':').map(<[u8]>::to_vec).collect();
    Ok(text.split(|&byte| byte == b'\n').map(fields).collect())
}

fn number(text: &[u8]) -> Option<u32> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// A group by its name in /etc/group, or by its number.
fn group(word: &OsStr) -> Result<Group, Failure> {
    let groups = groups().map_err(|e| Failure::system("read /etc/group", &e))?;
    let found = groups.iter().find(|fields| fields.first().is_some_and(|it| it == word.as_bytes()));
    let id = found.and_then(|fields| number(fields.get(2)?)).or_else(|| number(word.as_bytes()));
    let id = id.ok_or_else(|| {
        let name = escape(&word.to_string_lossy());
        let remedy = "groupadd makes one, and the number of a group of another source may be given";
        Failure::new(CANNOT, format!("unable to find group {name} in /etc/group ({remedy})"))
    })?;
    Ok(Group { id })
}

/// The name of a group, or its number.
fn group_name(id: u32) -> String {
    let groups = groups().unwrap_or_default();
    let found = groups.iter().find(|fields| fields.get(2).and_then(|it| number(it)) == Some(id));
    let name = found.and_then(|fields| fields.first());
    name.map_or_else(|| id.to_string(), |name| escape(&String::from_utf8_lossy(name)))
}
