//! The last events, once for all clients: a client has a place in them, and no queue of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::rc::Rc;
use std::task::Waker;
use std::time::{SystemTime, UNIX_EPOCH};

/// The most events that are kept, and the most bytes of them. A client that falls behind loses its
/// connection.
const MOST_EVENTS: usize = 4096;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// An event, as it is sent.
#[derive(Debug)]
pub(crate) struct RingEvent {
    pub(crate) text: String,
    /// Only clients that follow the log of this service get it.
    log: Option<OsString>,
}

/// A client that has a stream.
#[derive(Debug, Default)]
struct StreamClient {
    waker: Option<Waker>,
    log: Option<OsString>,
}

/// What a client gets next.
#[derive(Debug)]
pub(crate) enum Next {
    Events(Vec<Rc<RingEvent>>),
    /// Nothing new.
    Nothing,
    /// The client has fallen behind.
    Lost,
}

/// The ring of events.
#[derive(Debug)]
pub(crate) struct EventRing {
    /// Tells the events of this tree from those of an earlier svweb.
    epoch: u64,
    /// The number of the first event that is kept.
    first: u64,
    events: VecDeque<Rc<RingEvent>>,
    bytes: usize,
    clients: BTreeMap<u64, StreamClient>,
    next_client: u64,
}

impl EventRing {
    pub(crate) fn new() -> Self {
        let mut ring = Self {
            epoch: 0,
            first: 1,
            events: VecDeque::new(),
            bytes: 0,
            clients: BTreeMap::new(),
            next_client: 0,
        };
        ring.restart();
        ring
    }

    /// Forgets all events. The streams end, and clients that go on get everything again.
    pub(crate) fn restart(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.epoch = now.max(self.epoch + 1);
        // No place of before is a place of now.
        self.first = self.end() + 1;
        self.events.clear();
        self.bytes = 0;
    }

    /// The number of the next event.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// The id of the last event: what a client names to go on behind it.
    pub(crate) fn last_id(&self) -> String {
        self.id(self.end() - 1)
    }

    fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.epoch)
    }

    /// The place behind an id. `None` if events behind it are not known any more.
    pub(crate) fn place_behind(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.split_once('-')?;
        let number: u64 = number.parse().ok()?;
        let next = number.checked_add(1)?;
        let is_known = (self.first..=self.end()).contains(&next);
        (u64::from_str_radix(epoch, 16) == Ok(self.epoch) && is_known).then_some(next)
    }

    /// Adds an event. `data` is one line.
    pub(crate) fn push(&mut self, kind: &str, data: &str, log: Option<OsString>) {
        let text = event_text(kind, Some(&self.id(self.end())), data);
        self.bytes += text.len();
        self.events.push_back(Rc::new(RingEvent { text, log }));
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(old) = self.events.pop_front() else { break };
            self.bytes -= old.text.len();
            self.first += 1;
        }
    }

    /// Wakes all clients.
    pub(crate) fn wake(&mut self) {
        self.clients.values_mut().filter_map(|client| client.waker.take()).for_each(Waker::wake);
    }

    pub(crate) fn add_client(&mut self, log: Option<OsString>) -> u64 {
        self.next_client += 1;
        self.clients.insert(self.next_client, StreamClient { waker: None, log });
        self.next_client
    }

    pub(crate) fn remove_client(&mut self, client: u64) {
        self.clients.remove(&client);
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The services whose logs clients follow.
    pub(crate) fn followed(&self) -> BTreeSet<OsString> {
        self.clients.values().filter_map(|client| client.log.clone()).collect()
    }

    pub(crate) fn set_waker(&mut self, client: u64, waker: &Waker) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.waker = Some(waker.clone());
        }
    }

    /// The events of a client from a place on, at most `most` bytes; moves the place.
    pub(crate) fn next(&self, place: &mut u64, log: Option<&OsStr>, most: usize) -> Next {
        if *place < self.first || *place > self.end() {
            return Next::Lost;
        }
        let mut found = Vec::new();
        let mut bytes = 0;
        let skipped = usize::try_from(*place - self.first).unwrap_or(usize::MAX);
        for event in self.events.iter().skip(skipped) {
            *place += 1;
            if event.log.is_some() && event.log.as_deref() != log {
                continue;
            }
            bytes += event.text.len();
            found.push(Rc::clone(event));
            if bytes >= most {
                break;
            }
        }
        if found.is_empty() { Next::Nothing } else { Next::Events(found) }
    }
}

/// An event in the form of a stream of server-sent events.
pub(crate) fn event_text(kind: &str, id: Option<&str>, data: &str) -> String {
    let mut text = format!("event: {kind}\n");
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "data: {data}\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(next: Next) -> Vec<String> {
        match next {
            Next::Events(events) => events.iter().map(|event| event.text.clone()).collect(),
            Next::Nothing => vec!["nothing".to_owned()],
            Next::Lost => vec!["lost".to_owned()],
        }
    }

    #[test]
    fn a_client_goes_on_behind_the_event_that_it_knows() {
        let mut ring = EventRing::new();
        let before = ring.last_id();
        ring.push("service", "1", None);
        ring.push("log", "2", Some("web".into()));
        ring.push("service", "3", None);
        let mut place = ring.place_behind(&before).expect("a place");
        let of_other = texts(ring.next(&mut place, None, 1000));
        assert_eq!((of_other.len(), place), (2, ring.end()));
        assert!(of_other[1].ends_with("data: 3\n\n"), "{of_other:?}");
        assert_eq!(texts(ring.next(&mut place, None, 1000)), ["nothing"]);
        let mut place = ring.place_behind(&before).expect("a place");
        assert_eq!(texts(ring.next(&mut place, Some("web".as_ref()), 1000)).len(), 3);
        let mut place = ring.place_behind(&before).expect("a place");
        assert_eq!(texts(ring.next(&mut place, None, 1)).len(), 1);
    }

    #[test]
    fn a_client_that_falls_behind_is_lost() {
        let mut ring = EventRing::new();
        let before = ring.last_id();
        let mut place = ring.end();
        for _ in 0..=MOST_EVENTS {
            ring.push("service", "x", None);
        }
        assert_eq!(ring.place_behind(&before), None);
        assert_eq!(texts(ring.next(&mut place, None, 1)), ["lost"]);
        ring.push("service", &"x".repeat(MOST_BYTES), None);
        assert_eq!(ring.events.len(), 0);
    }

    #[test]
    fn ids_of_another_time_are_unknown() {
        let mut ring = EventRing::new();
        ring.push("service", "x", None);
        let id = ring.last_id();
        assert_eq!(ring.place_behind(&id), Some(ring.end()));
        for wrong in [
            "",
            "1",
            "-",
            "x-1",
            "1-1",
            &format!("{:x}-{}", ring.epoch, ring.end()),
            "1-18446744073709551615",
        ] {
            assert_eq!(ring.place_behind(wrong), None, "{wrong}");
        }
        ring.restart();
        assert_eq!(ring.place_behind(&id), None);
        assert!(ring.place_behind(&ring.last_id()).is_some());
    }
}
