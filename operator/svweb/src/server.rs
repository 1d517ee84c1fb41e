//! Connections: how many there are, how long a client may take, and how they end.

use crate::access::Client;
use crate::event_stream::ReplyBody;
use crate::failure::say;
use crate::guarded_stream::{GuardedStream, STALL, Socket};
use crate::listeners::Listener;
use crate::routes::Site;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::sleep;

/// The most connections. Further ones wait in the queue of the kernel.
const MOST_CONNECTIONS: usize = 2048;

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

/// Serves on a socket until svweb ends.
pub(crate) fn serve(listener: Listener, site: &Rc<Site>, free: &Arc<Semaphore>) -> io::Result<()> {
    let (site, free) = (Rc::clone(site), Arc::clone(free));
    match listener {
        Listener::Tcp(listener) => {
            let listener = TcpListener::from_std(listener)?;
            say(&format!("serving on http://{}/", listener.local_addr()?));
            spawn_local(async move {
                loop {
                    let permit = Arc::clone(&free).acquire_owned().await;
                    match listener.accept().await {
                        Ok((socket, peer)) => {
                            let Ok(local) = socket.local_addr() else { continue };
                            // A client that has gone without a word does not keep its place.
                            let _ = sockopt::set_socket_keepalive(&socket, true);
                            let _ = sockopt::set_tcp_keepidle(&socket, KEEP_ALIVE);
                            let _ = socket.set_nodelay(true);
                            let client = Client::Tcp { local, peer };
                            spawn_local(connection(
                                Socket::Tcp(socket),
                                client,
                                Rc::clone(&site),
                                permit,
                            ));
                        }
                        Err(error) => rest(&error).await,
                    }
                }
            });
        }
        Listener::Unix(listener) => {
            let listener = UnixListener::from_std(listener)?;
            let address = listener.local_addr()?;
            let path = address.as_pathname().unwrap_or_else(|| Path::new("a Unix socket"));
            say(&format!("serving on {}", path.display()));
            spawn_local(async move {
                loop {
                    let permit = Arc::clone(&free).acquire_owned().await;
                    match listener.accept().await {
                        Ok((socket, _)) => {
                            let peer = socket.peer_cred().ok();
                            let client = Client::Unix {
                                user: peer.map(|it| it.uid()),
                                pid: peer.and_then(|it| it.pid()),
                            };
                            spawn_local(connection(
                                Socket::Unix(socket),
                                client,
                                Rc::clone(&site),
                                permit,
                            ));
                        }
                        Err(error) => rest(&error).await,
                    }
                }
            });
        }
    }
    Ok(())
}

/// After an error of accept(2): the system is short of something, or the client has gone.
async fn rest(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
        say(&format!("warning: unable to accept a connection: {}", svctl::reason(error)));
        sleep(Duration::from_secs(1)).await;
    }
}

/// Serves a connection. The permit is its place among all connections.
async fn connection<P>(socket: Socket, client: Client, site: Rc<Site>, permit: P) {
    let io = TokioIo::new(GuardedStream::new(socket, STALL));
    let service = service_fn(move |request: Request<Incoming>| {
        let (site, client) = (Rc::clone(&site), client.clone());
        async move { Ok::<hyper::Response<ReplyBody>, Infallible>(site.answer(request, &client).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADER_LINES)
        .half_close(false)
        .serve_connection(io, service)
        .await;
    // A client that ends in the middle is its own affair.
    drop(served);
    drop(permit);
}
