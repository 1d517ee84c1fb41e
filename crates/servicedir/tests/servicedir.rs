//! The library against a real supervise: the original's or ours, as the harness chooses.

use harness::{Fifo, Status, Tree};
use servicedir::{Command, Phase, Reason, ServiceDir, Want};
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
    service.send(&[Command::Exit, Command::Kill]).unwrap();
    tree.wait_unsupervised("a");
    assert_eq!(service.status().unwrap(), None);
    assert_eq!(service.send(&[Command::Up]).unwrap_err().kind(), ErrorKind::NotConnected);
}

#[test]
fn a_wait_for_what_does_not_come_ends_at_its_time() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let _supervise = tree.supervise("a");
    tree.wait_up("a");
    let service = ServiceDir::new(tree.path("a"));
    let never = service.wait(Duration::from_millis(50), |status| status.pid.is_none());
    assert_eq!(never.unwrap(), None);
}

#[test]
fn what_is_wrong_is_an_error() {
    let tree = Tree::new();
    assert_eq!(
        ServiceDir::new(tree.path("missing")).status().unwrap_err().kind(),
        ErrorKind::NotFound
    );
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let _supervise = tree.supervise("a");
    tree.wait_up("a");
    // The short file stays: supervise only replaces it when something changes.
    tree.write("a/supervise/status", "short");
    let error = ServiceDir::new(tree.path("a")).status().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

/// A short time, for what is not to come.
const MOMENT: Duration = Duration::from_millis(50);

/// Makes a service directory which looks supervised.
fn fake(tree: &Tree, dir: &str) -> Fifo {
    let ok = format!("{dir}/supervise/ok");
    tree.fifo(&ok, 0o600);
    tree.open_fifo(&ok)
}

/// Publishes a state file, if there is one, and a status of so many seconds after 1970.
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
fn what_somebody_puts_in_the_place_of_its_files_is_no_trap() {
    let tree = Tree::new();
    tree.write("elsewhere", Status::record(100, 1, 0, b'u'));
    // A link that leads elsewhere, something to wait for, and something without an end.
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
    // Commands are sent to nobody else.
    tree.fifo("victim", 0o600);
    let mut victim = tree.open_fifo("victim");
    tree.symlink("../../victim", "a/supervise/control");
    assert!(ServiceDir::new(tree.path("a")).send(&[Command::Down]).is_err());
    assert_eq!(victim.drain(), b"");
}

#[test]
fn what_supervise_says_beyond_the_status_is_read() {
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
    // Another status is not what it belongs to.
    publish(&tree, "a", 6, 7, None);
    let snapshot = service.snapshot().unwrap().unwrap();
    assert_eq!((snapshot.detail, snapshot.is_ready), (None, false));
}

#[test]
fn readiness_is_waited_for() {
    let tree = Tree::new();
    let service = ServiceDir::new(tree.path("a"));
    let _ok = fake(&tree, "a");
    publish(&tree, "a", 5, 7, None);
    assert!(service.wait_ready(MOMENT).unwrap().is_some(), "it cannot tell");
    publish(&tree, "a", 6, 8, Some("phase=starting\n"));
    assert_eq!(service.wait_ready(MOMENT).unwrap(), None);
    let status = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| service.wait_ready(SOON).unwrap());
        publish(&tree, "a", 6, 8, Some("phase=ready\n"));
        waiting.join().unwrap()
    });
    assert_eq!(status.unwrap().pid.map(u32::from), Some(8));
    publish(&tree, "a", 7, 0, Some("phase=failed\nreason=deaths\n"));
    let begin = Instant::now();
    assert_eq!(service.wait_ready(SOON).unwrap(), None);
    assert!(begin.elapsed() < SOON, "it will not come");
    assert_eq!(service.detail().unwrap().unwrap().reason, Some(Reason::Deaths));
}

#[test]
fn changes_are_told_from_the_first_supervise_to_the_end_of_the_last() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let service = ServiceDir::new(tree.path("a"));
    let mut events = service.events().unwrap();
    assert_eq!(events.next_within(Some(SOON)).unwrap(), Some(None));
    assert_eq!(events.next_within(Some(MOMENT)).unwrap(), None);
    for _ in 0..5 {
        let supervise = tree.supervise("a");
        let mut pid = None;
        while pid.is_none() {
            let change = events.next_within(Some(SOON)).unwrap().expect("a change");
            pid = change.expect("a supervise runs").status.pid;
        }
        // Asking is no change.
        assert!(service.snapshot().unwrap().unwrap().is_ready);
        assert_eq!(events.next_within(Some(MOMENT)).unwrap(), None);
        // Its end is told, though nothing is written then.
        supervise.kill();
        assert_eq!(events.next_within(Some(SOON)).unwrap(), Some(None));
    }
}

#[test]
fn events_need_a_directory() {
    let service = ServiceDir::new(Tree::new().path("missing"));
    assert_eq!(service.events().unwrap_err().kind(), ErrorKind::NotFound);
}
