//! A client that sends what a test wants, byte by byte.

use harness::DEADLINE;
use serde_json::Value;
use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// What a server has answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header lines.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}\n{}", self.head, self.body)
    }
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_owned(), body: body.to_owned() })
    }
}

/// Connects to a server.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Reads what there is. A read with a time limit is interrupted when the tests are stopped and continued.
pub(crate) fn read_some(stream: &mut TcpStream, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Sends bytes, and reads until the server ends the connection. `None` if it ends it without an answer.
#[track_caller]
pub(crate) fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Option<Answer> {
    let mut stream = connect(address);
    // The server may refuse it before it has read everything.
    let _ = stream.write_all(bytes.as_ref());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Answer::parse(&answer)
}

/// Sends a request with these header lines besides `Connection: close`.
#[track_caller]
pub(crate) fn request(address: SocketAddr, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    for header in headers {
        text += header;
        text += "\r\n";
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body;
    exchange(address, text).expect("an answer")
}

/// A stream of events.
pub(crate) struct Events {
    stream: TcpStream,
    text: String,
}

/// An event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Events {
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, path: &str, headers: &[&str]) -> Self {
        let mut stream = connect(address);
        let mut text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
        for header in headers {
            text += &format!("{header}\r\n");
        }
        stream.write_all(format!("{text}\r\n").as_bytes()).expect("a request");
        let mut events = Self { stream, text: String::new() };
        while !events.text.contains("\r\n\r\n") {
            events.read();
        }
        assert!(events.text.starts_with("HTTP/1.1 200 "), "{}", events.text);
        events
    }

    #[track_caller]
    fn read(&mut self) {
        let mut room = [0; 16384];
        let count = read_some(&mut self.stream, &mut room).expect("an event");
        assert!(count > 0, "the stream has ended: {}", self.text);
        self.text += &String::from_utf8_lossy(&room[..count]);
    }

    /// All events so far. The pieces of the transfer are not taken apart: an event of these tests is
    /// seldom cut.
    fn parsed(&self) -> Vec<Event> {
        let blocks = self.text.split("event: ").skip(1).filter(|block| block.contains("\n\n"));
        let of_block = |block: &str| {
            let kind = block.lines().next()?.to_owned();
            let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            // The list comes in pieces of its own.
            let data = line("data: ").filter(|data| data.starts_with('{'));
            let data = data.or_else(|| block.lines().find(|line| line.starts_with('{')))?;
            let data = serde_json::from_str(data).ok()?;
            Some(Event { kind, id: line("id: ").unwrap_or_default().to_owned(), data })
        };
        blocks.filter_map(of_block).collect()
    }

    /// Waits for an event. The signs of life do not count.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: impl Fn(&Event) -> bool) -> Event {
        let begin = Instant::now();
        loop {
            if let Some(found) = self.parsed().into_iter().find(|event| what(event)) {
                return found;
            }
            assert!(begin.elapsed() < DEADLINE, "waited in vain, in {}", self.text);
            self.read();
        }
    }

    /// How many events of a kind have come.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.parsed().iter().filter(|event| event.kind == kind).count()
    }

    /// Waits until so many events of a kind have come.
    #[track_caller]
    pub(crate) fn wait_count(&mut self, kind: &str, least: usize) {
        let begin = Instant::now();
        while self.count(kind) < least {
            assert!(begin.elapsed() < DEADLINE, "waited in vain, in {}", self.text);
            self.read();
        }
    }

    /// Waits until a service is in a state.
    #[track_caller]
    pub(crate) fn wait_state(&mut self, name: &str, state: &str) -> Event {
        self.wait(|it| it.kind == "service" && it.data["name"] == name && it.data["state"] == state)
    }
}
