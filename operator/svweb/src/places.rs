//! The places of connections. When all are taken, a new client gets the place of the connection that has
//! had no request for the longest time. At the end, each connection may have the answer to its request.

use crate::event_stream::ReplyBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// All places.
pub(crate) struct Places {
    most: usize,
    taken: Cell<usize>,
    /// The connections without a request, by the order in which they came or their last request ended.
    idle: RefCell<BTreeMap<u64, Rc<Place>>>,
    next: Cell<u64>,
    /// svweb ends.
    ending: watch::Sender<bool>,
    /// The last connection has left.
    empty: Notify,
}

/// The place of a connection, while it has one.
pub(crate) struct Place {
    places: Rc<Places>,
    /// Its number among those without a request.
    idle: Cell<Option<u64>>,
    /// Ends the connection. `None` if that has happened: another connection has the place.
    end: RefCell<Option<Sender<()>>>,
}

impl Places {
    pub(crate) fn new(most: usize) -> Rc<Self> {
        let (taken, idle, next) = (Cell::new(0), RefCell::default(), Cell::new(0));
        let (ending, empty) = (watch::Sender::new(false), Notify::new());
        Rc::new(Self { most, taken, idle, next, ending, empty })
    }

    /// Becomes true when svweb ends.
    pub(crate) fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Tells the connections that svweb ends, and waits until they have left, for at most so long.
    pub(crate) async fn end(&self, most: Duration) {
        self.ending.send_replace(true);
        let all_left = async {
            while self.taken.get() > 0 {
                self.empty.notified().await;
            }
        };
        // The rest have sent no request, or read no answer.
        let _ = timeout(most, all_left).await;
    }

    /// A place for a new connection, and what tells the connection that it has lost its place. `None` if
    /// every other connection has a request.
    pub(crate) fn take(self: &Rc<Self>) -> Option<(Taken, Receiver<()>)> {
        if self.taken.get() >= self.most {
            let (_, oldest) = self.idle.borrow_mut().pop_first()?;
            oldest.idle.set(None);
            oldest.leave();
        }
        self.taken.set(self.taken.get() + 1);
        let (end, ended) = channel();
        let (idle, end) = (Cell::new(None), RefCell::new(Some(end)));
        let place = Rc::new(Place { places: Rc::clone(self), idle, end });
        place.begin_idle();
        Some((Taken(place), ended))
    }
}

impl Place {
    /// Gives the place back, and ends the connection.
    fn leave(&self) {
        if self.end.take().is_some() {
            let left = self.places.taken.get() - 1;
            self.places.taken.set(left);
            if left == 0 {
                self.places.empty.notify_one();
            }
        }
    }

    fn begin_idle(self: &Rc<Self>) {
        if self.end.borrow().is_none() {
            return;
        }
        let number = self.places.next.get();
        self.places.next.set(number + 1);
        self.idle.set(Some(number));
        self.places.idle.borrow_mut().insert(number, Rc::clone(self));
    }

    fn end_idle(&self) {
        if let Some(number) = self.idle.take() {
            self.places.idle.borrow_mut().remove(&number);
        }
    }
}

/// A place that a connection keeps until it ends.
pub(crate) struct Taken(Rc<Place>);

impl Taken {
    /// The connection has a request, until the answer is dropped.
    pub(crate) fn begin_request(&self) -> Busy {
        self.0.end_idle();
        Busy(Rc::clone(&self.0))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.end_idle();
        self.0.leave();
    }
}

/// A connection has a request.
pub(crate) struct Busy(Rc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.begin_idle();
    }
}

/// The body of an answer; its end is the end of the request.
pub(crate) struct AnswerBody {
    pub(crate) body: ReplyBody,
    pub(crate) _busy: Busy,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_connection_without_a_request_loses_its_place() {
        let places = Places::new(2);
        let (first, mut first_end) = places.take().expect("a place");
        let (second, mut second_end) = places.take().expect("a place");
        let busy = first.begin_request();
        let (third, mut third_end) = places.take().expect("the place of the second");
        assert!(second_end.try_recv().is_err() && first_end.try_recv().is_err());
        assert!(second.0.end.borrow().is_none() && first.0.end.borrow().is_some());
        drop(second);
        let other = third.begin_request();
        assert!(places.take().is_none());
        // The third becomes idle first.
        drop(other);
        drop(busy);
        let (_fourth, _end) = places.take().expect("the place of the third");
        assert!(third.0.end.borrow().is_none() && first.0.end.borrow().is_some());
        assert!(third_end.try_recv().is_err());
        drop(third);
        drop(first);
        assert_eq!(places.taken.get(), 1);
        assert_eq!(places.idle.borrow().len(), 1);
    }

    #[test]
    fn a_connection_that_ends_within_a_request_leaves_nothing() {
        let places = Places::new(1);
        let (taken, _end) = places.take().expect("a place");
        let busy = taken.begin_request();
        drop(taken);
        drop(busy);
        assert_eq!((places.taken.get(), places.idle.borrow().len()), (0, 0));
        assert!(places.take().is_some());
    }
}
