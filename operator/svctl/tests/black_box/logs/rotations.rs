//! What a rotation costs a follower.

use super::follow::{append, wait_output};
use super::{label, numbered};
use crate::Services;
use harness::requires;

#[test]
fn a_rotation_is_no_reason_to_look_for_services() {
    if !requires("strace") {
        return;
    }
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec sleep 1000\n");
        // The test is the logger: this one has only the lock of the directory.
        tree.script("s/web/log/run", "#!/bin/sh\n: ./main\nexec sleep 1000\n");
        tree.mkdir("s/web/log/main");
        tree.write("s/web/log/main/current", numbered(0..1));
    });
    let tree = &services.tree;
    services.wait_state("web", "up");
    let strace = ["strace", "-qq", "-f", "-o", "calls", "-e", "trace=openat"];
    let command = services.svctl().args(["logs", "-o", "cat", "-f"]).under(strace);
    let process = command.start();
    let mut expected = "0\n".to_owned();
    wait_output(&process, &expected);
    // Each look lists the scan directory.
    let looks = || tree.text("calls").lines().filter(|line| line.contains("\"s\"")).count();
    let rotate = |second: u64, expected: &mut String| {
        tree.rename("s/web/log/main/current", format!("s/web/log/main/{}.s", label(second)));
        append(tree, "s/web/log/main/current", &numbered(second..second + 1));
        *expected += &format!("{second}\n");
        wait_output(&process, expected);
    };
    rotate(1, &mut expected);
    rotate(2, &mut expected);
    let before = looks();
    assert!(before > 0, "{}", tree.text("calls"));
    for second in 3..20 {
        rotate(second, &mut expected);
    }
    assert_eq!(looks(), before, "{}", tree.text("calls"));
    // A new service still is one.
    tree.service("s/new", "#!/bin/sh\nexec sleep 1000\n");
    tree.script("s/new/log/run", "#!/bin/sh\nexec multilog t ./main\n");
    harness::wait_until("another look", harness::DEADLINE, || looks() > before);
    process.kill();
}
