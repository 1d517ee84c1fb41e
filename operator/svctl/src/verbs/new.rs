//! `svctl new`: a complete service directory for a command.

use crate::command_line::Arguments;
use crate::failure::{Failure, USAGE};
use crate::options::{READY_FD, USER};
use crate::service_plan::{Plan, user_ids};
use crate::shell_words::quoted;
use std::os::unix::ffi::OsStrExt as _;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let [name] = arguments.operands.as_slice() else {
        return Err(Failure::new(USAGE, "usage: svctl new NAME [OPTIONS] -- COMMAND..."));
    };
    let mut plan = Plan::new(arguments, name)?;
    if arguments.command.is_empty() {
        return Err(Failure::new(USAGE, "unable to make a service without a command behind --"));
    }
    let user = arguments.value(USER.long);
    plan.user = user.map(user_ids).transpose()?;
    let account = user.map(|user| [b"setuidgid ", &quoted(user.as_bytes())[..], b" "].concat());
    let account = account.unwrap_or_default();
    let words: Vec<Vec<u8>> =
        arguments.command.iter().map(|word| quoted(word.as_bytes())).collect();
    let run = b"#!/bin/sh\nexec 2>&1\nexec envdir ./env ";
    plan.script("run", [&run[..], &account, &words.join(&b' '), b"\n"].concat());
    if let Some(fd) = arguments.number(&READY_FD)? {
        if fd < 3 {
            return Err(Failure::new(
                USAGE,
                format!("unable to use --ready-fd {fd}: not 3 or more"),
            ));
        }
        plan.file("notification-fd", format!("{fd}\n"));
    }
    plan.logger(arguments, &account)?;
    plan.variables_of(arguments)?;
    plan.carry_out(arguments)
}
