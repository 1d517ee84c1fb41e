//! Essential services: their end stops everything, and svscan exits with their code.

use harness::{DEADLINE, Process, Tree, wait_until};
use rustix::process::Signal;
use std::time::Duration;
use system::{count, tree};

fn svscan(tree: &Tree) -> Process {
    tree.cmd("svscan").arg("s").start()
}

/// An essential service that ends as `end` says once there is a file `go`.
fn essential(tree: &Tree, name: &str, word: &str, end: &str) {
    let run = format!("#!/bin/sh\n[ -p idle ] || mkfifo idle\nread -r line <idle\n{end}\n");
    tree.service(format!("s/{name}"), &run);
    tree.write(format!("s/{name}/essential"), word);
}

/// Lets the service end.
fn release(tree: &Tree, name: &str) {
    tree.wait_up(format!("s/{name}"));
    let path = tree.path(format!("s/{name}/idle"));
    wait_until("the service waits", DEADLINE, || path.exists());
    tree.sh(&format!("echo >s/{name}/idle")).run();
}

#[test]
fn the_end_of_an_essential_service_ends_everything_with_its_code() {
    for (end, code, how) in [
        ("exit 7", 7, "ended with exit code 7"),
        ("exit 0", 0, "ended with exit code 0"),
        ("kill -9 $$", 137, "was killed by signal 9"),
    ] {
        let tree = tree();
        essential(&tree, "web", "any\n", end);
        tree.service("s/cron", "#!/bin/sh\nexec sleep 1000\n");
        tree.service(
            "s/cron/log",
            "#!/bin/sh\nwhile read -r line; do :; done\necho end >>../ended\n",
        );
        let svscan = svscan(&tree);
        tree.wait_up("s/cron");
        tree.wait_up("s/cron/log");
        release(&tree, "web");
        let output = svscan.wait_within(DEADLINE);
        assert_eq!(output.code, Some(code), "{output}");
        let line = format!("svscan: info: essential service web {how}: stopping\n");
        assert_eq!(output.err(), line);
        // The logger has read the end of its input.
        assert_eq!(tree.text("s/cron/ended"), "end\n");
        assert!(!tree.exists("s/web/supervise/essential"));
    }
}

#[test]
fn an_empty_essential_waits_until_the_service_has_failed() {
    let tree = tree();
    tree.service("s/web", "#!/bin/sh\necho >>starts\nexit 3\n");
    tree.write("s/web/essential", "");
    tree.write("s/web/restart-limit", "2 in 60s\n");
    let output = svscan(&tree).wait_within(DEADLINE);
    assert_eq!(output.code, Some(3), "{output}");
    assert_eq!(tree.text("s/web/starts"), "\n\n");
    let err = output.err();
    assert!(err.contains("supervise: warning: web has failed: too many deaths\n"), "{err}");
    assert!(err.ends_with("essential service web ended with exit code 3: stopping\n"), "{err}");
}

#[test]
fn the_logger_of_an_essential_service_reads_everything() {
    let tree = tree();
    essential(&tree, "web", "any", "seq 20000; exit 5");
    tree.service("s/web/log", "#!/bin/sh\nexec cat >>logged\n");
    let svscan = svscan(&tree);
    release(&tree, "web");
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(5), "{output}");
    assert_eq!(tree.text("s/web/log/logged").lines().count(), 20000);
}

#[test]
fn a_command_is_no_end_for_good() {
    let tree = tree();
    essential(&tree, "web", "any", "exit 7");
    let svscan = svscan(&tree);
    let mut before = tree.wait_up("s/web");
    for options in ["-t", "-k"] {
        tree.svc(options, "s/web");
        before = tree.wait_restart("s/web", before);
    }
    tree.svc("-d", "s/web");
    tree.wait_down("s/web");
    tree.svc("-u", "s/web");
    tree.wait_up("s/web");
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""), "{output}");
}

#[test]
fn the_first_of_several_ends_gives_the_code() {
    let tree = tree();
    for (name, code) in [("a", 3), ("b", 4), ("c", 5)] {
        essential(&tree, name, "any", &format!("exit {code}"));
    }
    let svscan = svscan(&tree);
    for name in ["a", "b", "c"] {
        tree.wait_up(format!("s/{name}"));
        let path = tree.path(format!("s/{name}/idle"));
        wait_until("the service waits", DEADLINE, || path.exists());
    }
    tree.sh("for n in a b c; do echo 1<>s/$n/idle; done").run();
    let output = svscan.wait_within(DEADLINE);
    let err = output.err();
    let code = output.code.expect("an exit code");
    assert!([3, 4, 5].contains(&code), "{output}");
    assert_eq!(count(&err, "stopping"), 1, "{err}");
    assert!(err.contains(&format!("ended with exit code {code}: stopping")), "{err}");
}

#[test]
fn an_end_is_seen_after_the_death_of_a_supervise() {
    let tree = tree();
    essential(&tree, "web", "any", "exit 7");
    let svscan = svscan(&tree);
    let service = tree.wait_up("s/web");
    let supervise = harness::process::parent(service).expect("a parent");
    harness::process::signal(supervise, Signal::KILL);
    wait_until("another supervise runs", DEADLINE, || {
        tree.find(&["supervise", "web"]).iter().any(|&pid| pid != supervise)
            && tree.is_supervised("s/web")
    });
    assert_eq!(tree.wait_up("s/web"), service);
    release(&tree, "web");
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(7), "{output}");
}

#[test]
fn an_end_is_seen_by_a_svscan_that_has_adopted_the_supervise() {
    let tree = tree();
    essential(&tree, "web", "any", "exit 7");
    let first = svscan(&tree);
    let service = tree.wait_up("s/web");
    let supervise = harness::process::parent(service).expect("a parent");
    system::kill(first);
    let second = svscan(&tree);
    // svscan watches the mounts by another set of events.
    wait_until("svscan has adopted", DEADLINE, || {
        harness::process::descriptors(second.pid())
            .iter()
            .filter(|(_, target)| target.to_string_lossy().contains("eventpoll"))
            .map(|(number, _)| format!("/proc/{}/fdinfo/{number}", second.pid()))
            .filter_map(|info| std::fs::read_to_string(info).ok())
            .any(|text| text.contains(&format!(" {supervise:x} ")))
    });
    release(&tree, "web");
    let output = second.wait_within(DEADLINE);
    assert_eq!(output.code, Some(7), "{output}");
}

#[test]
fn an_end_is_seen_after_a_live_upgrade() {
    let tree = tree();
    essential(&tree, "web", "any", "exit 7");
    let svscan = svscan(&tree);
    let service = tree.wait_up("s/web");
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    assert_eq!(tree.wait_up("s/web"), service);
    release(&tree, "web");
    let output = svscan.wait_within(Duration::from_secs(10));
    assert_eq!(output.code, Some(7), "{output}");
}

#[test]
fn a_service_that_cannot_fail_needs_the_word_any() {
    let tree = tree();
    tree.idle_service("s/web");
    tree.write("s/web/essential", "failed\n");
    let svscan = svscan(&tree);
    svscan.wait_stderr("web/essential: want restart-limit beside it, or the word any");
    tree.write("s/web/essential", "always\n");
    svscan.wait_stderr("web/essential line 1: \"always\": want failed or any, as in any");
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait().code, Some(0));
}
