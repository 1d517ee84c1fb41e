//! The order of a stop: a service ends before the services that it needs.

use crate::{last_pid, wait_ended};
use harness::{Signal, Tree, process};
use std::time::{Duration, Instant};
use system::{
    assert_exit_0, count, replace_supervise, stop_supervise, tree, wait_phase, wait_settled,
};

/// A service that writes its name into `order` when it ends, so many seconds after TERM.
fn service(tree: &Tree, name: &str, seconds: &str, needs: &str) {
    tree.service(
        format!("scan/{name}"),
        &format!(
            "#!/usr/bin/perl\n$SIG{{TERM}} = sub {{\n select(undef, undef, undef, {seconds});\n \
             open(my $order, '>>', '../../order') or die;\n print $order \"{name}\\n\";\n \
             close $order;\n exit 0;\n}};\nopen(my $started, '>>', 'started') or die;\n\
             print $started \"$$\\n\";\nclose $started;\nsleep 1000 while 1;\n"
        ),
    );
    if !needs.is_empty() {
        tree.write(format!("scan/{name}/needs"), needs);
    }
}

/// Waits until all of these services run.
fn wait_started(tree: &Tree, names: &[&str]) {
    for name in names {
        tree.wait_lines(format!("scan/{name}/started"), 1);
        tree.wait_up(format!("scan/{name}"));
    }
}

#[test]
fn svscan_stops_a_service_before_what_it_needs() {
    let tree = tree();
    service(&tree, "disk", "0", "");
    service(&tree, "db", "0.3", "disk\n");
    service(&tree, "web", "0.3", "db restart\n");
    let svscan = tree.cmd("svscan").arg("scan").start();
    wait_started(&tree, &["disk", "db", "web"]);
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    assert_eq!(tree.text("order"), "web\ndb\ndisk\n");
}

#[test]
fn commands_stop_a_service_before_what_it_needs() {
    let tree = tree();
    service(&tree, "db", "0", "");
    service(&tree, "web", "0.3", "db\n");
    let supervises = ["scan/db", "scan/web"].map(|dir| tree.supervise(dir));
    wait_started(&tree, &["db", "web"]);
    // The needed service gets the command first.
    tree.cmd("svc").args(["-dx", "scan/db", "scan/web"]).run().is(0, "", "");
    supervises.into_iter().for_each(assert_exit_0);
    assert_eq!(tree.text("order"), "web\ndb\n");
}

#[test]
fn a_service_that_restarts_with_what_it_needs_ends_first() {
    let tree = tree();
    service(&tree, "db", "0", "");
    service(&tree, "web", "0.3", "db restart\n");
    let needed = tree.supervise("scan/db");
    let supervise = tree.supervise("scan/web");
    wait_started(&tree, &["db", "web"]);
    tree.svc("-d", "scan/db");
    tree.wait_down("scan/db");
    assert_eq!(tree.text("order"), "web\ndb\n");
    wait_phase(&tree, "scan/web", "blocked");
    let line = "supervise: warning: restarting scan/web: it needs scan/db, which is to stop\n";
    assert_eq!(supervise.stderr(), line.replace("needs scan/db", "needs db"));
    tree.svc("-u", "scan/db");
    tree.wait_lines("scan/web/started", 2);
    stop_supervise(&tree, supervise, "scan/web");
    stop_supervise(&tree, needed, "scan/db");
}

#[test]
fn a_service_that_keeps_running_delays_no_stop_for_long() {
    let tree = tree();
    service(&tree, "db", "0", "");
    service(&tree, "web", "0", "db\n");
    let needed = tree.supervise("scan/db");
    let supervise = tree.supervise("scan/web");
    wait_started(&tree, &["db", "web"]);
    let pid = wait_settled(&tree, "scan/web");
    let start = Instant::now();
    tree.svc("-d", "scan/db");
    tree.wait_down("scan/db");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!((tree.wait_up("scan/web"), tree.text("order").as_str()), (pid, "db\n"));
    tree.svc("-u", "scan/db");
    tree.wait_lines("scan/db/started", 2);
    tree.svc("-t", "scan/web");
    tree.wait_restart("scan/web", pid);
    tree.wait_lines("scan/web/started", 2);
    stop_supervise(&tree, supervise, "scan/web");
    stop_supervise(&tree, needed, "scan/db");
}

#[test]
fn a_service_that_others_need_can_be_restarted() {
    let tree = tree();
    service(&tree, "db", "0", "");
    service(&tree, "web", "0.3", "db restart\n");
    service(&tree, "cron", "0", "db\n");
    let needed = tree.supervise("scan/db");
    let supervises = ["scan/web", "scan/cron"].map(|dir| tree.supervise(dir));
    wait_started(&tree, &["db", "web", "cron"]);
    let cron = tree.wait_up("scan/cron");
    // In one message, and in two.
    for (number, messages) in [(2, &["-du"][..]), (3, &["-d", "-u"])] {
        let db = wait_settled(&tree, "scan/db");
        for message in messages {
            tree.svc(message, "scan/db");
        }
        tree.wait_restart("scan/db", db);
        tree.wait_lines("scan/web/started", number);
        tree.wait_up("scan/web");
    }
    assert_eq!(tree.text("order"), "web\ndb\nweb\ndb\n");
    assert_eq!(tree.wait_up("scan/cron"), cron);
    for (supervise, dir) in supervises.into_iter().zip(["scan/web", "scan/cron"]) {
        assert_eq!(count(&supervise.stderr(), "restarting"), if dir == "scan/web" { 2 } else { 0 });
        stop_supervise(&tree, supervise, dir);
    }
    stop_supervise(&tree, needed, "scan/db");
}

#[test]
fn a_service_that_refuses_to_end_does_not_block_the_others() {
    let tree = tree();
    service(&tree, "db", "0", "");
    tree.trapping_service("scan/web", &["TERM"]);
    tree.write("scan/web/needs", "db\n");
    tree.trapping_service("scan/cron", &["TERM"]);
    tree.write("scan/cron/needs", "db\n");
    tree.write("scan/cron/timeout-kill", "300ms\n");
    let needed = tree.supervise("scan/db");
    let web = tree.supervise("scan/web");
    let cron = tree.supervise("scan/cron");
    wait_started(&tree, &["db", "web", "cron"]);
    let killed = tree.wait_up("scan/cron");
    tree.cmd("svc").args(["-dx", "scan/db", "scan/web", "scan/cron"]).run().is(0, "", "");
    wait_ended(killed);
    cron.wait_stderr("killing");
    assert_exit_0_with_words(cron);
    assert!(!tree.exists("order"), "web still runs");
    let said = web.wait_stderr("not ended in time");
    let line =
        "supervise: warning: scan/web has not ended in time: the services that it needs stop now";
    assert_eq!(count(&said, line), 1, "{said}");
    let output = needed.wait();
    assert_eq!((output.code, tree.text("order").as_str()), (Some(0), "db\n"), "{output}");
    tree.svc("-k", "scan/web");
    assert_exit_0_with_words(web);
}

/// Waits for the end of a supervise that has printed something.
fn assert_exit_0_with_words(process: harness::Process) {
    let output = process.wait();
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn killed_supervises_lose_no_stop() {
    let tree = tree();
    service(&tree, "db", "0", "");
    service(&tree, "web", "1.5", "db\n");
    let needed = tree.supervise("scan/db");
    let supervise = tree.supervise("scan/web");
    wait_started(&tree, &["db", "web"]);
    let pid = last_pid(&tree, "scan/web/started", 1);
    // The next supervise of the dependent has its claim.
    let supervise = replace_supervise(&tree, supervise, "scan/web");
    tree.cmd("svc").args(["-d", "scan/db", "scan/web"]).run().is(0, "", "");
    tree.wait_want("scan/db", b'd');
    tree.wait_want("scan/web", b'd');
    tree.wait_down("scan/db");
    assert_eq!(tree.text("order"), "web\ndb\n");
    assert!(!process::is_alive(pid));
    // The supervise of the needed service dies while it waits.
    tree.remove("order");
    tree.svc("-u", "scan/db");
    tree.svc("-u", "scan/web");
    tree.wait_lines("scan/db/started", 2);
    tree.wait_lines("scan/web/started", 2);
    tree.cmd("svc").args(["-d", "scan/db", "scan/web"]).run().is(0, "", "");
    tree.wait_want("scan/db", b'd');
    let needed = replace_supervise(&tree, needed, "scan/db");
    tree.wait_down("scan/db");
    tree.wait_down("scan/web");
    stop_supervise(&tree, supervise, "scan/web");
    stop_supervise(&tree, needed, "scan/db");
}
