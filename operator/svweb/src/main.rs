//! svweb: the services of a scan directory in a browser, with an API and a stream of events.
//!
//! [`server`] has the connections, [`access`] decides which requests are answered, and [`routes`]
//! answers them. [`watched_tree`] has the scan directory while clients need it.

#![forbid(unsafe_code)]

mod access;
mod authorization;
mod control;
mod event_ring;
mod event_stream;
mod failure;
mod guarded_stream;
mod host_name;
mod html;
mod listeners;
mod machine;
mod options;
mod origin;
mod places;
mod readiness;
mod replies;
mod request_path;
mod routes;
mod scrapes;
mod server;
mod token;
mod watched_tree;

use crate::failure::{Failure, say};
use crate::options::{Options, Request};
use crate::places::Places;
use crate::readiness::Readiness;
use crate::routes::Site;
use crate::token::Token;
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

/// The threads that read files and /proc beside the loop.
const THREADS: usize = 2;

/// The time that clients have for their last request and its answer when svweb ends.
const END_TIME: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("fatal: {}", failure.message));
            ExitCode::from(failure.code)
        }
    }
}

fn run() -> Result<(), Failure> {
    // It comes first: a descriptor of the caller must not be taken for one of ours.
    let inherited = listeners::inherited();
    let options = match options::parse(std::env::args_os().skip(1))? {
        Request::Serve(options) => options,
        Request::Help => return print(&options::help()),
        Request::Version => return print(concat!("svweb ", env!("CARGO_PKG_VERSION"), "\n")),
    };
    let readiness = Readiness::take(options.ready_fd)?;
    let token = options.token_file.as_deref().map(Token::read).transpose()?;
    let listeners = listeners::open(&options, inherited)?;
    let failure = |e: &io::Error| Failure::system("start the runtime", e);
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(THREADS).build();
    let runtime = runtime.map_err(|e| failure(&e))?;
    LocalSet::new().block_on(&runtime, serve(options, token, listeners, readiness))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).map_err(|e| Failure::system("write output", &e))
}

async fn serve(
    options: Options,
    token: Option<Token>,
    listeners: listeners::Listeners,
    mut readiness: Readiness,
) -> Result<(), Failure> {
    let failure = |e: &io::Error| Failure::system("handle signals", e);
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| failure(&e))?;
    let mut ends = [SignalKind::terminate(), SignalKind::interrupt()].map(signal).into_iter();
    let (Some(Ok(mut terminate)), Some(Ok(mut interrupt))) = (ends.next(), ends.next()) else {
        return Err(failure(&io::ErrorKind::Other.into()));
    };
    let site = Site::new(options, token);
    let places = Places::new(server::most_connections());
    let file = listeners.file;
    let mut serving = Vec::new();
    for listener in listeners.all {
        let task = server::serve(listener, &site, &places);
        serving.push(task.map_err(|e| Failure::system("use a socket", &e))?);
    }
    readiness.announce();
    spawn_local(async move {
        while hangup.recv().await.is_some() {
            site.reload();
        }
    });
    poll_fn(|cx| {
        let is_ended = terminate.poll_recv(cx).is_ready() || interrupt.poll_recv(cx).is_ready();
        if is_ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    // A socket of the caller keeps further clients for the next svweb.
    serving.iter().for_each(JoinHandle::abort);
    drop(file);
    places.end(END_TIME).await;
    Ok(())
}
