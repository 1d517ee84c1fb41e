//! The processes of the system as /proc shows them, and what those of one service use.

use daemontools_core::sorting::sort;
use rustix::fs::{Mode, OFlags, open};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::iter::Sum;
use std::time::Duration;

/// The unit of times in /proc, in milliseconds: `USER_HZ` is 100 on every supported processor.
const TICK: u64 = 10;

/// More than the length of a file `stat`: 52 fields and a name.
const STAT_LEN: usize = 2048;

/// A process, from `/proc/PID/stat` (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The id of its parent.
    pub parent: u32,
    /// The name of its program, at most 15 bytes.
    pub name: String,
    /// Its state: `R`, `S`, `D`, `T`, `Z` and others.
    pub state: char,
    /// Its process group.
    pub group: u32,
    /// The device number of its terminal, or 0 without one.
    pub terminal: u32,
    /// The time from the boot to its start.
    pub started: Duration,
    /// What it uses.
    pub usage: Usage,
}

impl Process {
    /// The process with this id; `None` if it has ended.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let path = format!("/proc/{pid}/stat");
        let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut room = [0; STAT_LEN];
        let count = rustix::io::read(file, &mut room).ok()?;
        let stat = String::from_utf8_lossy(room.get(..count)?);
        parse(&stat, rustix::param::page_size() as u64)
    }

    /// The ids of the children of a process, in their order; empty if it has ended, and for a kernel that
    /// does not list them.
    #[must_use]
    pub fn child_ids(pid: u32) -> Vec<u32> {
        children_of(pid)
    }
}

/// What processes use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The number of processes.
    pub processes: usize,
    /// Memory that they have in RAM, in bytes. Pages that processes share count for each.
    pub memory: u64,
    /// The processor time of the living processes and of the children they have reaped.
    pub processor: Duration,
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            processes: sum.processes + one.processes,
            memory: sum.memory + one.memory,
            processor: sum.processor + one.processor,
        })
    }
}

/// The processes of the system at one moment.
#[derive(Clone, Debug, Default)]
pub struct ProcessTable {
    all: HashMap<u32, Process>,
    children: HashMap<u32, Vec<u32>>,
}

impl FromIterator<Process> for ProcessTable {
    fn from_iter<I: IntoIterator<Item = Process>>(processes: I) -> Self {
        let mut table = Self::default();
        for process in processes {
            table.children.entry(process.parent).or_default().push(process.pid);
            table.all.insert(process.pid, process);
        }
        for children in table.children.values_mut() {
            sort(children);
        }
        table
    }
}

impl ProcessTable {
    /// Reads /proc. Processes that end meanwhile are left out.
    ///
    /// # Errors
    /// The errors of reading /proc.
    pub fn read() -> io::Result<Self> {
        Ok(Self::pids()?.into_iter().filter_map(Process::read).collect())
    }

    /// The ids of all processes, for a caller that reads them in several threads.
    ///
    /// # Errors
    /// The errors of reading /proc.
    pub fn pids() -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            pids.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(pids)
    }

    /// Reads only these processes and their descendants. A kernel that does not list the children of a
    /// process makes it read all of /proc.
    ///
    /// # Errors
    /// The errors of reading /proc.
    pub fn of_trees(roots: impl IntoIterator<Item = u32>) -> io::Result<Self> {
        if !fs::exists("/proc/thread-self/children")? {
            return Self::read();
        }
        let mut table = Self::default();
        let mut unread: Vec<u32> = roots.into_iter().collect();
        while let Some(pid) = unread.pop() {
            if table.all.contains_key(&pid) {
                continue;
            }
            let Some(process) = Process::read(pid) else { continue };
            let children = children_of(pid);
            unread.extend(&children);
            table.children.insert(pid, children);
            table.all.insert(pid, process);
        }
        Ok(table)
    }

    /// The process with this id.
    #[must_use]
    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.all.get(&pid)
    }

    /// All processes, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.all.values()
    }

    /// The children of a process, in the order of their ids.
    pub fn children(&self, pid: u32) -> impl Iterator<Item = &Process> {
        self.children.get(&pid).into_iter().flatten().filter_map(|child| self.get(*child))
    }

    /// A process and all its descendants, parents first.
    #[must_use]
    pub fn tree(&self, pid: u32) -> Vec<&Process> {
        let mut found: Vec<&Process> = self.get(pid).into_iter().collect();
        let mut next = 0;
        while let Some(process) = found.get(next) {
            let children: Vec<_> = self.children(process.pid).collect();
            // A table that was read while processes moved can contain a circle.
            found.extend(children.into_iter().filter(|child| child.pid != pid));
            next += 1;
            if found.len() > self.all.len() {
                break;
            }
        }
        found
    }

    /// What a process and all its descendants use.
    #[must_use]
    pub fn usage(&self, pid: u32) -> Usage {
        self.tree(pid).into_iter().map(|process| process.usage).sum()
    }
}

/// The children of all threads of a process, in the order of their ids; empty if it has ended.
fn children_of(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let mut found: Vec<u32> = lists
        .flat_map(|list| {
            list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    sort(&mut found);
    found
}

/// Parses the text of `/proc/PID/stat`.
fn parse(text: &str, page: u64) -> Option<Process> {
    // Field 2 is the program's name in parentheses. It may contain parentheses and spaces.
    let (begin, end) = (text.find('(')?, text.rfind(')')?);
    let mut fields = [""; 22];
    for (place, field) in fields.iter_mut().zip(text.get(end + 1..)?.split_ascii_whitespace()) {
        *place = field;
    }
    // The first field after the name is field 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let small = |field: usize| number(field).and_then(|number| u32::try_from(number).ok());
    let processor = number(14)? + number(15)? + number(16).unwrap_or(0) + number(17).unwrap_or(0);
    let ticks = |number: u64| Duration::from_millis(number.saturating_mul(TICK));
    Some(Process {
        pid: text.get(..begin)?.trim().parse().ok()?,
        parent: small(4)?,
        name: text.get(begin + 1..end)?.to_owned(),
        state: fields.first()?.chars().next()?,
        group: small(5).unwrap_or(0),
        terminal: small(7).unwrap_or(0),
        started: ticks(number(22)?),
        usage: Usage {
            processes: 1,
            memory: number(24)?.saturating_mul(page),
            processor: ticks(processor),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_parsed() {
        let text = "42 (a) b() S 7 42 42 0 -1 4194560 1 0 0 0 3 4 5 6 20 0 1 0 99 1000 11 1844\n";
        let process = parse(text, 4096).unwrap();
        assert_eq!((process.pid, process.parent, process.group), (42, 7, 42));
        assert_eq!((&*process.name, process.state), ("a) b(", 'S'));
        assert_eq!(process.usage.memory, 11 * 4096);
        assert_eq!((process.terminal, process.started), (0, Duration::from_millis(990)));
        assert_eq!(process.usage.processor, Duration::from_millis(180));
        assert_eq!(parse("42 (a", 4096), None);
        assert_eq!(parse("", 4096), None);
    }

    #[test]
    fn this_process_is_in_its_own_tree() {
        let table = ProcessTable::read().unwrap();
        let me = table.get(std::process::id()).unwrap();
        assert!(table.tree(me.parent).iter().any(|process| process.pid == me.pid));
        assert!(table.usage(me.pid).memory > 0);
    }

    #[test]
    fn only_the_tree_of_a_process_is_read() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let me = std::process::id();
        let table = ProcessTable::of_trees([me]).unwrap();
        let found: Vec<u32> = table.children(me).map(|process| process.pid).collect();
        let listed = Process::child_ids(me);
        let others = table.iter().filter(|it| it.pid != me && it.parent != me).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&child.id()), "{found:?}");
        // Without lists of children, the whole table is read.
        if fs::exists("/proc/thread-self/children").unwrap() {
            assert_eq!(others, 0);
            assert!(listed.contains(&child.id()), "{listed:?}");
        }
        assert_eq!(ProcessTable::of_trees([0]).unwrap().tree(0), Vec::<&Process>::new());
    }
}
