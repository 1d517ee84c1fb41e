//! The next svscan adopts the supervises, and svscanboot starts it.

use crate::{
    adopt, assert_all_logged, assert_connected, command, counter, newest, pipe, sorted, starts,
    stop_svscan, supervise_of, svscan, wait_counted, wait_watched, watched,
};
use harness::{
    DEADLINE, Process, Signal, Suite, Tree, original, process, skip, strace_works, wait_for,
    wait_until,
};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use system::{
    PROMPT, assert_exit_0, assert_idle, assert_thousand_lines, count, hang_up, kill, namespace,
    thousand_lines_service, tree, wait_all_gone, wait_descendant,
};

#[test]
fn the_next_svscan_adopts_all_processes_silently() {
    let tree = tree();
    tree.idle_service("s/a");
    tree.idle_service("s/a/log");
    tree.idle_service("s/b");
    let dirs = ["s/a", "s/a/log", "s/b"];
    let first = svscan(&tree);
    let pids = dirs.map(|dir| tree.wait_up(dir));
    let supervises = dirs.map(|dir| supervise_of(&tree, dir));
    let status = dirs.map(|dir| tree.status(dir));
    kill(first);
    let there = sorted(tree.processes());
    let second = adopt(&tree, &supervises);
    assert_eq!(dirs.map(|dir| tree.status(dir)), status);
    let others = tree.processes().into_iter().filter(|&pid| pid != second.pid()).collect();
    assert_eq!(sorted(others), there, "sorted: {pids:?} {supervises:?}");
    assert_idle(&[second.pid()], Duration::from_secs(2));
    assert_eq!((second.stdout(), second.stderr()), (String::new(), String::new()));
    stop_svscan(&tree, second);
    for dir in dirs {
        assert_eq!(starts(&tree, dir), 1, "{dir}");
    }
}

#[test]
fn supervises_are_adopted_on_overlayfs() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.idle_service("low/s/a");
    tree.service("low/s/a/log", "#!/bin/sh\nexec cat >>log\n");
    tree.mkdir("top");
    tree.mkdir("over");
    // With its two directories on two file systems, overlayfs shows a device for each.
    let mount = "mount -t tmpfs none top && mkdir top/files top/work && mount -t overlay none \
        -o lowerdir=low,upperdir=top/files,workdir=top/work over && cd over";
    let trial = tree.sh(mount).under(namespace).run();
    if trial.code != Some(0) {
        return skip(&format!("there is no overlayfs: {trial}"));
    }
    let script = format!("{mount} && {{ svscan s; exec svscan s; }}");
    let second = tree.sh(&script).under(namespace).start();
    let first = wait_descendant(second.pid(), &["svscan", "s"]);
    let inside = Path::new("/proc").join(second.pid().to_string()).join("root");
    let over = inside.join(tree.path("over").strip_prefix("/").expect("an absolute path"));
    let dirs = ["s/a", "s/a/log"].map(|dir| over.join(dir));
    let pids = dirs.each_ref().map(|dir| tree.wait_up(dir));
    let device = |path: &Path| fs::metadata(path).expect("it is there").dev();
    assert_ne!(device(&dirs[0].join("supervise/lock")), device(&over));
    let supervises = ["a", "log"].map(|name| wait_descendant(first, &["supervise", name]));
    process::signal(first, Signal::KILL);
    wait_watched(&second, &supervises);
    assert_eq!(count(&second.stderr(), "supervise"), 0);
    // A second supervise names the first.
    let again = format!("cd {} && exec supervise a", over.join("s").display());
    let refused = tree.sh(&again).run();
    assert!(refused.err().contains(&format!(" (held by pid {})\n", supervises[0])), "{refused}");
    process::signal(supervises[0], Signal::KILL);
    process::wait_gone(supervises[0]);
    wait_until("the next one is there", DEADLINE, || tree.is_supervised(&dirs[0]));
    assert_eq!(dirs.each_ref().map(|dir| tree.wait_up(dir)), pids);
    stop_svscan(&tree, second);
}

#[test]
fn services_survive_a_hundred_kills_of_svscan() {
    let tree = tree();
    counter(&tree, "s/a", "0.001");
    let mut svscan = svscan(&tree);
    let supervises = ["s/a", "s/a/log"].map(|dir| supervise_of(&tree, dir));
    for _ in 0..100 {
        kill(svscan);
        svscan = adopt(&tree, &supervises);
    }
    let pipes = process::descriptors(svscan.pid());
    let pipes = pipes.iter().filter(|(_, to)| Some(to) == pipe(supervises[0], 1).as_ref()).count();
    assert_eq!(pipes, 2, "both ends, once");
    assert_eq!(svscan.stderr(), "");
    stop_svscan(&tree, svscan);
    assert_all_logged(&tree, "s/a");
    assert_eq!(tree.wait_lines("s/a/log/started", 1).len(), 1);
}

#[test]
fn an_adopted_supervise_is_started_again_when_it_dies() {
    let tree = tree();
    counter(&tree, "s/a", "0.001");
    let dirs = ["s/a", "s/a/log"];
    let first = svscan(&tree);
    let pids = dirs.map(|dir| tree.wait_up(dir));
    let status = dirs.map(|dir| tree.status(dir));
    let supervises = dirs.map(|dir| supervise_of(&tree, dir));
    kill(first);
    let svscan = adopt(&tree, &supervises);
    for (dir, old) in dirs.into_iter().zip(supervises) {
        process::signal(old, Signal::KILL);
        process::wait_gone(old);
        let new = supervise_of(&tree, dir);
        assert_eq!(process::parent(new), Some(svscan.pid()));
    }
    wait_until("svscan watches none by a pidfd", PROMPT, || watched(svscan.pid()).is_empty());
    assert_eq!(dirs.map(|dir| tree.status(dir)), status);
    let printed = svscan.stderr();
    // A newer kernel tells how it ended.
    assert_eq!(count(&printed, "was killed by signal 9"), printed.lines().count(), "{printed}");
    // The new supervises are children: svscan sees their ends, and reaps their orphans.
    wait_counted(&tree, "s/a", newest(&tree, "s/a") + 100);
    for (dir, pid) in dirs.into_iter().zip(pids) {
        let new = supervise_of(&tree, dir);
        process::signal(new, Signal::KILL);
        wait_until("it is reaped", PROMPT, || process::state(new).is_none());
        let newer = supervise_of(&tree, dir);
        assert_eq!(process::parent(newer), Some(svscan.pid()));
        assert!(process::is_alive(pid));
    }
    assert_eq!(dirs.map(|dir| tree.status(dir)), status);
    stop_svscan(&tree, svscan);
    assert_all_logged(&tree, "s/a");
}

#[test]
fn the_next_svscan_ends_everything_in_order() {
    let tree = tree();
    for name in ["a", "b"] {
        thousand_lines_service(&tree, &format!("s/{name}"));
    }
    let first = svscan(&tree);
    let dirs = ["s/a", "s/a/log", "s/b", "s/b/log"];
    let supervises = dirs.map(|dir| supervise_of(&tree, dir));
    for dir in dirs {
        tree.wait_lines(Path::new(dir).join("started"), 1);
    }
    kill(first);
    let svscan = adopt(&tree, &supervises);
    let started = Instant::now();
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    assert!(started.elapsed() < Duration::from_secs(5), "the loggers saw the end of their input");
    assert_eq!(tree.processes(), []);
    for name in ["a", "b"] {
        assert_thousand_lines(&tree, &format!("s/{name}"));
    }
}

#[test]
fn links_can_be_changed_after_adoption() {
    let tree = tree();
    counter(&tree, "real/a", "0.001");
    tree.idle_service("real/b");
    tree.idle_service("real/c");
    for name in ["a", "b"] {
        tree.symlink(format!("../real/{name}"), format!("s/{name}"));
    }
    let first = svscan(&tree);
    let dirs = ["real/a", "real/a/log", "real/b"];
    let supervises = dirs.map(|dir| supervise_of(&tree, dir));
    let status = dirs.map(|dir| {
        tree.wait_up(dir);
        tree.status(dir)
    });
    kill(first);
    // Renamed while there was no svscan.
    tree.rename("s/b", "s/other");
    let svscan = adopt(&tree, &supervises);
    tree.symlink("../real/c", "s/c");
    tree.wait_up("real/c");
    tree.rename("s/other", "s/b");
    tree.remove("s/a");
    wait_all_gone(&supervises[..2]);
    assert_all_logged(&tree, "real/a");
    assert_eq!(tree.status("real/b"), status[2]);
    // The service can start again, with the same pipe.
    tree.symlink("../real/a", "s/a");
    tree.wait_lines("real/a/started", 2);
    assert_eq!(svscan.stderr(), "");
    stop_svscan(&tree, svscan);
}

#[test]
fn a_link_removed_without_a_svscan_leaves_its_service_running() {
    let tree = tree();
    for name in ["a", "b"] {
        tree.idle_service(format!("real/{name}"));
        tree.symlink(format!("../real/{name}"), format!("s/{name}"));
    }
    let first = svscan(&tree);
    let pids = ["real/a", "real/b"].map(|dir| tree.wait_up(dir));
    let supervises = ["real/a", "real/b"].map(|dir| supervise_of(&tree, dir));
    kill(first);
    tree.remove("s/a");
    let svscan = adopt(&tree, &supervises[1..]);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert!(process::is_alive(pids[0]) && !process::is_alive(pids[1]));
    // svc still reaches the service, and so does a svscan after the link is back.
    tree.symlink("../real/a", "s/a");
    let svscan = adopt(&tree, &supervises[..1]);
    assert_eq!(tree.wait_up("real/a"), pids[0]);
    stop_svscan(&tree, svscan);
}

// svscanboot

#[test]
fn svscanboot_starts_the_next_svscan_and_services_run_on() {
    let tree = tree();
    counter(&tree, "s/a", "0.001");
    tree.service(
        "s/b",
        "#!/bin/sh\ntrap 'echo said' HUP\nmkfifo idle\nexec 8<>idle\necho $$ >>started\n\
         while :; do read -r line <&8; done\n",
    );
    let mut path = tree.suite().bin().as_os_str().as_bytes().to_vec();
    path.extend(b":/usr/bin:/bin\n");
    tree.write("env/PATH", path);
    let boot = tree.cmd("svscanboot").args(["-e", "env", "-l", "log", "s"]).start();
    let dirs = ["s/a", "s/a/log", "s/b"];
    let mut svscan = wait_descendant(boot.pid(), &["svscan", "s"]);
    for dir in dirs {
        tree.wait_lines(Path::new(dir).join("started"), 1);
    }
    let status = dirs.map(|dir| tree.wait_status(dir, "up", |s| s.pid() != 0));
    for all in [false, true] {
        let supervises = dirs.map(|dir| supervise_of(&tree, dir));
        process::signal(svscan, Signal::KILL);
        if all {
            for pid in supervises {
                process::signal(pid, Signal::KILL);
            }
        }
        svscan = wait_for("the next svscan", DEADLINE, || {
            let found = tree.find(&["svscan", "s"]);
            found.into_iter().find(|&pid| pid != svscan && process::is_alive(pid))
        });
        for dir in dirs {
            tree.wait_supervised(dir);
        }
        hang_up(&tree, "s/b");
        wait_until("it is in the log", DEADLINE, || {
            count(&tree.text("log"), "said") == 1 + usize::from(all)
        });
    }
    for (dir, status) in dirs.into_iter().zip(status) {
        assert_eq!(tree.status(dir), Some(status));
    }
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
    wait_until("every process has ended", DEADLINE, || tree.processes().is_empty());
    assert_all_logged(&tree, "s/a");
    let printed = tree.text("log");
    assert_eq!(
        count(&printed, "svscan was killed by signal 9; it is started again"),
        2,
        "{printed}"
    );
    assert_eq!(printed.lines().count(), 4, "{printed}");
}

// A supervise that has just been started

/// Starts svscan with another program as its supervise.
fn with_supervise(tree: &Tree, path: &Path) -> Process {
    let path = format!("{}:/usr/bin:/bin", path.display());
    command(tree).env("PATH", path).start()
}

/// The number of locks that a process holds by its descriptors.
fn locks(pid: u32) -> usize {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts = infos.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.filter(|text| text.lines().any(|line| line.starts_with("lock:"))).count()
}

#[test]
fn the_next_svscan_waits_for_a_supervise_that_is_starting() {
    let tree = tree();
    counter(&tree, "s/a", "0.01");
    let real = Suite::get().bin().join("supervise");
    let text = format!(
        "#!/bin/sh\necho $$ >>../begun\nwhile ! [ -e {} ]; do sleep 0.01; done\n\
         exec {} \"$@\"\n",
        tree.path("go").display(),
        real.display()
    );
    tree.mkdir("bin");
    tree.script("bin/supervise", text);
    tree.symlink(Suite::get().bin().join("multilog"), "bin/multilog");
    let first = with_supervise(&tree, &tree.path("bin"));
    let begun = [tree.wait_lines("begun", 1), tree.wait_lines("s/begun", 1)].concat();
    kill(first);
    tree.write("go", "");
    let second = with_supervise(&tree, &tree.path("bin"));
    let dirs = ["s/a", "s/a/log"];
    let supervises = dirs.map(|dir| supervise_of(&tree, dir));
    wait_watched(&second, &supervises);
    assert_connected(&tree, "s/a");
    wait_counted(&tree, "s/a", 10);
    assert_eq!(second.stderr(), "");
    let again = [tree.wait_lines("begun", 1), tree.wait_lines("s/begun", 1)].concat();
    assert_eq!(begun, again, "started once");
    for (dir, pid) in dirs.into_iter().zip(supervises) {
        let service = tree.wait_up(dir);
        wait_until("it has its own environment", PROMPT, || {
            let environment = process::environment(service);
            !environment.iter().any(|v| v.to_string_lossy().starts_with("DAEMONTOOLS_GATE"))
        });
        assert_eq!(locks(pid), 1, "its own, and no more that of the scan directory");
    }
    stop_svscan(&tree, second);
}

#[test]
fn the_originals_supervise_does_not_lock_out_the_next_svscan() {
    let tree = tree();
    tree.idle_service("s/a");
    let first = with_supervise(&tree, original());
    let pid = tree.wait_up("s/a");
    kill(first);
    let second = with_supervise(&tree, original());
    wait_watched(&second, &[supervise_of(&tree, "s/a")]);
    assert_eq!(tree.wait_up("s/a"), pid);
    assert_eq!(second.stderr(), "");
    second.signal(Signal::TERM);
    assert_exit_0(second);
    // The original's supervise leaves its service behind.
    process::signal(pid, Signal::KILL);
}

// Limits of the system

#[test]
fn more_supervises_than_descriptors_are_adopted() {
    for logged in [false, true] {
        more_than_descriptors(logged);
    }
}

fn more_than_descriptors(logged: bool) {
    let tree = tree();
    let dirs: Vec<String> = (0..60).map(|n| format!("s/{n}")).collect();
    for (n, dir) in dirs.iter().enumerate() {
        tree.idle_service(dir);
        if logged && n % 3 == 0 {
            tree.idle_service(format!("{dir}/log"));
        }
    }
    let begin = || command(&tree).under(["prlimit", "--nofile=32:"]).start();
    let first = begin();
    let mut all = dirs.clone();
    let logged = dirs.iter().filter(|dir| tree.exists(format!("{dir}/log")));
    all.extend(logged.map(|dir| format!("{dir}/log")));
    for dir in &all {
        tree.wait_up(dir);
    }
    let status: Vec<_> = all.iter().map(|dir| tree.status(dir)).collect();
    let supervises: Vec<u32> = all.iter().map(|dir| supervise_of(&tree, dir)).collect();
    kill(first);
    let svscan = begin();
    wait_watched(&svscan, &supervises);
    assert_eq!(svscan.stderr(), "");
    assert_eq!(all.iter().map(|dir| tree.status(dir)).collect::<Vec<_>>(), status);
    // A new supervise has the limit with which svscan was started.
    process::signal(supervises[0], Signal::KILL);
    process::wait_gone(supervises[0]);
    let pid = supervise_of(&tree, "s/0").to_string();
    let limit = ["--noheadings", "--raw", "--output=SOFT", "--nofile", "--pid"];
    tree.cmd("prlimit").args(limit).arg(&pid).run().is(0, "32\n", "");
    stop_svscan(&tree, svscan);
}

#[test]
fn svscan_reports_how_a_service_ended_where_the_kernel_does_not() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    tree.service("s/a", "#!/bin/sh\ntrap 'exit 7' USR1\nmkfifo idle\nexec 8<>idle\necho $$ >>started\nwhile :; do read -r line <&8; done\n");
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    let pid = tree.wait_up("s/a");
    for (signal, end) in [(Signal::USR1, "code 7"), (Signal::KILL, "signal 9")] {
        let pid = match signal {
            Signal::USR1 => pid,
            _ => tree.wait_restart("s/a", pid),
        };
        system::wait_settled(&tree, "s/a");
        let first = supervise_of(&tree, "s/a");
        process::signal(first, Signal::KILL);
        process::wait_gone(first);
        let next = supervise_of(&tree, "s/a");
        tree.wait_supervised("s/a");
        // Kernels before Linux 6.15 do not know this call.
        let number = next.to_string();
        let tracer = ["-qq", "-o", "calls", "-e", "inject=ioctl:error=ENOTTY", "-p", &number];
        let tracer = tree.sh("exec strace \"$@\"").arg("strace").args(tracer).start();
        wait_until("it is traced", DEADLINE, || {
            let status = fs::read_to_string(format!("/proc/{next}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        });
        process::signal(pid, signal);
        let line = format!("ended={pid} {end}");
        tree.wait_text("s/a/supervise/process", &line);
        tree.wait_restart("s/a", pid);
        tracer.signal(Signal::TERM);
        let _ = tracer.wait();
    }
    stop_svscan(&tree, svscan);
}
