//! takeover: the processes of services stay while their supervision passes to another suite.

use crate::Services;
use harness::{Cmd, Output, Process, Signal, Tree, original, process, wait_until};
use std::path::{Path, PathBuf};

/// A tree whose scan directory `s` another suite supervises.
struct Other {
    services: Services,
    scanner: Process,
}

const LOGGED: &str = "#!/bin/sh\necho $$ >>started\necho started $$\nexec sleep 1000\n";

impl Other {
    /// Makes services, and starts the scanner that `command` makes.
    fn start(logger: &str, command: impl Fn(&Tree) -> Process) -> Self {
        let tree = Tree::new();
        tree.idle_service("s/up");
        tree.idle_service("s/stopped");
        tree.idle_service("s/held");
        tree.write("s/held/down", "");
        tree.service("s/logged", LOGGED);
        tree.mkdir("s/logged/log/main");
        tree.service("s/logged/log", &format!("#!/bin/sh\nexec {logger} ./main\n"));
        let scanner = command(&tree);
        for dir in ["s/up", "s/stopped", "s/logged", "s/logged/log"] {
            tree.wait_up(dir);
        }
        for dir in ["s/up", "s/stopped", "s/logged"] {
            tree.wait_lines(format!("{dir}/started"), 1);
        }
        tree.wait_supervised("s/held");
        tree.wait_text("s/logged/log/main/current", "started ");
        tree.svc("-d", "s/stopped");
        tree.wait_down("s/stopped");
        Self { services: Services { tree, svscan: None }, scanner }
    }

    /// The original, as its svscanboot starts it.
    fn original() -> Self {
        Self::start("multilog", |tree| {
            let svscan = original().join("svscan");
            let command = tree.cmd(svscan.to_str().expect("ASCII")).arg0("svscan").arg("s");
            command.env("PATH", original_path()).env("OF_SVSCAN", "inherited").start()
        })
    }

    fn tree(&self) -> &Tree {
        &self.services.tree
    }

    /// Runs `svctl takeover`. Its PATH has our programs first.
    #[track_caller]
    fn takeover(&self, arguments: &[&str]) -> Output {
        let command: Cmd<'_> = self.services.svctl().arg("takeover").args(arguments);
        command.run()
    }

    /// The processes of the two services that are up, and of the logger.
    fn pids(&self) -> [u32; 3] {
        ["s/up", "s/logged", "s/logged/log"].map(|dir| self.tree().wait_up(dir))
    }

    /// Asserts that services which were down have not been started, and nothing is left behind.
    #[track_caller]
    fn assert_down_as_before(&self) {
        for dir in ["s/stopped", "s/held"] {
            assert_eq!(self.tree().wait_down(dir).pid(), 0, "{dir}");
        }
        assert!(!self.tree().exists("s/held/started"));
        assert_eq!(self.tree().wait_lines("s/stopped/started", 1).len(), 1);
        assert!(!self.tree().exists("s/stopped/down"));
        assert!(self.tree().exists("s/held/down"));
    }

    /// Ends the new svscan, which is no child of the test.
    fn stop(&self) {
        for pid in self.svscans() {
            process::signal(pid, Signal::TERM);
            process::wait_gone(pid);
        }
    }

    fn svscans(&self) -> Vec<u32> {
        let dir = self.tree().path("s");
        let scans = |pid: &u32| {
            process::directory(*pid).is_some_and(|found| found == dir)
                && program(*pid).file_name().is_some_and(|name| name == "daemontools")
        };
        self.tree().processes().into_iter().filter(scans).collect()
    }
}

/// Whether another suite can be run under its own names. A package that is only unpacked may need the
/// dynamic loader in front of its programs, which hides the names.
fn has_suite(programs: [&str; 2]) -> bool {
    if !programs.iter().all(|program| harness::requires(program)) {
        return false;
    }
    let read = |name| std::fs::read(harness::Suite::get().program(name)).unwrap_or_default();
    let is_native = programs.iter().all(|name| read(name).starts_with(b"\x7fELF"));
    if !is_native {
        harness::skip(&format!("{} is not installed, only unpacked", programs[0]));
    }
    is_native
}

/// A PATH in which the original's programs come first.
fn original_path() -> String {
    format!("{}:/usr/bin:/bin", original().display())
}

fn program(pid: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default()
}

/// The program of the supervisor that has `ok` open.
#[track_caller]
fn supervisor(tree: &Tree, dir: &str) -> PathBuf {
    let ok = tree.path(dir).join("supervise/ok");
    let find = || tree.processes().into_iter().find(|&pid| process::has_open(pid, &ok));
    program(harness::wait_for(&format!("a supervisor of {dir}"), harness::DEADLINE, find))
}

#[track_caller]
fn assert_supervisors(tree: &Tree, dirs: &[&str], program: &Path) {
    for dir in dirs {
        assert_eq!(supervisor(tree, dir), program, "{dir}");
    }
}

fn ours() -> PathBuf {
    harness::Suite::get().program("supervise").canonicalize().expect("a full name")
}

const ALL: [&str; 5] = ["s/up", "s/logged", "s/logged/log", "s/stopped", "s/held"];

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let other = Other::original();
    let pids = other.pids();
    let output = other.takeover(&["--dry-run", "--now"]);
    assert_eq!(output.code, Some(0), "{output}");
    for line in [
        &*format!("would kill svscan (pid {}, ", other.scanner.pid()),
        "would start ",
        &format!("up: pid {} under supervise (pid ", pids[0]),
        "its supervise would adopt the process now",
        "stopped: down under supervise (pid ",
    ] {
        assert!(output.out().contains(line), "{line}: {output}");
    }
    assert!(process::is_alive(other.scanner.pid()));
    assert_supervisors(other.tree(), &ALL, &original().join("supervise"));
    assert_eq!(other.pids(), pids);
}

#[test]
fn services_of_the_original_keep_their_processes_and_change_when_they_end() {
    let other = Other::original();
    let pids = other.pids();
    let output = other.takeover(&[]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(other.pids(), pids);
    assert!(
        output.out().contains(&format!("up: pid {} as before; changes when", pids[0])),
        "{output}"
    );
    assert!(output.out().contains("stopped: down as before, under supervise"), "{output}");
    assert!(!process::is_alive(other.scanner.pid()));
    other.assert_down_as_before();
    let tree = other.tree();
    assert_supervisors(tree, &ALL[..3], &original().join("supervise"));
    assert_supervisors(tree, &ALL[3..], &ours());
    // The services and the logger end by themselves.
    for (dir, pid) in ["s/up", "s/logged", "s/logged/log"].into_iter().zip(pids) {
        process::signal(pid, Signal::TERM);
        let next = tree.wait_restart(dir, pid);
        assert_eq!(supervisor(tree, dir), ours(), "{dir}");
        let inherited = process::environment(next).iter().any(|it| it == "OF_SVSCAN=inherited");
        assert!(inherited, "{dir} has the environment of the old svscan");
    }
    let next = tree.wait_up("s/logged");
    tree.wait_text("s/logged/log/main/current", &format!("started {next}\n"));
    // svscan does not look for a logger while its service runs.
    tree.idle_service("s/up/log");
    let output = other.takeover(&["--now"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().contains("up: nothing to do"), "{output}");
    assert!(output.out().contains("up/log: not supervised: svctl doctor says why"), "{output}");
    other.stop();
}

#[test]
fn ours_adopts_the_services_of_the_original_now_and_gives_them_back() {
    let other = Other::original();
    let pids = other.pids();
    let output = other.takeover(&["--now"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(other.pids(), pids);
    other.assert_down_as_before();
    let tree = other.tree();
    assert_supervisors(tree, &ALL, &ours());
    // The logger still reads from the service.
    tree.svc("-t", "s/logged");
    let next = tree.wait_restart("s/logged", pids[1]);
    tree.wait_text("s/logged/log/main/current", &format!("started {next}\n"));
    assert_eq!(tree.wait_up("s/logged/log"), pids[2]);

    let to = original().to_str().expect("ASCII");
    let pids = other.pids();
    let output = other.takeover(&["--to", to]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(other.pids(), pids);
    other.assert_down_as_before();
    assert_supervisors(tree, &ALL[3..], &original().join("supervise"));
    let output = other.takeover(&["--to", to, "--restart"]);
    assert_eq!(output.code, Some(0), "{output}");
    other.assert_down_as_before();
    assert_supervisors(tree, &ALL, &original().join("supervise"));
    let next = tree.wait_up("s/logged");
    tree.wait_text("s/logged/log/main/current", &format!("started {next}\n"));
    let output = other.takeover(&["--to", to, "--now"]);
    assert_eq!(output.code, Some(100), "{output}");
    assert!(output.err().contains("its supervise adopts no process"), "{output}");
}

#[test]
fn a_process_that_would_not_be_adopted_is_left_or_restarted() {
    let other = Other::original();
    let tree = other.tree();
    let pids = other.pids();
    tree.chmod("s/up/supervise", 0o777);
    let output = other.takeover(&["--now"]);
    assert_eq!(output.code, Some(0), "{output}");
    let line = "when that ends (not now: others can have made its status)";
    assert!(output.out().contains(line), "{output}");
    assert_eq!(other.pids(), pids);
    assert_eq!(supervisor(tree, "s/up"), original().join("supervise"));
    let output = other.takeover(&["--restart"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(supervisor(tree, "s/up"), ours());
    let now = other.pids();
    assert!(now[0] != pids[0] && now[1..] == pids[1..], "{now:?}, {pids:?}");
    assert_eq!(tree.wait_lines("s/up/started", 2).len(), 2);
    other.stop();
}

#[test]
fn a_service_that_is_restarted_comes_up_in_spite_of_its_file_down() {
    let other = Other::original();
    let tree = other.tree();
    tree.write("s/up/down", "");
    tree.chmod("s/up/supervise", 0o777);
    let before = tree.wait_up("s/up");
    let output = other.takeover(&[]);
    assert_eq!(output.code, Some(0), "{output}");
    let line = format!("up: pid {before} as before; changes when that ends, and stays down then");
    assert!(output.out().contains(&line), "{output}");
    let output = other.takeover(&["--restart"]);
    assert_eq!(output.code, Some(0), "{output}");
    let now = tree.wait_restart("s/up", before);
    assert!(output.out().contains(&format!("up: pid {now}, started under")), "{output}");
    assert_eq!(supervisor(tree, "s/up"), ours());
    assert!(tree.exists("s/up/down"));
    other.stop();
}

/// A supervise whose program has another name stands for that of encore: it writes the same status of two
/// processes.
#[test]
fn a_supervise_that_runs_the_logger_as_well_is_replaced_at_once() {
    let tree = Tree::new();
    tree.mkdir("encore");
    for name in ["svscan", "supervise"] {
        std::fs::copy(ours(), tree.path("encore").join(name)).expect("a copy");
    }
    tree.service("s/both", LOGGED);
    tree.mkdir("s/both/main");
    tree.script("s/both/log", "#!/bin/sh\nexec multilog ./main\n");
    tree.write("s/both/personality", "encore\n");
    let multilog = harness::Suite::get().program("multilog");
    let dirs = [&tree.path("encore"), multilog.parent().expect("a directory")];
    let path = format!("{}:{}:/usr/bin:/bin", dirs[0].display(), dirs[1].display());
    let scanner = tree.cmd("encore/svscan").arg0("svscan").arg("s").env("PATH", &path).start();
    let pid = tree.wait_up("s/both");
    tree.wait_text("s/both/main/current", "started ");
    let other = Other { services: Services { tree, svscan: None }, scanner };
    let tree = other.tree();
    tree.rename("s/both/personality", "s/both/saved");
    let output = other.takeover(&["--now"]);
    assert_eq!(output.code, Some(1), "{output}");
    let line = "both: stays as it is: its file log counts only with a file personality that contains encore";
    assert!(output.out().contains(line), "{output}");
    tree.rename("s/both/saved", "s/both/personality");
    let output = other.takeover(&[]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().contains(&format!("both: pid {pid} as before, under ")), "{output}");
    assert_eq!(supervisor(tree, "s/both"), ours());
    tree.svc("-t", "s/both");
    let next = tree.wait_restart("s/both", pid);
    tree.wait_text("s/both/main/current", &format!("started {next}\n"));
    other.stop();
}

#[test]
fn services_of_runit_keep_their_processes() {
    if !has_suite(["runsvdir", "svlogd"]) {
        return;
    }
    let other = Other::start("svlogd", |tree| tree.cmd("runsvdir").arg("s").start());
    let tree = other.tree();
    tree.write("s/up/finish", "#!/bin/sh\n");
    let pids = other.pids();
    let output = other.takeover(&[]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(other.pids(), pids);
    other.assert_down_as_before();
    assert_supervisors(tree, &ALL, &ours());
    let note = "up: note: its finish counts only with a file personality that contains runit";
    assert!(output.out().contains(note), "{output}");
    tree.svc("-t", "s/logged");
    let next = tree.wait_restart("s/logged", pids[1]);
    tree.wait_text("s/logged/log/main/current", &format!("started {next}\n"));
    other.stop();
}

#[test]
fn a_runsv_whose_processes_would_not_be_adopted_stays_until_a_restart() {
    if !has_suite(["runsvdir", "svlogd"]) {
        return;
    }
    let other = Other::start("svlogd", |tree| tree.cmd("runsvdir").arg("s").start());
    let tree = other.tree();
    let pids = other.pids();
    tree.chmod("s/up/supervise", 0o777);
    let output = other.takeover(&[]);
    assert_eq!(output.code, Some(1), "{output}");
    let line = "up: stays as it is: others can have made its status (--restart)";
    assert!(output.out().contains(line), "{output}");
    assert_eq!(other.pids(), pids);
    let output = other.takeover(&["--restart"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_supervisors(tree, &ALL, &ours());
    let now = other.pids();
    assert!(now[0] != pids[0] && now[1..] == pids[1..], "{now:?}, {pids:?}");
    other.stop();
}

#[test]
fn nothing_is_killed_if_no_program_can_take_over() {
    let other = Other::original();
    let output = other.takeover(&["--to", "missing"]);
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.err().contains("unable to find svscan in missing"), "{output}");
    let tree = other.tree();
    tree.mkdir("bin");
    for name in ["daemontools", "supervise"] {
        tree.script(format!("bin/{name}"), "#!/bin/sh\nexit 3\n");
    }
    tree.symlink("daemontools", "bin/svscan");
    let output = other.takeover(&["--to", "bin"]);
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.err().contains("bin/svscan: exit status: 3"), "{output}");
    wait_until("svscan is alive", harness::DEADLINE, || process::is_alive(other.scanner.pid()));
    assert_supervisors(tree, &ALL, &original().join("supervise"));
}

#[test]
fn services_of_s6_are_refused() {
    if !has_suite(["s6-svscan", "s6-supervise"]) {
        return;
    }
    let tree = Tree::new();
    tree.idle_service("s/a");
    let scanner = tree.cmd("s6-svscan").arg("s").start();
    tree.wait_lines("s/a/started", 1);
    let other = Other { services: Services { tree, svscan: None }, scanner };
    for arguments in [&["--dry-run"][..], &["--restart"]] {
        let output = other.takeover(arguments);
        assert_eq!(output.code, Some(111), "{output}");
        assert!(output.err().contains("stop it first: s6-svscanctl -t s"), "{output}");
    }
    assert_eq!(other.tree().wait_lines("s/a/started", 1).len(), 1);
}

#[test]
fn a_scanner_of_another_user_is_not_replaced() {
    if harness::without_root() {
        return;
    }
    let tree = Tree::new();
    tree.idle_service("s/a");
    // A copy: the account may not reach the original.
    let svscan = tree.copy_program(original().join("svscan"), "bin/svscan");
    let (_, user, group) = harness::account();
    let (user, group) = (user.to_string(), group.to_string());
    let ids = ["setpriv", "--reuid", &user, "--regid", &group, "--clear-groups", "--"];
    let foreign = tree.cmd(svscan.to_str().expect("ASCII")).arg("s");
    // It can start no supervise there.
    let foreign = foreign.env("OF_SVSCAN", "foreign").under(ids).start();
    let dir = tree.path("s");
    wait_until("svscan stands in its directory", harness::DEADLINE, || {
        process::directory(foreign.pid()).is_some_and(|found| found == dir)
    });
    let other = Other { services: Services { tree, svscan: None }, scanner: foreign };
    let output = other.takeover(&[]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!output.out().contains("killed"), "{output}");
    assert!(process::is_alive(other.scanner.pid()));
    let pid = other.tree().wait_up("s/a");
    let is_foreign = process::environment(pid).iter().any(|it| it == "OF_SVSCAN=foreign");
    assert!(!is_foreign);
    other.stop();
}
