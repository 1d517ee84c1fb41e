//! `supervise/history`: the last changes, and the commands that came.

use harness::{Signal, Tree, process, skip, strace_works, wait_for, wait_until};
use system::{
    PROMPT, assert_exit_0, kill, replace_supervise, stop_supervise, tree, wait_reaped, wait_settled,
};

/// The length of a line.
const LINE: usize = 128;

/// The lines of a history by their numbers: what follows label and number, without the counters.
fn history(tree: &Tree, dir: &str) -> Vec<String> {
    let without_counters = |line: String| match line.rsplit_once(" n=") {
        Some((start, _)) => start.to_owned(),
        None => line,
    };
    lines(tree, dir).into_iter().map(without_counters).collect()
}

/// The counters of the last change: starts, and deaths by exit, signal, stop, unhealthy, unknown.
fn counters(tree: &Tree, dir: &str) -> String {
    let last = lines(tree, dir).pop().unwrap_or_default();
    last.rsplit_once(" n=").map(|(_, counters)| counters.to_owned()).unwrap_or_default()
}

#[track_caller]
fn wait_counters(tree: &Tree, dir: &str, expected: &str) {
    wait_until(&format!("the counters are {expected}"), PROMPT, || counters(tree, dir) == expected);
}

/// The lines of a history by their numbers: what follows label and number.
fn lines(tree: &Tree, dir: &str) -> Vec<String> {
    let bytes = tree.read(format!("{dir}/supervise/history"));
    assert!(bytes.len() <= 2 * 64 * LINE, "{} bytes", bytes.len());
    let mut lines: Vec<(u32, String)> = Vec::new();
    for line in bytes.chunks(LINE).filter(|line| line[0] != 0) {
        let line = std::str::from_utf8(line).expect("a text").trim_end();
        let mut words = line.splitn(3, ' ');
        let label = words.next().expect("a label");
        assert!(label.starts_with("@4") && label.len() == 25, "{line}");
        let number = words.next().and_then(|word| word.parse().ok()).expect("a number");
        lines.push((number, words.next().expect("a change").to_owned()));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Waits until the last line of a history ends like this.
#[track_caller]
fn wait_last(tree: &Tree, dir: &str, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    wait_until("the history ends so", PROMPT, || {
        found = history(tree, dir);
        found.last().is_some_and(|line| line.ends_with(end))
    });
    found
}

#[test]
fn changes_and_commands_are_recorded_in_their_order() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let first = wait_settled(&tree, "a");
    // A process that has run for a second is started again at once, which is one change.
    process::signal(first, Signal::KILL);
    tree.wait_restart("a", first);
    let second = wait_settled(&tree, "a");
    tree.svc("-h", "a");
    tree.wait_restart("a", second);
    let third = wait_settled(&tree, "a");
    tree.svc("-d", "a");
    tree.wait_down("a");
    tree.svc("-u", "a");
    let fourth = tree.wait_up("a");
    stop_supervise(&tree, supervise, "a");
    let found = history(&tree, "a");
    assert_eq!(
        found,
        [
            &*format!("down up pid={first} supervise=begins"),
            &*format!("up up pid={second} end=signal:9"),
            &*format!("up up pid={second} command=h"),
            &*format!("up up pid={third} end=signal:1"),
            &*format!("up stopping pid={third} command=d"),
            "stopping down end=signal:15",
            &*format!("down up pid={fourth} command=u"),
            &*format!("up stopping pid={fourth} command=d"),
            &*format!("stopping stopping pid={fourth} command=x"),
            "stopping down end=signal:15",
        ]
    );
}

#[test]
fn reasons_and_signals_to_the_supervisor_are_recorded() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexit 7\n");
    tree.write("a/restart-limit", "1 in 60s\n");
    let supervise = tree.supervise("a");
    let found = wait_last(&tree, "a", " failed reason=deaths end=exit:7");
    assert!(found[0].ends_with("supervise=begins"), "{found:?}");
    process::signal(supervise.pid(), Signal::TERM);
    assert_exit_0(supervise);
    let found = history(&tree, "a");
    assert!(found.iter().any(|line| line.starts_with("failed ") && line.ends_with("signal=TERM")));
}

#[test]
fn the_history_survives_a_killed_supervise() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.svc("-c", "a");
    let before = wait_last(&tree, "a", "command=c");
    // The service lives on, and then both die.
    let supervise = replace_supervise(&tree, supervise, "a");
    let adopted = wait_last(&tree, "a", &format!("up up pid={pid} supervise=begins"));
    assert_eq!(adopted[..before.len()], before);
    kill(supervise);
    process::signal(pid, Signal::KILL);
    wait_reaped(pid);
    let supervise = tree.supervise("a");
    let begins = || history(&tree, "a").get(adopted.len()).cloned();
    let began = wait_for("the next one has begun", PROMPT, begins);
    assert!(began.ends_with(" supervise=begins"), "{began}");
    assert_eq!(history(&tree, "a")[..adopted.len()], adopted);
    tree.svc("-c", "a");
    wait_last(&tree, "a", "command=c");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn the_history_survives_a_live_upgrade() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let before = wait_last(&tree, "a", "supervise=begins");
    process::signal(supervise.pid(), Signal::USR2);
    let after = wait_last(&tree, "a", &format!("up up pid={pid} supervise=begins"));
    assert_eq!(after[0], before[0]);
    assert_eq!(after.len(), 2);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_clock_that_was_set_back_keeps_the_order() {
    let tree = tree();
    tree.idle_service("a");
    // A change that the clock of the next supervisor dates before.
    let line = "@4000000100000000000001f4 41 up down end=exit:3";
    tree.write("a/supervise/history", format!("{line:127}\n"));
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let found = wait_last(&tree, "a", "supervise=begins");
    assert_eq!(found, ["up down end=exit:3", &*format!("down up pid={pid} supervise=begins")]);
    let bytes = tree.read("a/supervise/history");
    assert!(bytes[LINE..].windows(4).any(|part| part == b" 42 "));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn old_lines_are_overwritten_and_a_crash_loop_spares_the_commands() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    for _ in 0..10 {
        // A message of svc has each letter once. Each is recorded.
        tree.sh("printf cccccccccc >a/supervise/control").run().is(0, "", "");
    }
    tree.svc("-d", "a");
    tree.wait_down("a");
    let found = history(&tree, "a");
    let commands = found.iter().filter(|line| line.contains("command=")).count();
    assert_eq!(commands, 64, "{found:?}");
    assert!(found[0].ends_with("supervise=begins"), "{found:?}");
    // The next supervisor continues at the right places.
    let supervise = replace_supervise(&tree, supervise, "a");
    tree.svc("-c", "a");
    let later = wait_last(&tree, "a", "command=c");
    assert_eq!(later.iter().filter(|line| line.contains("command=")).count(), 64);
    assert!(later.iter().any(|line| line.ends_with("command=d")), "{later:?}");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn torn_and_foreign_contents_do_no_harm() {
    let tree = tree();
    let junk: [(&str, Vec<u8>); 4] = [
        ("empty", Vec::new()),
        ("binary", (0..40_000_u32).map(|n| (n % 251) as u8).collect()),
        ("short", b"@4000000065a1b2c30ee6b280 17 up st".to_vec()),
        ("large", vec![b'@'; 3_000_000]),
    ];
    for (dir, content) in junk {
        tree.idle_service(dir);
        tree.write(format!("{dir}/supervise/history"), content);
        let supervise = tree.supervise(dir);
        let pid = tree.wait_up(dir);
        let line = format!("down up pid={pid} supervise=begins");
        wait_until("the change is there", PROMPT, || {
            let bytes = tree.read(format!("{dir}/supervise/history"));
            bytes.windows(line.len()).any(|part| part == line.as_bytes())
        });
        assert_eq!(supervise.stderr(), "");
        stop_supervise(&tree, supervise, dir);
    }
}

#[test]
fn a_history_that_is_no_file_is_replaced_or_reported() {
    let tree = tree();
    tree.idle_service("fifo");
    tree.fifo("fifo/supervise/history", 0o600);
    let supervise = tree.supervise("fifo");
    tree.wait_up("fifo");
    wait_last(&tree, "fifo", "supervise=begins");
    stop_supervise(&tree, supervise, "fifo");
    tree.idle_service("dir");
    tree.mkdir("dir/supervise/history");
    let supervise = tree.supervise("dir");
    supervise.wait_stderr("supervise: warning: unable to open dir/supervise/history: ");
    tree.wait_up("dir");
    tree.svc("-c", "dir");
    stop_supervise(&tree, supervise, "dir");
}

/// The writes to the history and all calls, in the time in which `change` happens.
fn calls(tree: &Tree, change: impl FnOnce()) -> (usize, usize) {
    let text = || tree.text("calls");
    let before = text().lines().count();
    change();
    let text = text();
    let new: Vec<&str> = text.lines().skip(before).collect();
    let is_history = |line: &&&str| line.contains("pwrite64(") && line.contains(", \"@4000");
    (new.iter().filter(is_history).count(), new.len())
}

#[test]
fn a_change_costs_one_system_call() {
    let tree = tree();
    tree.idle_service("a");
    if !strace_works(&tree) {
        skip("strace does not work here");
        return;
    }
    let _supervise = tree.sh("exec strace -s 200 -o calls supervise a").start();
    let pid = wait_settled(&tree, "a");
    let (restart, _) = calls(&tree, || {
        process::signal(pid, Signal::KILL);
        tree.wait_restart("a", pid);
    });
    assert_eq!(restart, 1, "{}", tree.text("calls"));
    let (stop, _) = calls(&tree, || {
        tree.svc("-d", "a");
        tree.wait_down("a");
    });
    // The command, and the end of the service.
    assert_eq!(stop, 2, "{}", tree.text("calls"));
}

#[test]
fn starts_and_deaths_are_counted_by_their_cause() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\ntest -e quit && rm quit && exit 7\nexec sleep 1000\n");
    let supervise = tree.supervise("a");
    let first = wait_settled(&tree, "a");
    wait_counters(&tree, "a", "1,0,0,0,0,0");
    // A signal that no command has sent.
    tree.write("a/quit", "");
    process::signal(first, Signal::KILL);
    // The next process exits by itself, and is followed by another one.
    wait_counters(&tree, "a", "3,1,1,0,0,0");
    let third = wait_settled(&tree, "a");
    tree.svc("-t", "a");
    tree.wait_restart("a", third);
    wait_counters(&tree, "a", "4,1,1,1,0,0");
    tree.svc("-d", "a");
    tree.wait_down("a");
    wait_counters(&tree, "a", "4,1,1,2,0,0");
    // An exit in order does not end the counting.
    stop_supervise(&tree, supervise, "a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    wait_counters(&tree, "a", "5,1,1,2,0,0");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_watchdog_that_ends_a_service_is_another_cause() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    tree.write("a/notification-fd", "3\n");
    tree.write("a/timeout-ready", "1\n");
    tree.write("a/restart-limit", "1 in 60s\n");
    let supervise = tree.supervise("a");
    wait_counters(&tree, "a", "1,0,0,0,1,0");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn counters_survive_a_kill_and_a_live_upgrade() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    process::signal(pid, Signal::KILL);
    tree.wait_restart("a", pid);
    wait_counters(&tree, "a", "2,0,1,0,0,0");
    // An adopted process is not a start.
    let supervise = replace_supervise(&tree, supervise, "a");
    tree.svc("-c", "a");
    wait_last(&tree, "a", "command=c");
    assert_eq!(counters(&tree, "a"), "2,0,1,0,0,0");
    process::signal(supervise.pid(), Signal::USR2);
    wait_until("the next one has begun", PROMPT, || {
        history(&tree, "a").iter().filter(|line| line.ends_with("supervise=begins")).count() == 3
    });
    assert_eq!(counters(&tree, "a"), "2,0,1,0,0,0");
    // A death while no supervise runs is counted by the next one, which has not seen its end.
    let pid = tree.wait_up("a");
    kill(supervise);
    process::signal(pid, Signal::KILL);
    wait_reaped(pid);
    let supervise = tree.supervise("a");
    tree.wait_restart("a", pid);
    wait_counters(&tree, "a", "3,0,1,0,0,1");
    stop_supervise(&tree, supervise, "a");
}
