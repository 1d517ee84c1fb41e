//! The library against a real supervise: the original's or ours, as the harness chooses.

use harness::Tree;
use servicedir::{Command, ServiceDir, Want};
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

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
