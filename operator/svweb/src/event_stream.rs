//! The body of a response: bytes, or the stream of events of a client.

use crate::event_ring::{Next, event_text};
use crate::watched_tree::WatchedTree;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::ffi::OsString;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The bytes that are handed to a connection at once.
const PIECE: usize = 64 * 1024;

/// The body of a response.
pub(crate) enum ReplyBody {
    Whole(Option<Bytes>),
    Events(EventStream),
}

/// The events of a client.
pub(crate) struct EventStream {
    tree: Rc<WatchedTree>,
    client: u64,
    /// What comes before the events.
    head: Vec<Bytes>,
    place: u64,
    log: Option<OsString>,
    beat: u64,
}

impl EventStream {
    /// The events behind an id; if it is unknown, all services come first.
    pub(crate) fn new(
        tree: &Rc<WatchedTree>,
        behind: Option<&str>,
        log: Option<OsString>,
    ) -> Result<Self, String> {
        let list = tree.list()?;
        let place = behind.and_then(|id| tree.ring.borrow().place_behind(id));
        // In reverse order.
        let mut head = Vec::new();
        if place.is_none() {
            let id = tree.ring.borrow().last_id();
            head.push(Bytes::from_static(b"\n\n"));
            head.push(list);
            head.push(Bytes::from(format!("event: services\nid: {id}\ndata: ")));
        }
        head.push(Bytes::from_static(b"retry: 2000\n\n"));
        let place = place.unwrap_or_else(|| tree.ring.borrow().end());
        let client = tree.add_client(log.clone());
        Ok(Self { tree: Rc::clone(tree), client, head, place, log, beat: tree.beat.get() })
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(bytes) = self.head.pop() {
            return Poll::Ready(Some(bytes));
        }
        let mut ring = self.tree.ring.borrow_mut();
        match ring.next(&mut self.place, self.log.as_deref(), PIECE) {
            Next::Lost => Poll::Ready(None),
            Next::Events(events) => {
                let text: String = events.iter().map(|event| event.text.as_str()).collect();
                Poll::Ready(Some(text.into()))
            }
            Next::Nothing => {
                let beat = self.tree.beat.get();
                if std::mem::replace(&mut self.beat, beat) != beat {
                    return Poll::Ready(Some(event_text("alive", None, "{}").into()));
                }
                ring.set_waker(self.client, cx.waker());
                Poll::Pending
            }
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.tree.remove_client(self.client, self.log.is_some());
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Events(stream) => stream.poll(cx),
        };
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |it| it.len() as u64))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}
