//! svscanboot: it starts svscan and readproctitle.
//!
//! Its scan directory `/etc/service` and its `PATH` are fixed. The tests run it in a namespace in which
//! `/etc` is a directory of the tree and `/usr/local/bin` holds the programs under test. The machine's
//! directories do not change. Without namespaces the tests are skipped.

use harness::{DEADLINE, Process, Tree, process, skip, wait_for};
use std::ffi::OsString;

const NAMESPACE: [&str; 6] =
    ["unshare", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"];

/// Starts svscanboot with `etc/service` of the tree as its scan directory.
fn svscanboot(tree: &Tree, argument: &str) -> Option<Process> {
    tree.mkdir("etc/service");
    let setup = "mount --bind \"$1\" /etc && mount --bind \"$2\" /usr/local/bin";
    let command = |script: &str| {
        tree.sh(script)
            .arg("sh")
            .arg(tree.path("etc"))
            .arg(tree.suite().bin())
            .arg(argument)
            .under(NAMESPACE)
    };
    let trial = command(setup).run();
    if trial.code != Some(0) {
        skip(&format!("svscanboot needs a namespace to be tested: {trial}"));
        return None;
    }
    Some(command(&format!("{setup} && exec svscanboot \"$3\"")).start())
}

/// Waits for the only process below svscanboot with this name. Returns its pid.
#[track_caller]
fn find(boot: &Process, name: &str) -> u32 {
    wait_for(&format!("a process {name}"), DEADLINE, || {
        process::descendants(boot.pid())
            .into_iter()
            .find(|&pid| process::arguments(pid).first().is_some_and(|first| first == name))
    })
}

/// The arguments of a process as one text.
fn title(pid: u32) -> String {
    let words = process::arguments(pid);
    words.join(" ".as_ref()).to_string_lossy().into_owned()
}

#[test]
fn it_runs_svscan_on_etc_service_and_shows_the_errors() {
    let tree = Tree::new();
    tree.service(
        "etc/service/a",
        "#!/bin/sh\necho to-output\necho to-error >&2\nexec sleep 1000\n",
    );
    // Ours takes the argument as the scan directory. The original ignores it.
    let Some(boot) = svscanboot(&tree, "/etc/service") else { return };
    tree.wait_supervised("etc/service/a");
    let svscan = find(&boot, "svscan");
    assert_eq!(process::arguments(svscan), ["svscan", "/etc/service"]);
    let readproctitle = find(&boot, "readproctitle");
    // Both streams arrive.
    wait_for("the errors are shown", DEADLINE, || {
        let title = title(readproctitle);
        (title.starts_with("readproctitle service errors: ...")
            && title.contains("to-output")
            && title.contains("to-error"))
        .then_some(())
    });
    assert_eq!(boot.stdout(), "");
    // In this test the standard error of svscanboot is a file.
    let keeps = tree.suite().differs("ours also writes all messages to a file");
    let kept = if keeps { "to-output\nto-error\n" } else { "" };
    // Ours also warns that the namespace has no /proc of its own.
    let said = boot.stderr();
    let said: String = said.split_inclusive('\n').filter(|line| !line.contains("/proc")).collect();
    assert_eq!(said, kept);
}

#[test]
fn there_is_room_for_400_bytes_of_errors() {
    let tree = Tree::new();
    let Some(boot) = svscanboot(&tree, "") else { return };
    find(&boot, "svscan");
    let readproctitle = find(&boot, "readproctitle");
    let dots = ".".repeat(400);
    assert_eq!(process::arguments(readproctitle), ["readproctitle", "service", "errors:", &dots]);
}

#[test]
fn services_get_path_and_nothing_else() {
    let tree = Tree::new();
    tree.trapping_service("etc/service/a", &[]);
    tree.service("etc/service/b", "#!/bin/sh\nexec sleep 1000\n");
    let Some(boot) = svscanboot(&tree, "") else { return };
    let path = [OsString::from(
        "PATH=/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin",
    )];
    let svscan = find(&boot, "svscan");
    let readproctitle = find(&boot, "readproctitle");
    assert_eq!(process::environment(svscan), path);
    assert_eq!(process::environment(readproctitle), path);
    tree.wait_lines("etc/service/a/started", 1);
    let supervise = find(&boot, "supervise");
    let ours = |variable: &OsString| variable.as_encoded_bytes().starts_with(b"DAEMONTOOLS_");
    let mut variables = process::environment(supervise);
    if tree.suite().differs("svscan passes a variable to its supervise, and supervise removes it") {
        let all = variables.len();
        variables.retain(|variable| !ours(variable));
        assert_ne!(variables.len(), all);
    }
    assert_eq!(variables, path);
    let null = (0, "/dev/null".into());
    let service = find(&boot, "sleep");
    assert!(!process::environment(service).iter().any(ours));
    for (pid, program) in [(svscan, "svscan"), (supervise, "supervise"), (service, "sleep")] {
        process::wait_asleep(pid, program);
        let files = process::descriptors(pid);
        assert!(files.contains(&null), "{files:?}");
        assert_eq!(files[1].1, files[2].1, "both go to readproctitle");
        assert!(files[1].1.to_string_lossy().starts_with("pipe:"), "{files:?}");
    }
}

#[test]
fn services_left_from_an_earlier_run_are_ended_first() {
    let tree = Tree::new();
    tree.idle_service("etc/service/a");
    tree.idle_service("etc/service/a/log");
    let old = ["etc/service/a", "etc/service/a/log"].map(|dir| {
        let supervise = tree.supervise(dir);
        tree.wait_up(dir);
        tree.wait_lines(format!("{dir}/started"), 1);
        (dir, supervise)
    });
    let Some(_boot) = svscanboot(&tree, "") else { return };
    for (dir, supervise) in old {
        supervise.wait().is(0, "", "");
        tree.wait_lines(format!("{dir}/started"), 2);
        tree.wait_supervised(dir);
    }
}
