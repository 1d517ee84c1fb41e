//! `svscan -p` and `-j`: the output of services, line by line with the name of the service.

mod containers;
mod deaths;
mod lines;
mod other_users;
mod stop;

use harness::{Cmd, DEADLINE, Process, Tree, process, wait_for};

/// `svscan OPTIONS s`.
fn svscan<'t>(tree: &'t Tree, option: &str) -> Cmd<'t> {
    tree.mkdir("s");
    tree.cmd("svscan").args([option, "s"])
}

/// A service that does this once and then sleeps.
fn once(tree: &Tree, dir: &str, script: &str) {
    tree.service(dir, &format!("#!/bin/sh\n{script}\nexec sleep 1000\n"));
}

/// The copier of a svscan: its child with the same arguments.
#[track_caller]
fn copier_of(svscan: u32) -> u32 {
    let is_copier = |pid: &u32| {
        process::parent(*pid) == Some(svscan)
            && process::arguments(*pid).first().is_some_and(|it| it == "svscan")
    };
    wait_for("there is a copier", DEADLINE, || {
        process::descendants(svscan).into_iter().find(is_copier)
    })
}

/// Waits until svscan has written this many lines to its standard output.
#[track_caller]
fn wait_out(svscan: &Process, lines: usize) -> String {
    wait_for(&format!("{lines} lines"), DEADLINE, || {
        let out = svscan.stdout();
        (out.lines().count() >= lines).then_some(out)
    })
}

/// The numbers in the lines of one service, in order.
#[track_caller]
fn numbers(out: &str, name: &str) -> Vec<u32> {
    let prefix = format!("{name}: ");
    let number = |line: &str| line.strip_prefix(&prefix).map(|n| n.parse().expect("a number"));
    out.lines().filter_map(number).collect()
}
