//! Latencies: a new service, a death, a command, a status.

use crate::tree::{DEADLINE, ScanTree};
use crate::{Bench, Context, Measured, Row, Table, exec_loop, guard, milliseconds, now};
use harness::{Signal, process};
use std::process::Child;
use std::thread;
use std::time::Duration;

const SERVICES: u32 = 6;

/// The pause before each measurement of a kill or a stop.
///
/// The first measurement after a pause pays for what that has made cold (caches, and the processor
/// itself in a virtual machine): three times as much for the same program. Some suites wait a second
/// themselves, and so make the next one pay. With a pause of its own, each measurement pays the same.
const PAUSE: Duration = Duration::from_millis(150);

/// Runs a tree of each suite at the same time, and measures them in turns.
pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    let start = |suite| {
        let mut tree = ScanTree::new(&bench.work_dir, suite, SERVICES, false)?;
        tree.start()?;
        tree.wait_up(SERVICES, DEADLINE)?;
        Ok(tree)
    };
    let mut trees: Vec<Measured<ScanTree>> = bench.suites.iter().map(start).collect();
    for (column, tree) in trees.iter().enumerate() {
        if let Err(why) = tree {
            for row in [Row::NewLink, Row::Killed, Row::Down, Row::DownAtOnce, Row::Svstat] {
                table.add(row, column, Err(why.clone()));
            }
        }
    }
    let mut live: Vec<(usize, &mut ScanTree)> = trees
        .iter_mut()
        .enumerate()
        .filter_map(|(at, tree)| Some((at, tree.as_mut().ok()?)))
        .collect();
    new_links(bench, &mut live, table);
    killed_services(bench, &mut live, table);
    downs(bench, &mut live, table);
    svstats(bench, &mut live, table);
}

/// Makes links at moments without relation to the scanner's schedule.
fn new_links(bench: &Bench, live: &mut [(usize, &mut ScanTree)], table: &mut Table) {
    let trials = if bench.long { 20 } else { 8 };
    let mut before = vec![];
    let mut rescans: Vec<Child> = vec![];
    for trial in 0..trials {
        for (column, tree) in live.iter_mut() {
            let number = SERVICES + trial;
            let linked = tree.make(number).and_then(|()| {
                let at = now();
                tree.link(number)?;
                if let Some(command) = tree.suite.rescan(&tree.dir.join("scan").to_string_lossy()) {
                    rescans.push(tree.command(&command).spawn().context("tell the scanner")?);
                    table.remark(Row::NewLink, *column, ", by s6-svscanctl");
                }
                Ok(at)
            });
            before.push((*column, number, linked));
            thread::sleep(Duration::from_millis(30));
        }
        // Each turn begins with another suite: the first one follows the longest pause.
        live.rotate_left(1);
        // Between 0.2 and 1.1 s; no two moments in the five seconds of a scan are the same.
        thread::sleep(Duration::from_millis(200 + u64::from(trial) * 387 % 900));
    }
    for (column, number, linked) in before {
        let tree = live.iter_mut().find(|(at, _)| *at == column);
        let value = linked.and_then(|at| {
            let tree = &mut tree.ok_or("no tree")?.1;
            Ok(milliseconds(at, tree.wait_start(number, 0, DEADLINE)?.at))
        });
        table.add(Row::NewLink, column, value);
    }
    for mut child in rescans {
        guard::wait(&mut child, DEADLINE);
    }
}

/// Kills each service once, after more than a second of uptime.
fn killed_services(bench: &Bench, live: &mut [(usize, &mut ScanTree)], table: &mut Table) {
    for _ in 0..if bench.long { 4 } else { 1 } {
        let mut bare = BareStarter::start(bench);
        thread::sleep(Duration::from_millis(2300));
        for number in 0..SERVICES {
            for (column, tree) in live.iter_mut() {
                thread::sleep(PAUSE);
                table.add(Row::Killed, *column, kill_service(tree, number));
            }
            let limit = table.limit();
            thread::sleep(PAUSE);
            let killed = match &mut bare {
                Ok(bare) => bare.kill(number),
                Err(why) => Err(why.clone()),
            };
            table.add(Row::Killed, limit, killed);
        }
    }
}

fn kill_service(tree: &mut ScanTree, number: u32) -> Measured<f64> {
    let old = tree.starts.get(&number).ok_or("no such service")?.pid;
    let before = now();
    process::signal(old, Signal::KILL);
    let start = tree.wait_start(number, old, DEADLINE)?;
    if process::is_alive(old) {
        return Err("two of the same service run".to_owned());
    }
    tree.wait_status(number, false)?;
    Ok(milliseconds(before, start.at))
}

/// The limit: a program that only waits for its children and starts them again.
struct BareStarter<'b> {
    tree: ScanTree<'b>,
    children: Vec<Child>,
}

impl<'b> BareStarter<'b> {
    fn start(bench: &'b Bench) -> Measured<Self> {
        let suite = bench.suites.first().ok_or("no suite")?;
        let tree = ScanTree::new(&bench.work_dir, suite, SERVICES, false)?;
        let mut bare = Self { tree, children: vec![] };
        for number in 0..SERVICES {
            bare.children.push(bare.tree.start_bare(number)?);
        }
        bare.tree.wait_up(SERVICES, DEADLINE)?;
        Ok(bare)
    }

    fn kill(&mut self, number: u32) -> Measured<f64> {
        let child = self.children.get_mut(number as usize).ok_or("no such service")?;
        let old = child.id();
        let before = now();
        process::signal(old, Signal::KILL);
        child.wait().context("wait for a service")?;
        *child = self.tree.start_bare(number)?;
        Ok(milliseconds(before, self.tree.wait_start(number, old, DEADLINE)?.at))
    }
}

impl Drop for BareStarter<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Stops a service that has run for a while, and one that has just started.
fn downs(bench: &Bench, live: &mut [(usize, &mut ScanTree)], table: &mut Table) {
    for _ in 0..if bench.long { 20 } else { 8 } {
        thread::sleep(Duration::from_millis(1300));
        for (column, tree) in live.iter_mut() {
            thread::sleep(PAUSE);
            table.add(Row::Down, *column, stop(tree));
            let at_once = start(tree).and_then(|()| {
                thread::sleep(Duration::from_millis(50));
                stop(tree)
            });
            table.add(Row::DownAtOnce, *column, at_once);
            if let Err(why) = start(tree) {
                table.add(Row::Down, *column, Err(why));
            }
        }
    }
}

fn command(tree: &ScanTree, start: bool) -> Measured<()> {
    let dir = tree.service(0);
    let command = tree.suite.svc(start, &dir.to_string_lossy()).ok_or("it has no svc")?;
    let mut child = tree.command(&command).spawn().context("start svc")?;
    match guard::wait(&mut child, DEADLINE) {
        Some(status) if status.success() => Ok(()),
        status => Err(format!("svc ended with {status:?}")),
    }
}

fn stop(tree: &ScanTree) -> Measured<f64> {
    let old = tree.starts.get(&0).ok_or("no such service")?.pid;
    let before = now();
    command(tree, false)?;
    let after = tree.wait_status(0, true)?;
    if process::is_alive(old) {
        Err("it still runs".to_owned())
    } else {
        Ok(milliseconds(before, after))
    }
}

fn start(tree: &mut ScanTree) -> Measured<()> {
    let old = tree.starts.get(&0).ok_or("no such service")?.pid;
    command(tree, true)?;
    tree.wait_start(0, old, DEADLINE)?;
    tree.wait_status(0, false)?;
    Ok(())
}

/// Measures one svstat from start to end, and a program that does nothing.
fn svstats(bench: &Bench, live: &mut [(usize, &mut ScanTree)], table: &mut Table) {
    let limit = table.limit();
    let rounds = if bench.long { 13 } else { 7 };
    for round in 0..rounds {
        for (column, tree) in live.iter() {
            table.add(Row::Svstat, *column, svstat(tree, round == 0));
        }
        if let Some((_, tree)) = live.first() {
            let nothing = [bench.work_dir.probe.to_string_lossy().into_owned(), "exit".to_owned()];
            table.add(Row::Svstat, limit, exec_loop(tree.suite, &nothing));
        }
    }
}

fn svstat(tree: &ScanTree, check: bool) -> Measured<f64> {
    let dir = tree.service(0);
    let (command, begin) = tree.suite.svstat(&dir.to_string_lossy()).ok_or("it has no svstat")?;
    if check {
        let output = tree.command(&command).stdout(std::process::Stdio::piped()).output();
        let output = output.context("start svstat")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let pid = tree.starts.get(&0).map_or(0, |start| start.pid);
        if said.strip_prefix(&begin).is_none_or(|rest| !rest.starts_with(&pid.to_string())) {
            return Err(format!("svstat says: {said}"));
        }
    }
    exec_loop(tree.suite, &command)
}
