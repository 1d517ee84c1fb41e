//! setuser: runs a program as after a login: with the ids, groups, home and variables of an account.

use crate::common::diag;
use crate::common::environment::Environment;
use crate::loaders::accounts::Account;
use crate::loaders::chain;
use crate::loaders::envuidgid::{set_ids, set_login};
use daemontools_core::programs::Program;
use daemontools_sys::{fs, process};

/// Exit code: 100 for bad usage, 111 if the account cannot be taken on; else that of the program.
pub(crate) fn main() -> i32 {
    let (Some(name), Some(_)) = (process::arg(1), process::arg(2)) else {
        return diag::usage(Program::Setuser);
    };
    run(name).unwrap_or_else(|code| code)
}

fn run(name: &'static core::ffi::CStr) -> Result<i32, i32> {
    let account = Account::find("setuser", name)?;
    account.set_groups("setuser", true)?;
    account.set_user("setuser")?;
    // After set_user, unlike encore: root may enter directories that the account may not.
    fs::chdir(&account.home).map_err(|error| {
        diag::fatal("setuser", &[b"unable to chdir to ", account.home.to_bytes()], error)
    })?;
    let mut environment = Environment::own();
    set_login(&mut environment, &account);
    set_ids(&mut environment, &account);
    Ok(chain::run_with("setuser", 2, &environment.strings()))
}
