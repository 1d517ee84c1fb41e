//! `svctl import unit`: a service directory from a unit of systemd.

use super::translation::Translation;
use super::unit_file::{Instance, Unit};
use super::{read, report};
use crate::command_line::Arguments;
use crate::failure::{Failure, USAGE};
use crate::options::{DRY_RUN, ENV, NAME, USER};
use crate::output::escape;
use crate::service_plan::user_ids;
use std::ffi::{OsStr, OsString};
use std::path::Path;

pub(super) fn run(arguments: &Arguments, files: &[OsString]) -> Result<u8, Failure> {
    let Some(first) = files.first() else {
        let usage = "usage: svctl import unit FILE... [--name NAME]";
        return Err(Failure::new(USAGE, usage));
    };
    if arguments.has(&USER) || arguments.has(&ENV) {
        let why = "a unit has its own User= and Environment=; a drop-in can change them";
        return Err(Failure::new(USAGE, format!("unable to use --user or --env: {why}")));
    }
    let name = name(arguments, first)?;
    let mut unit = Unit::new(Instance::of(&name));
    for file in files {
        unit.read(&String::from_utf8_lossy(&read(Path::new(file))?));
    }
    let file = Path::new(first).file_name().unwrap_or_default().to_string_lossy();
    let mut translation = Translation::of(arguments, unit, OsStr::new(&name), &escape(&file))?;
    if let Some(user) = translation.user.as_ref().filter(|_| !arguments.has(&DRY_RUN)) {
        translation.plan.user = Some(user_ids(OsStr::new(user))?);
    }
    let code = translation.plan.carry_out(arguments)?;
    report("it is different from the unit:", &translation.differences);
    report("these directives have no counterpart:", &translation.missing);
    Ok(code)
}

/// The name of the service: `--name`, or that of the first file.
fn name(arguments: &Arguments, first: &OsString) -> Result<String, Failure> {
    let given = arguments.value(NAME.long).map(|name| name.to_string_lossy().into_owned());
    let stem = Path::new(first).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = given.unwrap_or(stem);
    if name.ends_with('@') {
        let name = escape(&name);
        let remedy = format!("--name {name}INSTANCE names an instance");
        return Err(Failure::new(USAGE, format!("unable to import {name}: a template ({remedy})")));
    }
    Ok(name)
}
