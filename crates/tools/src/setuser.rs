//! setuser: runs a program as an account would log in: its groups, its home, its variables.

use crate::accounts::Account;
use crate::chain;
use crate::diag;
use crate::environment::Environment;
use crate::envuidgid::{set_ids, set_login};
use daemontools_sys::{fs, process};

/// Exit code: 100 for bad usage, 111 if we cannot become the account; else that of the program.
pub(crate) fn main() -> i32 {
    let (Some(name), Some(_)) = (process::arg(1), process::arg(2)) else {
        return diag::usage("setuser", "setuser account child");
    };
    run(name).unwrap_or_else(|code| code)
}

fn run(name: &'static core::ffi::CStr) -> Result<i32, i32> {
    let account = Account::find("setuser", name)?;
    account.set_groups("setuser", true)?;
    account.set_user("setuser")?;
    // With the account's rights, unlike encore: root can go where the account cannot.
    fs::chdir(&account.home).map_err(|error| {
        diag::fatal("setuser", &[b"unable to chdir to ", account.home.to_bytes()], error)
    })?;
    let mut environment = Environment::own();
    set_login(&mut environment, &account);
    set_ids(&mut environment, &account);
    Ok(chain::run_with("setuser", 2, &environment.strings()))
}
