//! The library with a real supervise: ours, or the original's if the harness chooses it.

use harness::{Fifo, Status, Tree, wait_until};
use servicedir::{
    Cause, Command, DeathCause, End, Phase, Reason, Requester, ServiceDir, Signal, Want,
};
use std::ffi::CString;
use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_service_is_followed_through_its_life() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let service = ServiceDir::new(tree.path("a"));
    assert!(!service.is_supervised().unwrap());
    assert_eq!(service.status().unwrap(), None);

    let _supervise = tree.supervise("a");
    let up = service.wait(SOON, |status| status.pid.is_some()).unwrap().unwrap();
    assert!(service.is_supervised().unwrap());
    assert_eq!((up.want, up.paused), (Want::Up, false));
    let age = SystemTime::now().duration_since(up.since).unwrap();
    assert!(age < SOON, "started {age:?} ago");

    service.send(&[Command::Pause]).unwrap();
    let paused = service.wait(SOON, |status| status.paused).unwrap().unwrap();
    assert_eq!(paused.pid, up.pid);

    service.send(&[Command::Down]).unwrap();
    let down = service.wait(SOON, |status| status.pid.is_none()).unwrap().unwrap();
    assert_eq!(down.want, Want::Down);
    assert!(down.since >= up.since);

    service.send(&[Command::Once]).unwrap();
    service.wait(SOON, |s| s.pid.is_some() && s.want == Want::Once).unwrap().unwrap();
    service.send(&[Command::Exit, Command::Signal(Signal::Kill)]).unwrap();
    tree.wait_unsupervised("a");
    assert_eq!(service.status().unwrap(), None);
    assert_eq!(service.send(&[Command::Up]).unwrap_err().kind(), ErrorKind::NotConnected);
}

#[test]
fn a_wait_ends_after_its_timeout() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let _supervise = tree.supervise("a");
    tree.wait_up("a");
    let service = ServiceDir::new(tree.path("a"));
    let never = service.wait(Duration::from_millis(50), |status| status.pid.is_none());
    assert_eq!(never.unwrap(), None);
}

#[test]
fn missing_directories_and_short_files_are_errors() {
    let tree = Tree::new();
    assert_eq!(
        ServiceDir::new(tree.path("missing")).status().unwrap_err().kind(),
        ErrorKind::NotFound
    );
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let _supervise = tree.supervise("a");
    tree.wait_up("a");
    // supervise replaces the short file at the next change only.
    tree.write("a/supervise/status", "short");
    let error = ServiceDir::new(tree.path("a")).status().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

/// A short time, in which nothing should happen.
const SHORT: Duration = Duration::from_millis(50);

/// Makes a service directory with an `ok` that has a reader, as with a supervise.
fn fake(tree: &Tree, dir: &str) -> Fifo {
    let ok = format!("{dir}/supervise/ok");
    tree.fifo(&ok, 0o600);
    tree.open_fifo(&ok)
}

/// Publishes a state file, if there is one, and a status, both `second` seconds after 1970.
fn publish(tree: &Tree, dir: &str, second: i64, pid: u32, state: Option<&str>) {
    let state = state.map(|state| {
        let label = format!("since=@{:016x}000001f4\n", (1_i64 << 62) + 10 + second);
        ("state", (label + state).into_bytes())
    });
    let status = ("status", Status::record(second, pid, 0, b'u'));
    for (name, content) in state.into_iter().chain([status]) {
        let name = format!("{dir}/supervise/{name}");
        tree.write(format!("{name}.new"), content);
        tree.rename(format!("{name}.new"), name);
    }
}

#[test]
fn files_replaced_by_other_users_are_not_followed() {
    let tree = Tree::new();
    tree.write("elsewhere", Status::record(100, 1, 0, b'u'));
    // A link to another file, a FIFO that would block, and a file without an end.
    let traps: [&dyn Fn(&str); 3] = [
        &|name| drop(tree.symlink("../../elsewhere", name)),
        &|name| drop(tree.fifo(name, 0o600)),
        &|name| drop(tree.symlink("/dev/zero", name)),
    ];
    for (number, trap) in traps.iter().enumerate() {
        for name in ["status", "state"] {
            let dir = format!("{name}-{number}");
            let _supervise = fake(&tree, &dir);
            publish(&tree, &dir, 100, 7, None);
            let path = format!("{dir}/supervise/{name}");
            if name == "status" {
                tree.remove(&path);
            }
            trap(&path);
            let found = ServiceDir::new(tree.path(&dir)).detail();
            assert!(found.is_err() || matches!(found, Ok(None)), "{path}");
        }
    }
    // Commands are not sent to another FIFO.
    tree.fifo("victim", 0o600);
    let mut victim = tree.open_fifo("victim");
    tree.symlink("../../victim", "a/supervise/control");
    assert!(ServiceDir::new(tree.path("a")).send(&[Command::Down]).is_err());
    assert_eq!(victim.drain(), b"");
}

#[test]
fn the_detail_is_read() {
    let tree = Tree::new();
    let service = ServiceDir::new(tree.path("a"));
    let _ok = fake(&tree, "a");
    publish(&tree, "a", 5, 7, None);
    assert_eq!(service.detail().unwrap(), None);
    let more = "phase=waiting\nreason=watchdog\nready=@400000000000001000000000\nfailures=2\n\
                next=@400000000000001100000000\nscript=8\nwaiting-for=db\nmessage=hard work\n\
                cgroup=/sys/fs/cgroup/a\n";
    publish(&tree, "a", 5, 7, Some(more));
    let detail = service.detail().unwrap().unwrap();
    assert_eq!((detail.phase, detail.reason), (Phase::Waiting, Some(Reason::Watchdog)));
    assert_eq!(detail.ready, Some(UNIX_EPOCH + Duration::from_secs(6)));
    assert_eq!(detail.next, Some(UNIX_EPOCH + Duration::from_secs(7)));
    assert_eq!((detail.failures, detail.script.map(u32::from)), (2, Some(8)));
    assert_eq!(detail.waiting_for.as_deref(), Some("db".as_ref()));
    assert_eq!(detail.message.as_deref(), Some("hard work"));
    assert_eq!(detail.cgroup.as_deref(), Some("/sys/fs/cgroup/a".as_ref()));
    // The detail belongs to an older status.
    publish(&tree, "a", 6, 7, None);
    let snapshot = service.snapshot().unwrap().unwrap();
    assert_eq!((snapshot.detail, snapshot.is_ready), (None, false));
}

#[test]
fn a_wait_for_readiness_ends_when_ready_or_failed() {
    let tree = Tree::new();
    let service = ServiceDir::new(tree.path("a"));
    let _ok = fake(&tree, "a");
    publish(&tree, "a", 5, 7, None);
    assert!(service.wait_ready(SHORT).unwrap().is_some(), "up counts without readiness reports");
    publish(&tree, "a", 6, 8, Some("phase=starting\n"));
    assert_eq!(service.wait_ready(SHORT).unwrap(), None);
    let status = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| service.wait_ready(SOON).unwrap());
        publish(&tree, "a", 6, 8, Some("phase=ready\n"));
        waiting.join().unwrap()
    });
    assert_eq!(status.unwrap().pid.map(u32::from), Some(8));
    publish(&tree, "a", 7, 0, Some("phase=failed\nreason=deaths\n"));
    let begin = Instant::now();
    assert_eq!(service.wait_ready(SOON).unwrap(), None);
    assert!(begin.elapsed() < SOON, "a failed service ends the wait");
    assert_eq!(service.detail().unwrap().unwrap().reason, Some(Reason::Deaths));
}

#[test]
fn events_follow_supervises_that_start_and_die() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let service = ServiceDir::new(tree.path("a"));
    let mut events = service.events().unwrap();
    assert_eq!(events.next_within(Some(SOON)).unwrap(), Some(None));
    assert_eq!(events.next_within(Some(SHORT)).unwrap(), None);
    for _ in 0..5 {
        let supervise = tree.supervise("a");
        let mut pid = None;
        while pid.is_none() {
            let change = events.next_within(Some(SOON)).unwrap().expect("a change");
            pid = change.expect("a supervise runs").status.pid;
        }
        // A read of the status is no change.
        assert!(service.snapshot().unwrap().unwrap().is_ready);
        assert_eq!(events.next_within(Some(SHORT)).unwrap(), None);
        // A killed supervise writes nothing, but its death is an event.
        supervise.kill();
        assert_eq!(events.next_within(Some(SOON)).unwrap(), Some(None));
    }
}

#[test]
fn events_need_a_directory() {
    let service = ServiceDir::new(Tree::new().path("missing"));
    assert_eq!(service.events().unwrap_err().kind(), ErrorKind::NotFound);
}

fn requester(user: &str) -> Requester {
    let (login, terminal) = ("ann".to_owned(), "pts/3".to_owned());
    Requester { user: user.to_owned(), login, terminal, command: "\x1b[2J down a".to_owned() }
}

#[test]
fn the_history_tells_what_happened_and_who_asked() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let service = ServiceDir::new(tree.path("a"));
    assert_eq!(service.history().unwrap(), None);
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    if tree.suite().is_original() {
        assert_eq!(service.history().unwrap(), None);
        service.for_requester(requester("root")).send(&[Command::Down]).unwrap();
        assert!(!tree.exists("a/supervise/requests"), "nothing reads it");
        tree.wait_down("a");
        return;
    }
    let pid = service.status().unwrap().unwrap().pid;
    let asked = service.clone().for_requester(requester("root"));
    asked.send(&[Command::Down]).unwrap();
    tree.wait_down("a");
    // A client without notes.
    tree.svc("-d", "a");
    tree.svc("-x", "a");
    supervise.wait();
    let found = service.history().unwrap().unwrap();
    let causes: Vec<Option<Cause>> = found.iter().map(|change| change.cause.clone()).collect();
    let command = |command| Some(Cause::Command(command));
    let (down, exit) = (command(Command::Down), command(Command::Exit));
    assert_eq!(causes, [Some(Cause::SuperviseBegan), down.clone(), None, down, exit]);
    assert_eq!((found[1].from, found[1].to, found[1].pid), (Phase::Up, Phase::Stopping, pid));
    assert_eq!(found[1].requester, Some(requester("root")));
    assert_eq!((found[2].to, found[2].end), (Phase::Down, Some(End::Killed(15))));
    assert!(found[0].number == 1 && found.is_sorted_by_key(|change| change.number));
    assert!(found[2..].iter().all(|change| change.requester.is_none()));
    let age = SystemTime::now().duration_since(found[1].at).unwrap();
    assert!(age < SOON, "{age:?}");
}

#[test]
fn starts_and_deaths_are_counted() {
    let tree = Tree::new();
    tree.idle_service("a");
    let service = ServiceDir::new(tree.path("a"));
    assert_eq!(service.counters().unwrap(), None);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    harness::process::signal(pid, harness::Signal::KILL);
    tree.wait_restart("a", pid);
    let counters = || service.counters().unwrap().filter(|found| found.starts == 2);
    let found = harness::wait_for("two starts are counted", Duration::from_secs(30), counters);
    assert_eq!(found.deaths_by(DeathCause::Signal), 1);
    assert_eq!(found.deaths.iter().sum::<u32>(), 1);
    supervise.signal(harness::Signal::TERM);
    supervise.wait();
}

#[test]
fn notes_are_not_written_through_links_or_into_foreign_files() {
    let tree = Tree::new();
    let canary = "a file of another program\n";
    tree.write("elsewhere", canary);
    let traps: [&dyn Fn(&str); 3] = [
        &|name| drop(tree.symlink("../../elsewhere", name)),
        &|name| std::fs::hard_link(tree.path("elsewhere"), tree.path(name)).unwrap(),
        &|name| drop(tree.fifo(name, 0o600)),
    ];
    for (number, trap) in traps.iter().enumerate() {
        let dir = number.to_string();
        tree.fifo(format!("{dir}/supervise/control"), 0o600);
        let mut control = tree.open_fifo(format!("{dir}/supervise/control"));
        tree.write(format!("{dir}/supervise/history"), "");
        trap(&format!("{dir}/supervise/requests"));
        let service = ServiceDir::new(tree.path(&dir)).for_requester(requester("root"));
        service.send(&[Command::Down]).unwrap();
        assert_eq!(control.drain(), b"d");
        assert_eq!(tree.text("elsewhere"), canary);
        assert_eq!(service.history().unwrap(), Some(Vec::new()));
    }
}

#[test]
fn any_contents_of_history_and_notes_are_read() {
    let tree = Tree::new();
    let service = ServiceDir::new(tree.path("a"));
    for content in [Vec::new(), vec![0; 100_000], vec![b'@'; 3_000_000], b"@4\n".repeat(99)] {
        tree.write("a/supervise/history", &content);
        tree.write("a/supervise/requests", &content);
        assert_eq!(service.history().unwrap(), Some(Vec::new()));
    }
    tree.remove("a/supervise/history");
    tree.symlink("/dev/zero", "a/supervise/history");
    assert!(service.history().is_err());
}

#[test]
fn a_logger_has_the_same_base_for_its_state() {
    let tree = Tree::new();
    tree.mkdir("a/log");
    let log = tree.path("a/log");
    let logger = |base: &str| ServiceDir::with_base(tree.path("a"), base).logger().unwrap();
    assert_eq!(logger(".state").state_dir(), log.join(".state"));
    let base = tree.path("base");
    let state = logger(base.to_str().unwrap()).state_dir().to_owned();
    assert_eq!(state.parent(), Some(&*base), "{}", state.display());
    assert_ne!(state, ServiceDir::with_base(tree.path("a"), &base).state_dir());
    assert_eq!(ServiceDir::new(tree.path("a")).logger(), Some(ServiceDir::new(log)));
}

#[test]
fn a_lock_of_another_process_or_user_is_no_svscan() {
    let tree = Tree::new();
    tree.mkdir("s");
    let scan = servicedir::ScanDir::new(tree.path("s"));
    assert_eq!(scan.svscan().unwrap(), None);
    // A process of ours that has the lock and stands elsewhere.
    let holder = tree.sh("exec 9<s; flock 9; echo locked >&2; exec sleep 1000 9<&9").start();
    holder.wait_stderr("locked");
    assert_eq!(scan.svscan().unwrap(), None);
    holder.kill();
    if harness::is_root() && harness::requires("setpriv") {
        // One of another user that stands there.
        tree.chmod(".", 0o755);
        tree.chmod("s", 0o755);
        let script = "cd s; exec 9<.; flock 9; echo locked >&2; exec sleep 1000 9<&9";
        let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        let holder = tree.sh(script).under(words).start();
        holder.wait_stderr("locked");
        assert_eq!(scan.svscan().unwrap(), None);
        holder.kill();
    }
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_until("svscan is found", SOON, || {
        scan.svscan().unwrap().map(std::num::NonZeroU32::get) == Some(svscan.pid())
    });
    svscan.kill();
}

#[test]
fn a_logger_chooses_no_directory_that_it_may_not_write() {
    let tree = Tree::new();
    for dir in ["a/log/main", "other"] {
        tree.mkdir(dir);
        tree.write(format!("{dir}/current"), "");
    }
    let run = "#!/bin/sh\nexec 8>>./main/lock 9<../../other/current\nexec sleep 1000\n";
    tree.service("a/log", run);
    let _supervise = tree.supervise("a/log");
    let main = tree.path("a/log/main").canonicalize().unwrap();
    wait_until("there is a logger", SOON, || main.join("lock").exists());
    let service = ServiceDir::new(tree.path("a"));
    wait_until("its directory is found", SOON, || service.log_dirs().unwrap() == [main.clone()]);
}

#[test]
fn the_files_run_and_command_name_the_log_directories() {
    let tree = Tree::new();
    tree.write("a/log/command", "multilog\nt\n./main\n/var/log/a\n");
    let dir = ServiceDir::new(tree.path("a"));
    let log = tree.path("a/log");
    let candidates = dir.log_dir_candidates().unwrap();
    assert_eq!(candidates, [log.join("./main"), "/var/log/a".into()]);
    let command = dir.logger().unwrap().command().unwrap();
    assert_eq!(command, [c"multilog", c"t", c"./main", c"/var/log/a"].map(CString::from));
    // run counts, also if it is a link to nothing.
    tree.symlink("/nowhere", "a/log/run");
    assert_eq!(dir.logger().unwrap().command(), None);
    tree.service("b/log", "#!/bin/sh\nexec multilog t ./other\n");
    let candidates = ServiceDir::new(tree.path("b")).log_dir_candidates().unwrap();
    assert_eq!(candidates, [tree.path("b/log/./other")]);
}
