//! setuidgid: runs a program with the ids of an account.

use crate::common::diag;
use crate::common::environment::Environment;
use crate::common::getopt::{options, print_error};
use crate::loaders::accounts::Account;
use crate::loaders::chain;
use crate::loaders::envuidgid::set_login;
use daemontools_core::programs::Program;
use daemontools_core::text::getopt::Opt;
use daemontools_sys::process;

/// Exit code: 100 for bad usage, 111 if the ids cannot be set; else that of the program.
pub(crate) fn main() -> i32 {
    let (mut supplementary, mut login) = (false, false);
    let mut options = options(Program::Setuidgid);
    for option in options.by_ref() {
        match option {
            Opt::Letter(b's') => supplementary = true,
            Opt::Letter(_) => login = true,
            _ => {
                print_error(option);
                return usage();
            }
        }
    }
    let first = options.operand();
    let (Some(name), Some(_)) = (process::arg(first), process::arg(first + 1)) else {
        return usage();
    };
    run(name, first + 1, supplementary, login).unwrap_or_else(|code| code)
}

fn usage() -> i32 {
    diag::usage(Program::Setuidgid)
}

fn run(
    name: &'static core::ffi::CStr,
    child: usize,
    supplementary: bool,
    login: bool,
) -> Result<i32, i32> {
    let account = Account::find("setuidgid", name)?;
    account.set_groups("setuidgid", supplementary)?;
    account.set_user("setuidgid")?;
    if !login {
        return Ok(chain::run("setuidgid", child));
    }
    let mut environment = Environment::own();
    set_login(&mut environment, &account);
    Ok(chain::run_with("setuidgid", child, &environment.strings()))
}
