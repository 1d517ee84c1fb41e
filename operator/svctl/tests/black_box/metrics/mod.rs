//! metrics: the series of services, and the programs that read them.

mod monitoring;
mod node_exporter;
mod prometheus;
mod series;

use crate::Services;
use harness::{DEADLINE, wait_until};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// The samples of a text: its lines without the comments.
fn samples(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

impl Services {
    /// The value of a series, such as `up{service="web"}`.
    fn series(&self, series: &str) -> Option<String> {
        let text = self.run(&["metrics"]).out();
        let wanted = format!("daemontools_{series} ");
        text.lines().find_map(|line| line.strip_prefix(&*wanted)).map(str::to_owned)
    }

    #[track_caller]
    fn wait_series(&self, series: &str, value: &str) {
        wait_until(&format!("{series} is {value}"), DEADLINE, || {
            self.series(series).as_deref() == Some(value)
        });
    }
}

/// An address on which no program listens.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("find a port");
    listener.local_addr().expect("an address")
}

/// The body of an answer with the status 200.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: text/plain\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_good = head.lines().next()?.contains(" 200 ");
    is_good.then(|| body.to_owned())
}
