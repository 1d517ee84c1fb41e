//! `svctl tree`: svscan, supervisors, services and their processes.

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure};
use crate::output::{Colour, Output, escape, lines};
use crate::selection::{Target, named_or_all, scan_dir};
use crate::usage::bytes;
use crate::view::View;
use servicedir::{Process, ProcessTable, ScanDir};

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let scan = scan_dir(arguments);
    let targets = named_or_all(&scan, arguments)?;
    lines(&shown(&scan, &targets, arguments.output)?);
    Ok(DONE)
}

/// The lines for services.
pub(crate) fn shown(
    scan: &ScanDir,
    targets: &[Target],
    output: Output,
) -> Result<Vec<String>, Failure> {
    let table = ProcessTable::read().map_err(|e| Failure::system("read /proc", &e))?;
    let mut tree = Tree { table, output, shown: Vec::new() };
    let path = escape(&scan.path().to_string_lossy());
    let head = match scan.svscan().ok().flatten() {
        Some(pid) => format!("{path}  svscan {}", tree.process(pid.get())),
        None => format!("{path}  (its svscan is not known)"),
    };
    tree.shown.push(head);
    let last = targets.len().saturating_sub(1);
    for (number, target) in targets.iter().enumerate() {
        tree.service(target, number == last);
    }
    Ok(tree.shown)
}

struct Tree {
    table: ProcessTable,
    output: Output,
    /// The lines so far.
    shown: Vec<String>,
}

impl Tree {
    fn process(&self, pid: u32) -> String {
        let memory = self.table.get(pid).map(|it| format!("  {}", bytes(it.usage.memory)));
        format!("pid {pid}{}", memory.unwrap_or_default())
    }

    fn service(&mut self, target: &Target, is_last: bool) {
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let view = View::read(target);
        let logger = target.dir.logger().map(|dir| {
            let name = format!("{}/log", target.name.to_string_lossy());
            View::read(&Target::new(name, dir.path(), servicedir::EntryKind::Service))
        });
        self.head(&format!("{branch}{}", target.shown()), &view);
        self.processes(&view, &format!("{below}{}", if logger.is_some() { "│  " } else { "   " }));
        if let Some(logger) = logger {
            self.head(&format!("{below}└─ log"), &logger);
            self.processes(&logger, &format!("{below}   "));
        }
    }

    /// The line of a service: its state and its supervise.
    fn head(&mut self, name: &str, view: &View) {
        let word = self.output.paint(Some(view.colour()), view.word());
        let pid = view.snapshot().and_then(|it| it.status.pid);
        let supervise = pid.and_then(|pid| self.table.get(pid.get())).and_then(|it| {
            let parent = self.table.get(it.parent)?;
            (parent.name == "supervise").then(|| self.process(parent.pid))
        });
        let supervise = supervise
            .map(|text| self.output.paint(Some(Colour::Dim), &format!("  supervise {text}")));
        self.shown.push(format!("{name}  {word}{}", supervise.unwrap_or_default()));
    }

    /// The processes of a service, parents first.
    fn processes(&mut self, view: &View, indent: &str) {
        let Some(pid) = view.snapshot().and_then(|it| it.status.pid) else { return };
        let Self { table, shown, .. } = self;
        if let Some(process) = table.get(pid.get()) {
            branch(table, process, indent, 0, shown);
        }
    }
}

fn branch(
    table: &ProcessTable,
    process: &Process,
    indent: &str,
    depth: usize,
    shown: &mut Vec<String>,
) {
    let name = escape(&process.name);
    let memory = bytes(process.usage.memory);
    let zombie = if process.state == 'Z' { "  ended, not yet reaped" } else { "" };
    let deeper = "   ".repeat(depth);
    shown.push(format!("{indent}{deeper}{name} pid {}  {memory}{zombie}", process.pid));
    // Deeper trees are cut: a terminal could not show them.
    if depth < 20 {
        let children = table.children(process.pid);
        children.for_each(|child| branch(table, child, indent, depth + 1, shown));
    }
}
