//! Faults of running services.

use super::{find, says};
use crate::Services;
use harness::{DEADLINE, process, requires, skip, wait_for, wait_until};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;

#[test]
fn a_shell_in_front_of_the_service_is_found() {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec 2>&1\ncd /\nenv A=b sleep 1000\n");
    });
    let finding = services.finds("web", "shell-without-exec");
    says(&finding, "sleep (");
    says(&finding, "line 4 of s/web/run: \"env A=b sleep 1000\"");
    super::cure(&services, &finding);
    assert_eq!(
        services.tree.text("s/web/run"),
        "#!/bin/sh\nexec 2>&1\ncd /\nexec env A=b sleep 1000\n"
    );
}

#[test]
fn daemons_and_orphans_are_found_by_their_output() {
    if !requires("setsid") {
        return;
    }
    let services = Services::start(|tree| {
        tree.service("s/daemon", "#!/bin/sh\nexec 2>&1\nexec setsid -f sleep 1000\n");
        tree.service(
            "s/parent",
            "#!/bin/sh\nexec 2>&1\n[ -e once ] || { : >once; setsid -f sleep 1001; }\nexec sleep 1000\n",
        );
        tree.service("s/far", "#!/bin/sh\nexec 2>&1\nexec sh -c 'cd /; setsid -f sleep 1000'\n");
        for name in ["far", "parent"] {
            tree.service(format!("s/{name}/log"), "#!/bin/sh\nexec multilog t ./main\n");
        }
    });
    says(&services.finds("far", "goes-background"), "far ended (exit 0), and process ");
    says(&services.finds("daemon", "goes-background"), "daemon ended (exit 0), and process ");
    says(
        &services.finds("parent", "orphan"),
        "(sleep) has the directory or the pipe to the logger of parent",
    );
}

#[test]
fn a_service_that_dies_again_and_again_is_found_with_its_last_lines() {
    let services = Services::start(|tree| {
        let run = "#!/bin/sh\necho cannot read configuration\nexit 3\n";
        tree.service("s/api", run);
        tree.service("s/api/log", "#!/bin/sh\nexec multilog t ./main\n");
        tree.service("s/job", run);
        tree.write("s/job/restart-limit", "2 in 60s\n");
    });
    wait_until("the lines are quoted", DEADLINE, || {
        let finding = services.finds("api", "crash-loop");
        finding["evidence"].as_str().unwrap().contains("cannot read configuration")
    });
    services.wait_state("job", "failed");
    let finding = services.finds("job", "crash-loop");
    says(&finding, "job is failed; last end: exit 3");
    says(&finding, "too many deaths");
}

/// Starts a service whose Perl program wants a port of this process. Returns what doctor finds, which
/// names both.
#[track_caller]
fn finds_taken_port(program: impl FnOnce(u16) -> String) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    let program = program(port);
    let services = Services::start(|tree| {
        let run = format!("#!/bin/sh\nexec 2>&1\nexec perl -MIO::Socket::INET -e '\n{program}'\n");
        tree.service("s/web", &run);
        tree.service("s/web/log", "#!/bin/sh\nexec multilog t ./main\n");
    });
    let finding = services.finds("web", "port-taken");
    says(&finding, &format!("process {} (", std::process::id()));
    says(&finding, &format!("listens on port {port}"));
    finding
}

#[test]
fn a_port_that_another_process_has_is_found_with_its_holder() {
    if !requires("perl") {
        return;
    }
    let finding = finds_taken_port(|port| {
        format!(
            "my $at = \"127.0.0.1:{port}\";\n\
             IO::Socket::INET->new(Listen => 1, LocalAddr => $at) or die \"bind $at: $!\\n\""
        )
    });
    says(&finding, "Address already in use");
}

#[test]
fn a_stop_that_hangs_is_found() {
    let services = Services::start(|tree| {
        tree.service("s/deaf", "#!/bin/sh\ntrap '' TERM\necho $$ >started\nexec sleep 1000\n");
    });
    services.tree.wait_lines("s/deaf/started", 1);
    services.run(&["down", "--no-wait", "deaf"]);
    services.wait_state("deaf", "stopping");
    says(&services.finds("deaf", "stop-hangs"), "ignores TERM");
    services.run(&["signal", "KILL", "deaf"]).is(0, "deaf: sent KILL\n", "");
}

#[test]
fn nearly_all_descriptors_are_found() {
    let services = Services::start(|tree| {
        tree.service(
            "s/web",
            "#!/bin/bash\nulimit -n 24\nfor n in 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 20 21 22; do eval \"exec $n</dev/null\"; done\nexec sleep 1000\n",
        );
    });
    let finding = services.finds("web", "descriptors");
    says(&finding, "of at most 24 open files");
}

/// The process of the service web, once it is the program sleep.
#[track_caller]
fn sleep_of(services: &Services) -> u32 {
    let pid = services.tree.wait_up("s/web");
    process::wait_asleep(pid, "sleep");
    pid
}

#[test]
fn limits_of_memory_that_are_nearly_used_up_are_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    let pid = sleep_of(&services);
    assert_eq!(services.findings(&["web"]), [Value::Null; 0]);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let limit = format!("--as={}:", size * 1024 + 4096);
    let pid = pid.to_string();
    services.tree.cmd("prlimit").args(["--pid", &pid, &limit]).run().is(0, "", "");
    let finding = services.finds("web", "memory-limit");
    says(&finding, &format!("sleep ({pid}) has {} MiB of address space, of at most ", size / 1024));
    assert_eq!(
        finding["remedy"],
        format!("prlimit --pid {pid} --as={}:", (size * 1024 + 4096) * 4)
    );
}

#[test]
fn a_user_with_nearly_as_many_threads_as_a_service_allows_is_found() {
    if !harness::is_root() {
        return skip("only root gives processes to another user");
    }
    // No other test has processes of this user.
    let uid = 1_640_000_000 + std::process::id();
    let services = Services::start(|tree| {
        let run = format!(
            "#!/bin/sh\nexec 2>&1\nexec prlimit --nproc=3 /usr/sbin/chroot --userspec={uid}:{uid} / \\\n\
             sh -c 'sleep 1000 & sleep 1000 & exec sleep 1000'\n"
        );
        tree.service("s/web", &run);
    });
    let finding = services.finds("web", "process-limit");
    says(&finding, &format!("user {uid} has "));
    says(&finding, " threads, of at most 3 for s");
}

#[test]
fn what_services_need_is_followed() {
    let services = Services::start(|tree| {
        for (name, needs) in [
            ("web", "api\n"),
            ("api", "db\n"),
            ("one", "two\n"),
            ("two", "one\n"),
            ("lone", "absent\n"),
        ] {
            tree.idle_service(format!("s/{name}"));
            tree.write(format!("s/{name}/needs"), needs);
        }
        tree.idle_service("s/db");
        tree.write("s/db/down", "");
    });
    services.wait_state("web", "blocked");
    services.wait_state("api", "blocked");
    let finding = services.finds("web", "waits-for-needs");
    says(&finding, "web waits for api waits for db (down: ");
    assert_eq!(finding["remedy"], "svctl up db");
    says(&services.finds("one", "needs-cycle"), "one needs two needs one");
    says(&services.finds("lone", "needs-unknown"), "has no absent");
}

#[test]
fn a_limit_that_supervise_may_not_set_is_found() {
    let most = fs::read_to_string("/proc/sys/fs/nr_open").expect("read the most open files");
    let more = most.trim().parse::<u64>().expect("a number") + 1;
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.write("s/web/resource-limits", format!("nofile {more}\n"));
    });
    let finding = services.finds("web", "limit-refused");
    says(&finding, &format!("resource-limits: nofile {more}, and /proc/sys/fs/nr_open allows"));
    assert!(find(&services.findings(&["web"]), "web", "crash-loop").is_none());
    services.tree.write("s/web/resource-limits", "nofile 10\n");
    services.wait_state("web", "up");
    assert!(find(&services.findings(&["web"]), "web", "limit-refused").is_none());
}

#[test]
fn mistakes_in_option_files_are_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.write("s/web/restart-limit", "often\n");
        tree.write("s/web/timeout-kil", "5s\n");
        tree.write("s/web/flag-newpidns", "");
    });
    says(&services.finds("web", "option-mistake"), "restart-limit line 1: \"often\"");
    let findings = services.findings(&["web"]);
    let found: Vec<_> = findings.iter().filter(|it| it["id"] == "option-misspelt").collect();
    assert_eq!(found.len(), 2, "{findings:?}");
    says(found[0], "flag-newpidns looks like an option file");
    assert_eq!(found[1]["remedy"], "mv s/web/timeout-kil s/web/timeout-kill");
}

#[test]
fn a_port_that_the_log_does_not_name_is_found_in_run() {
    if !requires("perl") {
        return;
    }
    finds_taken_port(|port| {
        format!(
            "IO::Socket::INET->new(Listen => 1, LocalAddr => \"127.0.0.1:{port}\") or die \"bind: $!\\n\""
        )
    });
}

#[test]
fn a_service_that_does_not_become_ready_is_found_after_a_minute() {
    let services = Services::start(|tree| {
        tree.idle_service("s/slow");
        tree.write("s/slow/notification-fd", "3\n");
    });
    services.wait_state("slow", "starting");
    assert!(find(&services.findings(&["slow"]), "slow", "not-ready").is_none());
    // As if it had started earlier: status begins with the time in binary, state with the same label.
    let (mut status, seconds, state) = wait_for("both files tell of the same", DEADLINE, || {
        let status = services.tree.read("s/slow/supervise/status");
        let seconds = u64::from_be_bytes(status[..8].try_into().unwrap());
        let state = services.tree.text("s/slow/supervise/state");
        state.contains(&format!("@{seconds:016x}")).then_some((status, seconds, state))
    });
    status[..8].copy_from_slice(&(seconds - 100).to_be_bytes());
    let state = state.replace(&format!("@{seconds:016x}"), &format!("@{:016x}", seconds - 100));
    services.tree.write("s/slow/supervise/state", state);
    services.tree.write("s/slow/supervise/status", status);
    let finding = services.finds("slow", "not-ready");
    says(&finding, "slow has been starting for 1m 4");
    says(&finding, "descriptor 3 (notification-fd)");
}
