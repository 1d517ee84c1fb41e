//! The places of connections. When all are taken, the origin with the most connections gives one to a new
//! client of another origin, so that one user or address cannot keep the others out. At the end, each
//! connection may have the answer to its request.

use crate::event_stream::ReplyBody;
use crate::origin::Origin;
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

/// Of so many places...
const PLACES: usize = 4;

/// ...so many are for streams of events at most. The rest is for other requests.
const FOR_STREAMS: usize = 3;

/// All places.
pub(crate) struct Places {
    most: usize,
    taken: Cell<usize>,
    streams: Cell<usize>,
    by_origin: RefCell<BTreeMap<Origin, Connections>>,
    next: Cell<u64>,
    /// svweb ends.
    ending: watch::Sender<bool>,
    /// The last connection has left.
    empty: Notify,
}

/// The connections of an origin that have a place, by the order in which they came to their state.
#[derive(Default)]
struct Connections {
    /// Without a request.
    idle: BTreeMap<u64, Rc<Place>>,
    /// With a request that ends soon.
    busy: BTreeMap<u64, Rc<Place>>,
    /// With a stream of events.
    streams: BTreeMap<u64, Rc<Place>>,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Idle,
    Busy,
    Stream,
}

/// The place of a connection, while it has one.
pub(crate) struct Place {
    places: Rc<Places>,
    origin: Origin,
    activity: Cell<Activity>,
    /// Its number among the connections that do the same.
    number: Cell<u64>,
    /// Ends the connection. `None` if that has happened: another connection has the place.
    end: RefCell<Option<Sender<()>>>,
}

impl Connections {
    fn doing(&mut self, activity: Activity) -> &mut BTreeMap<u64, Rc<Place>> {
        match activity {
            Activity::Idle => &mut self.idle,
            Activity::Busy => &mut self.busy,
            Activity::Stream => &mut self.streams,
        }
    }

    fn count(&self) -> usize {
        self.idle.len() + self.busy.len() + self.streams.len()
    }

    /// The connection that a new client costs least.
    fn least(&self) -> Option<&Rc<Place>> {
        let idle = self.idle.values().next();
        idle.or_else(|| self.streams.values().next_back())
            .or_else(|| self.busy.values().next_back())
    }
}

impl Places {
    pub(crate) fn new(most: usize) -> Rc<Self> {
        Rc::new(Self {
            most,
            taken: Cell::new(0),
            streams: Cell::new(0),
            by_origin: RefCell::default(),
            next: Cell::new(0),
            ending: watch::Sender::new(false),
            empty: Notify::new(),
        })
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
    /// every place is taken, no other origin has more connections, and each of its own has a request.
    pub(crate) fn take(self: &Rc<Self>, origin: Origin) -> Option<(Taken, Receiver<()>)> {
        if self.taken.get() >= self.most {
            self.place_to_give(origin)?.leave();
        }
        self.taken.set(self.taken.get() + 1);
        let (end, ended) = channel();
        let place = Rc::new(Place {
            places: Rc::clone(self),
            origin,
            activity: Cell::new(Activity::Idle),
            number: Cell::new(0),
            end: RefCell::new(Some(end)),
        });
        place.enter(Activity::Idle);
        Some((Taken(place), ended))
    }

    /// The connection that has to give its place to a new one of an origin. The origin with the most
    /// connections loses one, and may exchange one of its own.
    fn place_to_give(&self, to: Origin) -> Option<Rc<Place>> {
        let all = self.by_origin.borrow();
        let own = all.get(&to);
        let (_, largest) = all.iter().max_by_key(|(_, of)| of.count())?;
        if largest.count() > own.map_or(0, Connections::count) + 1 {
            return largest.least().cloned();
        }
        own?.idle.values().next().cloned()
    }

    /// The stream that has to end for a new one of an origin.
    fn stream_to_end(&self, to: Origin) -> Option<Rc<Place>> {
        let all = self.by_origin.borrow();
        let own = all.get(&to).map_or(0, |it| it.streams.len());
        let (_, largest) = all.iter().max_by_key(|(_, of)| of.streams.len())?;
        let has_more = largest.streams.len() > own + 1;
        has_more.then(|| largest.streams.values().next_back().cloned())?
    }
}

impl Place {
    /// Gives the place back, and ends the connection.
    fn leave(&self) {
        if self.end.take().is_none() {
            return;
        }
        self.leave_activity();
        let left = self.places.taken.get() - 1;
        self.places.taken.set(left);
        if left == 0 {
            self.places.empty.notify_one();
        }
    }

    fn enter(self: &Rc<Self>, activity: Activity) {
        let places = &self.places;
        let number = places.next.get();
        places.next.set(number + 1);
        self.activity.set(activity);
        self.number.set(number);
        let mut all = places.by_origin.borrow_mut();
        all.entry(self.origin).or_default().doing(activity).insert(number, Rc::clone(self));
        if activity == Activity::Stream {
            places.streams.set(places.streams.get() + 1);
        }
    }

    fn leave_activity(&self) {
        let places = &self.places;
        let mut all = places.by_origin.borrow_mut();
        let Some(of_origin) = all.get_mut(&self.origin) else { return };
        let activity = self.activity.get();
        let is_left = of_origin.doing(activity).remove(&self.number.get()).is_some();
        if of_origin.count() == 0 {
            all.remove(&self.origin);
        }
        if is_left && activity == Activity::Stream {
            places.streams.set(places.streams.get() - 1);
        }
    }

    fn change(self: &Rc<Self>, activity: Activity) {
        if self.end.borrow().is_some() {
            self.leave_activity();
            self.enter(activity);
        }
    }
}

/// A place that a connection keeps until it ends.
pub(crate) struct Taken(Rc<Place>);

impl Taken {
    /// The connection has a request, until the answer is dropped.
    pub(crate) fn begin_request(&self) -> Busy {
        self.0.change(Activity::Busy);
        Busy(Rc::clone(&self.0))
    }

    /// The answer to the request is a stream. Returns whether there is room for one more.
    pub(crate) fn begin_stream(&self) -> bool {
        let places = &self.0.places;
        if places.streams.get() >= places.most * FOR_STREAMS / PLACES {
            match places.stream_to_end(self.0.origin) {
                Some(stream) => stream.leave(),
                None => return false,
            }
        }
        self.0.change(Activity::Stream);
        true
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A connection has a request.
pub(crate) struct Busy(Rc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.change(Activity::Idle);
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

    const ONE: Origin = Origin::User(1);
    const OTHER: Origin = Origin::User(2);

    fn has_place(taken: &Taken) -> bool {
        taken.0.end.borrow().is_some()
    }

    #[test]
    fn the_oldest_connection_without_a_request_loses_its_place() {
        let places = Places::new(2);
        let (first, mut first_end) = places.take(ONE).expect("a place");
        let (second, mut second_end) = places.take(ONE).expect("a place");
        let busy = first.begin_request();
        let (third, mut third_end) = places.take(ONE).expect("the place of the second");
        assert!(second_end.try_recv().is_err() && first_end.try_recv().is_err());
        assert!(!has_place(&second) && has_place(&first));
        drop(second);
        let other = third.begin_request();
        assert!(places.take(ONE).is_none());
        // The third becomes idle first.
        drop(other);
        drop(busy);
        let (_fourth, _end) = places.take(ONE).expect("the place of the third");
        assert!(!has_place(&third) && has_place(&first));
        assert!(third_end.try_recv().is_err());
        drop(third);
        drop(first);
        assert_eq!(places.taken.get(), 1);
        assert_eq!(places.by_origin.borrow()[&ONE].idle.len(), 1);
    }

    #[test]
    fn a_connection_that_ends_within_a_request_leaves_nothing() {
        let places = Places::new(4);
        let (taken, _end) = places.take(ONE).expect("a place");
        let busy = taken.begin_request();
        assert!(taken.begin_stream());
        drop(taken);
        drop(busy);
        assert_eq!((places.taken.get(), places.streams.get()), (0, 0));
        assert!(places.by_origin.borrow().is_empty());
    }

    #[test]
    fn the_origin_with_the_most_connections_makes_room_for_another_one() {
        let places = Places::new(4);
        let all: Vec<_> = (0..4).map(|_| places.take(ONE).expect("a place")).collect();
        let busy: Vec<_> = all.iter().map(|(taken, _)| taken.begin_request()).collect();
        assert!(places.take(ONE).is_none());
        let (first, _end) = places.take(OTHER).expect("a place of the first origin");
        assert!(!has_place(&all[3].0) && has_place(&all[2].0));
        let (second, _end) = places.take(OTHER).expect("one more");
        // Both have the same number now: neither takes from the other, also not what is idle.
        assert!(places.take(ONE).is_none());
        let both = [first.begin_request(), second.begin_request()];
        assert!(places.take(OTHER).is_none());
        drop((busy, both));
        // Each may exchange its own.
        let (_, _end) = places.take(OTHER).expect("its own first place");
        assert!(!has_place(&first) && has_place(&second) && has_place(&all[0].0));
    }

    #[test]
    fn streams_of_one_origin_make_room_for_those_of_another() {
        let places = Places::new(8);
        let all: Vec<_> = (0..7).map(|_| places.take(ONE).expect("a place")).collect();
        let busy: Vec<_> = all.iter().map(|(taken, _)| taken.begin_request()).collect();
        let has_stream: Vec<_> = all.iter().map(|(taken, _)| taken.begin_stream()).collect();
        assert_eq!(has_stream, [true, true, true, true, true, true, false]);
        let (page, _end) = places.take(OTHER).expect("a place");
        let request = page.begin_request();
        assert!(page.begin_stream());
        assert!(!has_place(&all[5].0) && has_place(&all[4].0));
        assert_eq!(places.streams.get(), 6);
        drop((busy, request));
        assert_eq!(places.streams.get(), 0);
    }
}
