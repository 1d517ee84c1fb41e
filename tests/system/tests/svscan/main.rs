//! svscan: what it does better than the original.

mod failures;
mod late_loggers;
mod loggers;
mod renames;
mod scan_directory;
mod service_manager;
mod stop;

use harness::{Cmd, DEADLINE, Process, Tree, process, wait_until};
use std::path::{Path, PathBuf};
use std::time::Duration;
use system::PROMPT;

/// Longer than a name may be missing without an effect.
const GRACE: Duration = Duration::from_millis(1500);

/// `svscan s`, in whose services `$ORDER` names the file `order`.
fn command(tree: &Tree) -> Cmd<'_> {
    tree.mkdir("s");
    tree.cmd("svscan").env("ORDER", tree.path("order"))
}

fn svscan(tree: &Tree) -> Process {
    command(tree).arg("s").start()
}

/// Makes an idle service in `real`, and a link to it.
#[track_caller]
fn link(tree: &Tree, name: &str) {
    tree.idle_service(format!("real/{name}"));
    tree.symlink(format!("../real/{name}"), format!("s/{name}"));
}

/// Starts svscan with a supervise of another version in PATH. That of the service `a` begins when `go`
/// exists; until then it reads no signals. Returns when it has been started.
#[track_caller]
fn svscan_with_slow_supervise(tree: &Tree) -> Process {
    let code = "select undef, undef, undef, 0.01 until -e $ENV{GO}; exec @ARGV";
    let supervise = tree.suite().bin().join("supervise").display().to_string();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = a ] && [ ! -e \"$GO\" ] || exec {supervise} \"$@\"\n\
         exec perl -e 'exec {{\"perl\"}} \"supervise\", \"-e\", q{{{code}}}, @ARGV' {supervise} \"$@\"\n"
    );
    tree.script("slow/supervise", script);
    let bin = tree.suite().bin().display().to_string();
    let path = format!("{}:{bin}:/usr/bin:/bin", tree.path("slow").display());
    let svscan = command(tree).arg("s").env("PATH", path).env("GO", tree.path("go")).start();
    wait_until("the supervise is started", DEADLINE, || {
        let programs = tree.processes().into_iter().map(process::arguments);
        programs.into_iter().any(|it| it.first().is_some_and(|name| name == "supervise"))
    });
    svscan
}

/// Waits briefly until a service runs.
#[track_caller]
fn wait_up_soon(tree: &Tree, dir: impl AsRef<Path>) -> u32 {
    let dir = dir.as_ref();
    wait_until(&format!("{} is supervised", dir.display()), PROMPT, || tree.is_supervised(dir));
    tree.wait_up(dir)
}

/// A service that writes `start NAME` to `$ORDER` and, after TERM, `stop NAME`. Before the latter
/// it runs `before_stop` and prints `last words`.
#[track_caller]
fn ordered_service(tree: &Tree, dir: impl AsRef<Path>, name: &str, before_stop: &str) -> PathBuf {
    tree.service(
        dir,
        &format!(
            "#!/bin/sh\ntrap '{before_stop}\necho last words; echo stop {name} >>\"$ORDER\"; \
             exit 0' TERM\n[ -p idle ] || mkfifo idle\nexec 8<>idle\n\
             echo start {name} >>\"$ORDER\"\nwhile :; do read -r line <&8; done\n"
        ),
    )
}

/// A logger that appends its input to `logged`, and writes `stop NAME/log` to `$ORDER` at the end
/// of its input. Its starts are in `started`.
#[track_caller]
fn logger(tree: &Tree, dir: impl AsRef<Path>, name: &str) {
    tree.service(
        dir.as_ref().join("log"),
        &format!(
            "#!/bin/sh\necho $$ >>started\n\
             while read -r line; do echo \"$line\"; done >>logged\n\
             echo stop {name}/log >>\"$ORDER\"\n"
        ),
    );
}

/// Waits until `order` has so many lines, and returns them.
#[track_caller]
fn order(tree: &Tree, lines: usize) -> Vec<String> {
    tree.wait_lines("order", lines)
}

/// Points a link to another directory, atomically.
#[track_caller]
fn replace(tree: &Tree, target: &str, name: &str) {
    tree.symlink(target, "s/.new");
    tree.rename("s/.new", name);
}
