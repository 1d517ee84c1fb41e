//! Who listens on a port.

use super::files;
use daemontools_core::sorting::sort_by_key;
use servicedir::{Process, ProcessTable};
use std::fs;
use std::path::Path;

/// The most open files of a process that are looked at. Its user decides how many there are.
const MOST_OPEN_FILES: usize = 16 * 1024;

/// Whether a log line says that an address is in use.
pub(crate) fn is_address_in_use(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("address already in use")
        || line.contains("eaddrinuse")
        || line.contains("address in use")
}

/// The port that a log line names: the last number behind a colon or the word port.
pub(crate) fn port_of(line: &str) -> Option<u16> {
    let line = line.to_ascii_lowercase();
    let mut numbers = line.match_indices([':', ' ', '=']).filter_map(|(at, separator)| {
        let rest = line.get(at + separator.len()..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let mut after = rest.get(digits..)?.chars();
        let (first, second) = (after.next(), after.next());
        // A time, an IPv4 or an IPv6 address goes on.
        let goes_on = match first {
            Some(':' | '.') => second.is_some_and(|c| c == ':' || c.is_alphanumeric()),
            first => first.is_some_and(char::is_alphanumeric),
        };
        let before = line.get(..at)?;
        let is_port = match separator {
            ":" => !goes_on && !is_time(before),
            _ => !goes_on && before.trim_end_matches([':', ' ']).ends_with("port"),
        };
        let number: u16 = rest.get(..digits)?.parse().ok()?;
        (is_port && number > 0).then_some(number)
    });
    numbers.next_back()
}

/// Whether a text ends with the beginning of a time: `12` or `12:30`.
fn is_time(text: &str) -> bool {
    let word = text.rsplit([' ', 't', '[']).next().unwrap_or_default();
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|c| c.is_ascii_digit() || c == b':')
}

/// The process that listens on a TCP port.
pub(crate) fn listener(table: &ProcessTable, port: u16) -> Option<Process> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|file| inodes(&fs::read_to_string(file).unwrap_or_default(), port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let mut all: Vec<&Process> = table.iter().collect();
    sort_by_key(&mut all, |process| process.pid);
    let has_socket = |process: &&&Process| {
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", process.pid)) else { return false };
        open.flatten().take(MOST_OPEN_FILES).any(|entry| {
            fs::read_link(entry.path()).is_ok_and(|to| wanted.iter().any(|it| Path::new(it) == to))
        })
    };
    all.iter().find(has_socket).map(|process| (*process).clone())
}

/// The inodes of the sockets that listen on a port, from the text of /proc/net/tcp (proc(5)).
fn inodes(text: &str, port: u16) -> Vec<String> {
    let wanted = format!(":{port:04X}");
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            // 0A is LISTEN.
            let is_it = words.get(1)?.ends_with(&wanted) && *words.get(3)? == "0A";
            is_it.then(|| words.get(9).map(|inode| (*inode).to_owned()))?
        })
        .collect()
}

/// The targets of the descriptors of a process.
pub(crate) fn descriptors(pid: u32) -> Vec<(String, String)> {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    open.flatten()
        .take(MOST_OPEN_FILES)
        .filter_map(|entry| {
            let number = entry.file_name().to_string_lossy().into_owned();
            let to = files::link(pid, &format!("fd/{number}"))?;
            Some((number, to.to_string_lossy().into_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_in_log_lines() {
        for (line, port) in [
            ("bind to 0.0.0.0:8080 failed: Address already in use", Some(8080)),
            ("Nov 30 02:37:19 listen tcp :80: bind: address already in use", Some(80)),
            ("2026-11-30T02:37:19 [::]:443: address already in use", Some(443)),
            ("cannot bind port 25: Address already in use", Some(25)),
            ("Error: listen EADDRINUSE: address already in use :::3000", Some(3000)),
            ("[Errno 98] Address already in use", None),
            ("bind: Address already in use", None),
        ] {
            assert!(is_address_in_use(line), "{line}");
            assert_eq!(port_of(line), port, "{line}");
        }
    }

    #[test]
    fn listening_sockets_are_found() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n   \
            1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n";
        assert_eq!(inodes(text, 8080), ["4711"]);
        assert!(inodes(text, 80).is_empty());
    }
}
