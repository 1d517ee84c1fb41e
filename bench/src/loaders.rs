//! The cost that a chain loader adds to the exec of a program.

use crate::suite::Suite;
use crate::tree::quiet;
use crate::{Bench, Context, Measured, Row, Table, exec_loop};
use std::fs;
use std::process::Stdio;

/// A chain loader of one suite.
struct Loader {
    row: Row,
    column: usize,
    before: Vec<String>,
    proof: String,
}

pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    let (loaders, probe) = match prepare(bench) {
        Ok(prepared) => prepared,
        Err(why) => return table.add(Row::Setlock, 0, Err(why)),
    };
    let program = [probe.clone(), "exit".to_owned()];
    let Some(first) = bench.suites.first() else { return };
    let limit = table.limit();
    let least = [&[probe, "exec".to_owned()][..], &program].concat();
    for round in 0..if bench.long { 40 } else { 12 } {
        // The bare program runs beside each loader, under the same load of the machine.
        let added = |suite: &Suite, command: &[String]| {
            let bare = exec_loop(first, &program)?;
            Ok(exec_loop(suite, command)? - bare)
        };
        for row in [Row::Setlock, Row::Envdir] {
            table.add(row, limit, added(first, &least));
        }
        for loader in &loaders {
            let suite = &bench.suites[loader.column];
            let command = [&loader.before[..], &program].concat();
            let proved = if round == 0 { prove(suite, loader) } else { Ok(()) };
            table.add(loader.row, loader.column, proved.and_then(|()| added(suite, &command)));
        }
    }
}

fn prepare(bench: &Bench) -> Measured<(Vec<Loader>, String)> {
    let dir = bench.work_dir.fresh("loaders")?;
    let (variables, lock) = (dir.join("env"), dir.join("lock").to_string_lossy().into_owned());
    fs::create_dir(&variables).context("make a directory")?;
    for number in 1..=5 {
        fs::write(variables.join(format!("V{number}")), format!("value {number}\n"))
            .context("write a variable")?;
    }
    let mut loaders = vec![];
    for (column, suite) in bench.suites.iter().enumerate() {
        if let Some(before) = suite.envdir(&variables.to_string_lossy()) {
            let proof = "test \"$V1,$V2,$V3,$V4,$V5\" = 'value 1,value 2,value 3,value 4,value 5' \
                         && echo yes";
            loaders.push(Loader { row: Row::Envdir, column, before, proof: proof.to_owned() });
        }
        if let Some((before, again)) = suite.setlock(false, &lock).zip(suite.setlock(true, &lock)) {
            let proof = format!("{} true 2>/dev/null || echo yes", again.join(" "));
            loaders.push(Loader { row: Row::Setlock, column, before, proof });
        }
    }
    Ok((loaders, bench.work_dir.probe.to_string_lossy().into_owned()))
}

fn prove(suite: &Suite, loader: &Loader) -> Measured<()> {
    let shell = ["sh".to_owned(), "-c".to_owned(), loader.proof.clone()];
    let command = [&loader.before[..], &shell].concat();
    let output =
        quiet(suite, &command).stdout(Stdio::piped()).output().context("start a loader")?;
    if output.stdout == b"yes\n" { Ok(()) } else { Err("it did not do its work".to_owned()) }
}
