//! `svctl import`: service directories from the descriptions of other service managers.

mod command_words;
mod compose;
mod compose_fields;
mod compose_probe;
mod compose_process;
mod draft;
mod listen_lines;
mod procfile;
mod resources;
mod translation;
mod unit;
mod unit_file;
mod yaml;

use crate::command_line::Arguments;
use crate::failure::{CANNOT, Failure, USAGE};
use crate::output::{escape, line};
use servicedir::read_regular_file;
use std::path::Path;

/// The largest file that is read.
const LIMIT: u64 = 1024 * 1024;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let Some((format, operands)) = arguments.operands.split_first() else {
        let usage = "usage: svctl import unit|compose|procfile FILE...";
        return Err(Failure::new(USAGE, usage));
    };
    match format.to_str() {
        Some("unit") => unit::run(arguments, operands),
        Some("compose") => compose::run(arguments, operands),
        Some("procfile") => procfile::run(arguments, operands),
        _ => {
            let format = escape(&format.to_string_lossy());
            let why = "only unit, compose and procfile are known";
            Err(Failure::new(USAGE, format!("unable to import {format}: {why}")))
        }
    }
}

/// Prints a list below its title, unless it is empty.
fn report(title: &str, texts: &[String]) {
    if !texts.is_empty() {
        line(title);
        texts.iter().for_each(|text| line(&format!("    {}", escape(text))));
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = escape(&path.to_string_lossy());
    let found = read_regular_file(path, LIMIT + 1);
    let found = found.map_err(|error| Failure::system(format!("read {shown}"), &error))?;
    found.filter(|text| text.len() as u64 <= LIMIT).ok_or_else(|| {
        let why = "not a regular file of at most 1 MiB";
        Failure::new(CANNOT, format!("unable to read {shown}: {why}"))
    })
}
