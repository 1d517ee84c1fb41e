//! The memory of supervision, and its wake-ups while nothing happens.

use crate::tree::{DEADLINE, ScanTree};
use crate::{Bench, Measured, Row, Table, counts, now, suite::Suite};
use std::thread;
use std::time::{Duration, Instant};

/// Measures the private memory of supervises and loggers. Each logger has written one line.
pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    for (column, suite) in bench.suites.iter().enumerate() {
        let (supervise, logger) = match private(bench, suite) {
            Ok((supervise, logger)) => (Ok(supervise), Ok(logger)),
            Err(why) => (Err(why.clone()), Err(why)),
        };
        table.add(Row::SuperviseMemory, column, supervise);
        table.add(Row::LoggerMemory, column, logger);
    }
}

fn private(bench: &Bench, suite: &Suite) -> Measured<(f64, f64)> {
    let services = if bench.long { 200 } else { 60 };
    let mut tree = ScanTree::new(&bench.work_dir, suite, services, true)?;
    tree.start()?;
    tree.wait_up(services, DEADLINE)?;
    tree.wait_logged(services, DEADLINE)?;
    let found = tree.wait_complete(services, DEADLINE)?;
    // The last of them may still be busy after their work.
    thread::sleep(Duration::from_secs(1));
    Ok((
        counts::mean(&found.supervises, counts::private_memory)?,
        counts::mean(&found.loggers, counts::private_memory)?,
    ))
}

/// Trees that stay idle during the other measurements.
pub(crate) struct Idle<'b> {
    trees: Vec<Measured<(ScanTree<'b>, Vec<u32>, f64)>>,
    started: Instant,
    since: Instant,
}

const IDLE: u32 = 100;

/// A minute at least, to see what happens once a minute.
const WINDOW: Duration = Duration::from_secs(61);

impl<'b> Idle<'b> {
    /// Starts a tree of each suite.
    #[must_use]
    pub(crate) fn start(bench: &'b Bench) -> Self {
        let start = |suite| {
            let mut tree = ScanTree::new(&bench.work_dir, suite, IDLE, false)?;
            tree.start()?;
            tree.wait_up(IDLE, DEADLINE)?;
            let mut pids = tree.wait_complete(IDLE, DEADLINE)?.supervises;
            pids.push(tree.scanner());
            Ok((tree, pids, 0.0))
        };
        let trees = bench.suites.iter().map(start).collect();
        Self { trees, started: Instant::now(), since: Instant::now() }
    }

    /// Starts to count after the first seconds.
    pub(crate) fn begin(&mut self) {
        thread::sleep(Duration::from_secs(7).saturating_sub(self.started.elapsed()));
        self.since = Instant::now();
        for tree in &mut self.trees {
            if let Ok((_, pids, before)) = tree {
                match counts::all(pids, counts::wake_ups) {
                    Ok(count) => *before = count,
                    Err(why) => *tree = Err(why),
                }
            }
        }
    }

    /// Stops counting.
    pub(crate) fn end(self, table: &mut Table) {
        thread::sleep(WINDOW.saturating_sub(self.since.elapsed()));
        for (column, tree) in self.trees.into_iter().enumerate() {
            let count = tree.and_then(|(tree, pids, before)| {
                let count = counts::all(&pids, counts::wake_ups)? - before;
                let minutes = self.since.elapsed().as_secs_f64() / 60.0;
                tree.wait_complete(IDLE, Duration::ZERO)?;
                Ok(count / minutes)
            });
            table.add(Row::WakeUps, column, count);
        }
        let limit = table.limit();
        table.add(Row::WakeUps, limit, Ok(0.0));
    }
}

/// Measures the time from the start of the scanner to the start of the last of a thousand services.
pub(crate) fn thousand(bench: &Bench, table: &mut Table) {
    let trials = if bench.long { 15 } else { 5 };
    for trial in 0..trials {
        for column in bench.turn(trial) {
            table.add(Row::Thousand, column, start_all(bench, &bench.suites[column]));
        }
        let limit = table.limit();
        table.add(Row::Thousand, limit, start_bare(bench));
    }
}

const THOUSAND: u32 = 1000;

fn start_all(bench: &Bench, suite: &Suite) -> Measured<f64> {
    let mut tree = ScanTree::new(&bench.work_dir, suite, THOUSAND, false)?;
    let before = tree.start()?;
    let last = tree.wait_up(THOUSAND, Duration::from_secs(60))?;
    tree.wait_complete(THOUSAND, DEADLINE)?;
    Ok(crate::milliseconds(before, last))
}

/// The limit: a program that only starts the services.
fn start_bare(bench: &Bench) -> Measured<f64> {
    let suite = bench.suites.first().ok_or("no suite")?;
    let mut tree = ScanTree::new(&bench.work_dir, suite, THOUSAND, false)?;
    let before = now();
    let mut children = vec![];
    for number in 0..THOUSAND {
        children.push(tree.start_bare(number));
    }
    let last = tree.wait_up(THOUSAND, DEADLINE);
    for mut child in children.into_iter().flatten() {
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(crate::milliseconds(before, last?))
}
