//! Commands to services, each said with its sender.

use crate::access::Client;
use crate::failure::say;
use crate::replies::{Reply, api, error};
use crate::request_path::encode;
use serde_json::{Value, json};
use servicedir::{Command, Requester, Signal};
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// The most bytes of the body of a request.
pub(crate) const MOST_BODY: usize = 4096;

/// The actions, and the commands that they send.
pub(crate) const ACTIONS: [(&str, &[Command]); 7] = [
    ("up", &[Command::Up]),
    ("down", &[Command::Down]),
    ("once", &[Command::Once]),
    ("restart", &[Command::Down, Command::Up]),
    ("reload", &[Command::Signal(Signal::Hup)]),
    ("pause", &[Command::Pause]),
    ("cont", &[Command::Continue]),
];

/// The commands of an action.
pub(crate) fn commands_of(action: &str) -> Option<&'static [Command]> {
    ACTIONS.iter().find(|(name, _)| *name == action).map(|(_, commands)| *commands)
}

/// The body: an object without members.
pub(crate) fn is_valid(body: &[u8]) -> bool {
    matches!(serde_json::from_slice(body), Ok(Value::Object(object)) if object.is_empty())
}

/// Sends the commands of an action.
pub(crate) fn send(scan: &Path, name: &OsStr, action: &str, client: &Client) -> Reply {
    let shown = name.to_string_lossy();
    let Some(commands) = commands_of(action) else {
        return error(404, true, "there is no such action");
    };
    let Some(service) = svctl::service_tree::service_dir(scan, name) else {
        return error(404, true, "there is no such service");
    };
    let requester = requester(client, name, action);
    match service.for_requester(requester).send(commands) {
        Ok(()) => {
            say(&format!("{shown}: {action} sent for {client}"));
            let name = &*shown;
            api(202, &json!({"schema": 1, "name": name, "sent": action}))
        }
        Err(failure) => {
            let why = svctl::reason(&failure);
            say(&format!("warning: unable to send {action} to {shown} for {client}: {why}"));
            let status = match failure.kind() {
                io::ErrorKind::PermissionDenied => 403,
                _ => 409,
            };
            error(status, true, &format!("unable to control {shown}: {why}"))
        }
    }
}

/// What the history of the service says of the sender.
fn requester(client: &Client, name: &OsStr, action: &str) -> Requester {
    Requester {
        user: rustix::process::getuid().as_raw().to_string(),
        command: format!("svweb {action} {} for {client}", encode(name)),
        ..Requester::default()
    }
}
