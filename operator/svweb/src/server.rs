//! Connections: how many there are, how long a client may take, and how they end.

use crate::access::Client;
use crate::event_stream::ReplyBody;
use crate::failure::say;
use crate::guarded_stream::{GuardedStream, STALL, Socket};
use crate::listeners::Listener;
use crate::origin::user_of_peer;
use crate::places::{AnswerBody, Places, Taken};
use crate::routes::{self, Site};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot::Receiver;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local, yield_now};
use tokio::time::sleep;

/// The most connections. A further one gets the place of another: see [`Places`].
const MOST_CONNECTIONS: usize = 2048;

/// The answer to a client for which there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n\
      Content-Type: text/plain; charset=utf-8\r\nContent-Length: 37\r\n\r\n\
      too many requests at the same moment\n";

/// The descriptors that svweb needs beside connections.
const OTHER_DESCRIPTORS: u64 = 128;

/// The time in which the header of a request has to be complete.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// The most bytes of a header, and the most lines.
const HEADER_BYTES: usize = 16 * 1024;
const HEADER_LINES: usize = 64;

/// The time from the last byte of a TCP connection to the first question whether its client lives.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// The most connections that the limit of descriptors allows. The soft limit is raised to the hard one.
pub(crate) fn most_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let descriptors = if raised.is_ok() { limit.maximum } else { limit.current };
    let allowed = descriptors.map_or(u64::MAX, |it| it.saturating_sub(OTHER_DESCRIPTORS).max(16));
    usize::try_from(allowed).unwrap_or(usize::MAX).min(MOST_CONNECTIONS)
}

/// Serves on a socket until the task is aborted. Connections then go on.
pub(crate) fn serve(
    listener: Listener,
    site: &Rc<Site>,
    places: &Rc<Places>,
) -> io::Result<JoinHandle<()>> {
    let (site, places) = (Rc::clone(site), Rc::clone(places));
    Ok(match listener {
        Listener::Tcp(listener) => {
            let listener = TcpListener::from_std(listener)?;
            say(&format!("serving on http://{}/", listener.local_addr()?));
            spawn_local(async move {
                loop {
                    match listener.accept().await {
                        Ok((socket, peer)) => {
                            let Ok(local) = socket.local_addr() else { continue };
                            // A client that has gone without a word does not keep its place.
                            let _ = sockopt::set_socket_keepalive(&socket, true);
                            let _ = sockopt::set_tcp_keepidle(&socket, KEEP_ALIVE);
                            let _ = socket.set_nodelay(true);
                            let user = user_of_peer(local, peer);
                            let client = Client::Tcp { local, peer, user };
                            begin(Socket::Tcp(socket), client, &site, &places).await;
                        }
                        Err(error) => rest(&error).await,
                    }
                }
            })
        }
        Listener::Unix(listener) => {
            let listener = UnixListener::from_std(listener)?;
            let address = listener.local_addr()?;
            let path = address.as_pathname().unwrap_or_else(|| Path::new("a Unix socket"));
            say(&format!("serving on {}", path.display()));
            spawn_local(async move {
                loop {
                    match listener.accept().await {
                        Ok((socket, _)) => {
                            let peer = socket.peer_cred().ok();
                            let client = Client::Unix {
                                user: peer.map(|it| it.uid()),
                                pid: peer.and_then(|it| it.pid()),
                            };
                            begin(Socket::Unix(socket), client, &site, &places).await;
                        }
                        Err(error) => rest(&error).await,
                    }
                }
            })
        }
    })
}

/// Begins to serve a connection, or refuses it.
async fn begin(socket: Socket, client: Client, site: &Rc<Site>, places: &Rc<Places>) {
    match places.take(client.origin()) {
        Some((place, lost)) => drop(spawn_local(connection(
            GuardedStream::new(socket, STALL),
            client,
            Rc::clone(site),
            place,
            lost,
            places.ending(),
        ))),
        None => socket.send(FULL),
    }
    // A connection that has lost its place ends before the next one comes.
    yield_now().await;
}

/// After an error of accept(2): the system is short of something, or the client has gone.
async fn rest(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
        say(&format!("warning: unable to accept a connection: {}", svctl::reason(error)));
        sleep(Duration::from_secs(1)).await;
    }
}

/// Serves a connection until it ends or loses its place. When svweb ends, a stream ends at once, and another
/// connection after the answer to its request.
async fn connection(
    stream: GuardedStream,
    client: Client,
    site: Rc<Site>,
    place: Taken,
    mut lost: Receiver<()>,
    mut ending: watch::Receiver<bool>,
) {
    let (has_request, is_stream) = (Cell::new(false), Cell::new(false));
    let service = service_fn(|request: Request<Incoming>| {
        let busy = place.begin_request();
        has_request.set(true);
        let (site, client, is_stream, place) = (&site, &client, &is_stream, &place);
        async move {
            let mut answer = site.answer(request, client).await;
            if matches!(answer.body(), ReplyBody::Events(_)) {
                if place.begin_stream() {
                    is_stream.set(true);
                } else {
                    answer = routes::without_stream();
                }
            }
            Ok::<_, Infallible>(answer.map(|body| AnswerBody { body, _busy: busy }))
        }
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(HEADER_BYTES)
            .max_headers(HEADER_LINES)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut ending = pin!(ending.wait_for(|is_ending| *is_ending));
    let (mut is_ending, mut is_last) = (false, false);
    poll_fn(|cx| {
        is_ending = is_ending || ending.as_mut().poll(cx).is_ready();
        let is_cut = is_ending && is_stream.get();
        if is_cut || Pin::new(&mut lost).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // A client that ends in the middle is its own affair.
        let end = served.as_mut().poll(cx).map(drop);
        // Before its first request, a connection would be closed at once.
        if end.is_pending() && is_ending && !is_last && has_request.get() {
            is_last = true;
            served.as_mut().graceful_shutdown();
            return served.as_mut().poll(cx).map(drop);
        }
        end
    })
    .await;
}
