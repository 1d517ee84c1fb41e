//! The sockets of a unit, as lines of the option file `listen`.

use super::unit_file::{Unit, is_true};
use servicedir::option_mistake;

/// The text of `listen`; empty without sockets. What supervise would refuse is added to `missing`.
pub(super) fn text(unit: &mut Unit, missing: &mut Vec<String>) -> String {
    let mut last = |key: &str| unit.take("Socket", key).and_then(|mut values| values.pop());
    let mode = last("SocketMode");
    let backlog = last("Backlog");
    let name = last("FileDescriptorName");
    if let Some(accept) = last("Accept").filter(|it| is_true(it)) {
        missing.push(format!("Accept={accept} (tcpserver starts a process for each connection)"));
    }
    let mut text = String::new();
    for (key, network, local) in
        [("ListenStream", "tcp", "unix"), ("ListenDatagram", "udp", "unix-datagram")]
    {
        for value in unit.take("Socket", key).unwrap_or_default() {
            let is_local = value.starts_with('/');
            let mut line = format!("{} {value}", if is_local { local } else { network });
            if let Some(name) = &name {
                line += &format!(" name={name}");
            }
            if let Some(backlog) = backlog.as_ref().filter(|_| key == "ListenStream") {
                line += &format!(" backlog={backlog}");
            }
            if is_local {
                // systemd's default; that of supervise depends on the umask.
                let mode = mode.as_deref().unwrap_or("0666");
                line += &format!(" mode={mode}");
            }
            line.push('\n');
            if option_mistake("listen", line.as_bytes()).is_none() {
                text += &line;
            } else {
                missing.push(format!("{key}={value}"));
            }
        }
    }
    text
}
