//! The output in containers: process 1, a read-only root, nothing that reads.

use crate::{numbers, once, svscan};
use harness::{DEADLINE, Process, Signal, process, wait_until};
use std::io::pipe;
use std::time::{Duration, Instant};
use system::{container, count, init_of, namespace, tree};

/// Sends TERM to the process 1 below the wrapper.
#[track_caller]
fn stop(svscan: &Process) {
    process::signal(init_of(svscan), Signal::TERM);
}

#[test]
fn process_1_writes_the_last_words_of_services_and_of_what_they_leave() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    // The process that stays behind ends only at the TERM to every process.
    let behind = "setsid sh -c 'trap \"echo behind; exit\" TERM; mkfifo b; exec 8<>b; echo >up
        while :; do read -r line <&8; done' &";
    tree.service(
        "s/a",
        &format!(
            "#!/bin/sh\n{behind}\ntrap 'seq 5000; exit' TERM\nmkfifo idle\nexec 8<>idle\necho >started\n\
             while :; do read -r line <&8; done\n"
        ),
    );
    let svscan = svscan(&tree, "-p").under(wrapper).start();
    tree.wait_lines("s/a/started", 1);
    tree.wait_lines("s/a/up", 1);
    stop(&svscan);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""), "{output}");
    let out = output.out();
    assert_eq!(count(&out, "a: behind"), 1);
    let found = numbers(&out.replace("a: behind\n", ""), "a");
    let wrong = found.iter().zip(1..).find(|&(&number, wanted)| number != wanted);
    assert_eq!((found.len(), wrong), (5000, None));
}

#[test]
fn process_1_ends_in_time_although_nothing_reads() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    once(&tree, "s/a", "echo >started; yes");
    let (reader, writer) = pipe().expect("a pipe");
    let svscan = svscan(&tree, "-p").stdout_to(writer).under(wrapper).start();
    tree.wait_lines("s/a/started", 1);
    wait_until("yes waits", DEADLINE, || {
        let inside = process::descendants(svscan.pid());
        let is_yes = |pid: &u32| process::arguments(*pid).first().is_some_and(|it| it == "yes");
        inside.iter().any(|pid| is_yes(pid) && process::state(*pid) == Some('S'))
    });
    let begin = Instant::now();
    stop(&svscan);
    assert_eq!(svscan.wait_within(DEADLINE).code, Some(0));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    drop(reader);
}

#[test]
fn the_root_may_be_read_only() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    once(&tree, "s/a", "seq 1000");
    tree.mkdir("run");
    let script = "mount -t tmpfs -o noexec none run && mount --bind s s &&
        mount -o remount,ro,bind s && ! mkdir s/a/x 2>/dev/null &&
        SUPERVISEDIR=$PWD/run exec svscan -p s";
    let svscan = tree.sh(script).under(namespace).start();
    let out = crate::wait_out(&svscan, 1000);
    assert_eq!(numbers(&out, "a").len(), 1000);
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait_within(DEADLINE).code, Some(0));
}

#[test]
fn the_standard_descriptors_may_be_closed() {
    let tree = tree();
    once(&tree, "s/a", "seq 3000; echo >done");
    let svscan = tree.sh("exec svscan -p s <&- >&- 2>&-").start();
    tree.wait_lines("s/a/done", 1);
    svscan.signal(Signal::TERM);
    svscan.wait_within(DEADLINE).is(0, "", "");
}
