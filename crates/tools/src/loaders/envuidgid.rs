//! envuidgid: runs a program with the ids of an account in the variables UID and GID.

use crate::common::diag;
use crate::common::environment::Environment;
use crate::loaders::accounts::Account;
use crate::loaders::chain;
use daemontools_core::programs::Program;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::process;

/// Exit code: 100 for bad usage, 111 for an unknown account; else that of the program.
pub(crate) fn main() -> i32 {
    let (Some(name), Some(_)) = (process::arg(1), process::arg(2)) else {
        return diag::usage(Program::Envuidgid);
    };
    let account = match Account::find("envuidgid", name) {
        Ok(account) => account,
        Err(code) => return code,
    };
    let mut environment = Environment::own();
    set_ids(&mut environment, &account);
    chain::run_with("envuidgid", 2, &environment.strings())
}

/// Sets GID and UID, in the original's order.
pub(crate) fn set_ids(environment: &mut Environment, account: &Account) {
    environment.set(b"GID", Decimal::new(account.gid.into()).as_bytes());
    environment.set(b"UID", Decimal::new(account.uid.into()).as_bytes());
}

/// Sets HOME, SHELL and USER.
pub(crate) fn set_login(environment: &mut Environment, account: &Account) {
    environment.set(b"HOME", account.home.to_bytes());
    environment.set(b"SHELL", account.shell.to_bytes());
    environment.set(b"USER", account.name.to_bytes());
}
