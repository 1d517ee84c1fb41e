//! The moment between the start of a supervise and its first answer.

use crate::Services;
use harness::{DEADLINE, Signal, process, requires, wait_until};

#[test]
fn a_supervise_that_has_never_listened_is_starting_and_not_killed() {
    if !requires("strace") {
        return;
    }
    // No entry of the scan directory: svscan would start a second supervise.
    let services = Services::start(|tree| {
        tree.idle_service("sv/new");
    });
    let tree = &services.tree;
    // The second FIFO is `ok`: the lock, `control` and the process record are there.
    let stop = ["strace", "-qq", "-o", "calls", "-e", "inject=mknod,mknodat:signal=STOP:when=2"];
    let supervise = tree.cmd("supervise").arg("sv/new").under(stop).start();
    tree.wait_text("calls", "stopped by SIGSTOP");
    assert!(tree.exists("sv/new/supervise/process") && !tree.is_supervised("sv/new"));
    let reason = "its supervise is starting";
    let object = services.service("./sv/new");
    assert_eq!((&object["state"], &object["reason"]), (&"starting".into(), &reason.into()));
    assert_eq!(object["pid"], serde_json::Value::Null);
    services.run(&["list", "./sv/new"]).is(0, format!("./sv/new\tstarting\t\t\t{reason}\n"), "");
    services.run(&["list", "--failed", "./sv/new"]).is(0, "", "");
    assert_eq!(services.run(&["status", "./sv/new"]).code, Some(3));
    let why = services.run(&["why", "./sv/new"]).out();
    assert!(
        why.contains("The supervise of ./sv/new is starting and does not listen yet."),
        "{why}"
    );
    let events = services.svctl().args(["events", "./sv/new"]).start();
    let seen = |text: &str| wait_until(text, DEADLINE, || events.stdout().contains(text));
    seen(reason);
    // One that is killed in this moment is not starting any more. Nothing else happens then.
    let pid = process::descendants(supervise.pid());
    let [pid] = *pid.as_slice() else { panic!("{pid:?}") };
    process::signal(pid, Signal::KILL);
    supervise.wait();
    seen("its supervise was killed");
    let object = services.service("./sv/new");
    assert_eq!(object["state"], "unsupervised");
    assert_eq!(object["reason"], "its supervise was killed");
    let supervise = tree.supervise("sv/new");
    tree.wait_up("sv/new");
    assert_eq!(services.service("./sv/new")["state"], "up");
    drop(supervise);
}
