//! Who runs this svctl: the note that it leaves with each command.

use crate::accounts::Accounts;
use rustix::process::getuid;
use servicedir::{Requester, ServiceDir};
use std::env;
use std::fs;
use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::sync::OnceLock;

/// The login uid of a process that no login has started.
const NO_LOGIN: u32 = u32::MAX;

/// The service directory, with a note for each command that is sent.
pub(crate) fn noted(dir: &ServiceDir) -> ServiceDir {
    static REQUESTER: OnceLock<Requester> = OnceLock::new();
    dir.clone().for_requester(REQUESTER.get_or_init(this_client).clone())
}

fn this_client() -> Requester {
    let accounts = Accounts::read().unwrap_or_default();
    let name = |uid: u32| accounts.name_of(uid).unwrap_or_else(|| uid.to_string());
    let user = name(getuid().as_raw());
    let words: Vec<_> = env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut words: &[String] = &words;
    let mut command = String::from("svctl");
    if let Some((_, rest)) = words.split_first() {
        words = rest;
    }
    for word in words {
        command.push(' ');
        command.push_str(word);
    }
    let login = login().map(name).or_else(|| env::var("SUDO_USER").ok());
    let login = login.filter(|login| *login != user).unwrap_or_default();
    let mut requester = Requester::default();
    (requester.user, requester.login) = (user, login);
    (requester.terminal, requester.command) = (terminal().unwrap_or_default(), command);
    requester
}

/// The user id of the login that this process belongs to. The kernel keeps it through su and sudo.
fn login() -> Option<u32> {
    let text = fs::read_to_string("/proc/self/loginuid").ok()?;
    text.trim().parse().ok().filter(|uid| *uid != NO_LOGIN)
}

/// The terminal, without `/dev/`.
fn terminal() -> Option<String> {
    let number = [stdin().is_terminal(), stdout().is_terminal(), stderr().is_terminal()];
    let number = number.into_iter().position(|is_terminal| is_terminal)?;
    let path = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    Some(path.strip_prefix("/dev").ok()?.to_string_lossy().into_owned())
}
