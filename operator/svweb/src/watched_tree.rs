//! The scan directory while clients need it: one inotify descriptor for all of them. Without clients
//! it is closed, and svweb does nothing.

use crate::event_ring::EventRing;
use crate::failure::say;
use crate::request_path::encode;
use daemontools_sys::std_heap::give_back;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::Duration;
use svctl::View;
use svctl::service_tree::{ServiceTree, TreeChange};
use tokio::net::unix::pipe::Receiver;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

/// How long the directory stays watched without clients: those that come back go on where they were.
const LINGER: Duration = Duration::from_secs(60);

/// The shortest time between two looks: a service that changes all the time costs little.
const BETWEEN_LOOKS: Duration = Duration::from_millis(40);

/// The time from one sign of life to clients to the next.
pub(crate) const BEAT: Duration = Duration::from_secs(30);

/// The object of a service in the API, as text.
pub(crate) fn service_json(view: &View) -> String {
    let mut object = view.json();
    object.insert("id".to_owned(), encode(view.name()).into());
    object.insert("failing".to_owned(), view.is_failing().into());
    Value::Object(object).to_string()
}

/// The open directory.
struct OpenTree {
    tree: Rc<RefCell<ServiceTree>>,
    watcher: JoinHandle<()>,
    /// The objects of all services.
    objects: BTreeMap<OsString, String>,
    /// The list of all objects, until one changes.
    list: Option<Bytes>,
    /// Device and inode of the directory.
    id: (u64, u64),
}

/// The scan directory and the events of it.
pub(crate) struct WatchedTree {
    dir: PathBuf,
    open: RefCell<Option<OpenTree>>,
    pub(crate) ring: RefCell<EventRing>,
    last_use: Cell<Instant>,
    has_timer: Cell<bool>,
    has_beat: Cell<bool>,
    /// Counts the signs of life.
    pub(crate) beat: Cell<u64>,
}

impl WatchedTree {
    pub(crate) fn new(dir: &Path) -> Rc<Self> {
        Rc::new(Self {
            dir: dir.to_owned(),
            open: RefCell::new(None),
            ring: RefCell::new(EventRing::new()),
            last_use: Cell::new(Instant::now()),
            has_timer: Cell::new(false),
            has_beat: Cell::new(false),
            beat: Cell::new(0),
        })
    }

    /// Opens the directory, if it is not open, and keeps it open for a time.
    fn ensure_open(self: &Rc<Self>) -> Result<(), String> {
        self.last_use.set(Instant::now());
        self.start_timer();
        let known = self.open.borrow().as_ref().map(|open| open.id);
        // Another directory can have the path by now.
        let id = self.dir.metadata().ok().map(|found| (found.dev(), found.ino()));
        if known.is_some() && known == id {
            return Ok(());
        }
        if known.is_some() {
            self.close();
            self.ring.borrow_mut().wake();
        }
        let tree = ServiceTree::open(&self.dir)?;
        if tree.is_incomplete() {
            say(
                "warning: the kernel refuses watches (fs.inotify.max_user_watches): changes are missing",
            );
        }
        let objects = tree.services().map(|view| (view.name().to_owned(), service_json(view)));
        let objects = objects.collect();
        // tokio wakes the loop for any descriptor; only this type of it takes one without unsafe code.
        let changes = tree.as_fd().try_clone_to_owned().and_then(Receiver::from_owned_fd_unchecked);
        let changes =
            changes.map_err(|error| format!("unable to watch the scan directory: {error}"))?;
        let tree = Rc::new(RefCell::new(tree));
        let watcher = spawn_local(watch(Rc::downgrade(self), Rc::clone(&tree), changes));
        *self.open.borrow_mut() =
            Some(OpenTree { tree, watcher, objects, list: None, id: id.unwrap_or_default() });
        self.ring.borrow_mut().restart();
        self.follow_logs();
        Ok(())
    }

    fn close(&self) {
        if let Some(open) = self.open.borrow_mut().take() {
            open.watcher.abort();
        }
        self.ring.borrow_mut().restart();
    }

    /// Closes the directory some time after the last client.
    fn start_timer(self: &Rc<Self>) {
        if self.has_timer.replace(true) {
            return;
        }
        let this = Rc::downgrade(self);
        spawn_local(async move {
            loop {
                let Some(strong) = this.upgrade() else { return };
                if strong.ring.borrow().clients() > 0 {
                    // The last client starts the timer again.
                    strong.has_timer.set(false);
                    return;
                }
                let idle = strong.last_use.get().elapsed();
                if idle >= LINGER {
                    strong.close();
                    // The next clients can be hours away, and a look at all processes took memory.
                    give_back();
                    strong.has_timer.set(false);
                    return;
                }
                drop(strong);
                sleep(LINGER.saturating_sub(idle)).await;
            }
        });
    }

    /// The list of all services in the form of the API, and the id of the last event.
    pub(crate) fn list(self: &Rc<Self>) -> Result<Bytes, String> {
        self.ensure_open()?;
        let mut open = self.open.borrow_mut();
        let Some(open) = open.as_mut() else {
            return Err("the scan directory is closed".to_owned());
        };
        if let Some(list) = &open.list {
            return Ok(list.clone());
        }
        let length: usize = open.objects.values().map(|object| object.len() + 1).sum();
        let mut text = String::with_capacity(length + 200);
        let head = json!({
            "schema": 1,
            "dir": self.dir.to_string_lossy(),
            "event_id": self.ring.borrow().last_id(),
            "incomplete": open.tree.borrow().is_incomplete(),
        });
        let head = head.to_string();
        text.push_str(head.strip_suffix('}').unwrap_or(&head));
        text.push_str(",\"services\":[");
        for (number, object) in open.objects.values().enumerate() {
            if number > 0 {
                text.push(',');
            }
            text.push_str(object);
        }
        text.push_str("]}");
        let list = Bytes::from(text);
        open.list = Some(list.clone());
        Ok(list)
    }

    /// What is known of all services.
    pub(crate) fn views(self: &Rc<Self>) -> Result<Vec<View>, String> {
        self.ensure_open()?;
        let open = self.open.borrow();
        let tree = open.as_ref().map(|open| open.tree.borrow());
        Ok(tree.map(|tree| tree.services().cloned().collect()).unwrap_or_default())
    }

    /// Adds a client with a stream.
    pub(crate) fn add_client(self: &Rc<Self>, log: Option<OsString>) -> u64 {
        let has_log = log.is_some();
        let client = self.ring.borrow_mut().add_client(log);
        if has_log {
            self.follow_logs();
        }
        if !self.has_beat.replace(true) {
            let this = Rc::downgrade(self);
            spawn_local(async move {
                loop {
                    sleep(BEAT).await;
                    let Some(this) = this.upgrade() else { return };
                    if this.ring.borrow().clients() == 0 {
                        this.has_beat.set(false);
                        return;
                    }
                    this.beat.set(this.beat.get() + 1);
                    this.ring.borrow_mut().wake();
                }
            });
        }
        client
    }

    pub(crate) fn remove_client(self: &Rc<Self>, client: u64, has_log: bool) {
        self.ring.borrow_mut().remove_client(client);
        if has_log {
            self.follow_logs();
        }
        self.last_use.set(Instant::now());
        self.start_timer();
    }

    /// A client has read a log: a directory that only the open files of a logger show may be known now.
    pub(crate) fn note_log_read(&self) {
        if let Some(open) = self.open.borrow().as_ref() {
            open.tree.borrow_mut().find_missing_logs();
        }
    }

    fn follow_logs(&self) {
        let followed = self.ring.borrow().followed();
        if let Some(open) = self.open.borrow().as_ref() {
            open.tree.borrow_mut().follow_logs(&followed);
        }
    }

    /// Reads what has changed, and makes events of it.
    fn take_changes(&self, tree: &RefCell<ServiceTree>) -> Result<(), String> {
        let changes = tree.borrow_mut().take_changes()?;
        let mut open = self.open.borrow_mut();
        let Some(open) = open.as_mut() else { return Ok(()) };
        let mut ring = self.ring.borrow_mut();
        for change in changes {
            match change {
                TreeChange::Service(view) => {
                    let object = service_json(&view);
                    let name = view.name().to_owned();
                    if open.objects.get(&name) != Some(&object) {
                        ring.push("service", &object, None);
                        open.objects.insert(name, object);
                        open.list = None;
                    }
                }
                TreeChange::Removed(name) => {
                    let data = json!({"id": encode(&name), "name": name.to_string_lossy()});
                    ring.push("removed", &data.to_string(), None);
                    open.objects.remove(&name);
                    open.list = None;
                }
                TreeChange::Log(name) => {
                    let data = json!({"id": encode(&name)}).to_string();
                    ring.push("log", &data, Some(name));
                    open.list = None;
                }
            }
        }
        ring.wake();
        Ok(())
    }

    /// The directory cannot be read any more: all clients learn it, and their streams end.
    fn fail(&self, why: &str) {
        say(&format!("warning: {why}"));
        self.close();
        self.ring.borrow_mut().wake();
    }
}

/// Waits for changes, and passes them on.
async fn watch(owner: Weak<WatchedTree>, tree: Rc<RefCell<ServiceTree>>, changes: Receiver) {
    while changes.readable().await.is_ok() {
        let Some(strong) = owner.upgrade() else { return };
        if let Err(why) = strong.take_changes(&tree) {
            strong.fail(&why);
            return;
        }
        drop(strong);
        // The kernel refuses to put an event into so small a buffer (EINVAL), so none is lost. Without
        // events it answers EAGAIN, and tokio waits for the next.
        let _ = changes.try_read(&mut [0]);
        sleep(BETWEEN_LOOKS).await;
    }
}
