//! `svctl events`: a line for every change, without polling.

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure};
use crate::hosts;
use crate::interrupt::{Interrupt, Woken};
use crate::options::{HOST, JSON};
use crate::output::{Output, json_line, line, pad};
use crate::selection::{Target, all, scan_dir, select};
use crate::times::{local, rfc3339};
use crate::view::{Found, View};
use crate::watches::{watch_control, watch_names, watch_ok, watch_service, watch_state};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::SystemTime;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.has(&HOST) {
        return hosts::events(arguments);
    }
    let failure = |error: &std::io::Error| Failure::system("watch directories", error);
    let interrupt = Interrupt::new().map_err(|e| failure(&e))?;
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
    let mut follower = Follower {
        watch: watch.map_err(|e| failure(&e.into()))?,
        known: BTreeMap::new(),
        json: arguments.has(&JSON),
        output: arguments.output,
    };
    let mut is_first = true;
    loop {
        follower.look(arguments, is_first)?;
        is_first = false;
        loop {
            let woken = interrupt.wait(follower.watch.as_fd(), None).map_err(|e| failure(&e))?;
            if woken == Woken::Interrupted {
                return Ok(DONE);
            }
            if follower.drain() {
                break;
            }
        }
    }
}

struct Follower {
    watch: OwnedFd,
    /// The last known state of each service, by its path.
    known: BTreeMap<OsString, (Target, Value)>,
    json: bool,
    output: Output,
}

impl Follower {
    /// Compares all services with what was known, and prints the differences.
    fn look(&mut self, arguments: &Arguments, is_first: bool) -> Result<(), Failure> {
        let scan = scan_dir(arguments);
        // The watch comes before the look, so that no change is missed.
        let _ = watch_names(self.watch.as_fd(), scan.path());
        let targets = if arguments.operands.is_empty() {
            all(&scan)?
        } else if is_first {
            select(&scan, &arguments.operands)?
        } else {
            self.known.values().map(|(target, _)| target.clone()).collect()
        };
        let mut gone: Vec<OsString> = self.known.keys().cloned().collect();
        for target in targets {
            self.watch(&target);
            let view = View::read(&target);
            let key = target.dir.path().as_os_str().to_owned();
            gone.retain(|path| *path != key);
            let now = essence(&view);
            let before = self.known.get(&key).map(|(_, before)| before);
            if before == Some(&now) {
                continue;
            }
            let event = match before {
                _ if is_first => "current",
                None => "added",
                Some(_) => "changed",
            };
            self.print(event, &view);
            self.known.insert(key, (target, now));
        }
        for path in gone {
            if let Some((target, _)) = self.known.remove(&path) {
                let found = Found::Unsupervised("removed".to_owned());
                self.print("removed", &View { target, found });
            }
        }
        Ok(())
    }

    fn watch(&self, target: &Target) {
        let watch = self.watch.as_fd();
        let _ = watch_service(watch, target);
        let _ = watch_state(watch, target, WatchFlags::empty());
        let _ = watch_ok(watch, target, WatchFlags::CLOSE_NOWRITE);
        let _ = watch_control(watch, target);
    }

    /// Reads all events; returns whether something may have changed.
    fn drain(&self) -> bool {
        let mut room = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(&self.watch, &mut room);
        let mut is_changed = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    // Our own look at status and state is an event of the directory as well.
                    let is_other = event.events().contains(ReadFlags::CLOSE_NOWRITE)
                        && event.file_name().is_some_and(|name| name != c"ok");
                    is_changed |= !is_other;
                }
                Err(Errno::INTR) => {}
                Err(_) => return is_changed,
            }
        }
    }

    fn print(&self, event: &str, view: &View) {
        let now = SystemTime::now();
        if self.json {
            let mut object = view.json();
            object.insert("event".to_owned(), event.into());
            object.insert("at".to_owned(), rfc3339(now).into());
            json_line(&Value::Object(object));
            return;
        }
        let word = self.output.paint(Some(view.colour()), &pad(view.word(), 12));
        let pid = view.snapshot().and_then(|it| it.status.pid);
        let pid = pid.map_or_else(String::new, |pid| format!("pid {pid}  "));
        let note = view.note();
        let name = view.target.shown();
        let text = format!("{}  {name}  {word}  {pid}{note}", local(now));
        line(
            if event == "removed" { format!("{}  {name}  removed", local(now)) } else { text }
                .trim_end(),
        );
    }
}

/// What counts as a change.
fn essence(view: &View) -> Value {
    Value::Object(view.json())
}
