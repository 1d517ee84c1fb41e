//! `svctl top`: all services on the screen, as they are now.
//!
//! [`TopSession`] waits for keys, signals and changes in one poll(2) and draws what [`model::Model`]
//! says. It sleeps while nothing happens: only the ages of visible services need a timer.

mod actions;
mod backend;
mod contents;
mod draw;
mod input;
mod keys;
mod measurements;
mod model;
mod order;
mod page;
mod paint;
mod row;
mod rows;
mod signals;
#[cfg(test)]
mod snapshots;
mod tails;
mod terminal;

use crate::failure::{DONE, Failure};
use crate::feed::{Event, Feed};
use crate::output::Output;
use crate::selection::all;
use contents::Contents;
use draw::{AROUND_LIST, AROUND_TEXT, Canvas};
use input::Decoder;
use measurements::Usages;
use model::Model;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use servicedir::ScanDir;
use signals::Signals;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};
use terminal::{RawTerminal, StopScope};

/// The time from one picture with an age to the next.
const TICK: Duration = Duration::from_secs(1);

/// The shortest time between two pictures, keys aside: a service that changes all the time does not
/// keep the terminal busy.
const BETWEEN_PICTURES: Duration = Duration::from_millis(40);

/// How long services are read before the next look at the keys.
const READING: Duration = Duration::from_millis(5);

/// How long the rest of a sequence may take after Esc.
const SEQUENCE: Duration = Duration::from_millis(50);

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Continue,
    End,
}

/// The terminal, the services, and what is between them.
struct TopSession<'a> {
    scan: &'a ScanDir,
    output: Output,
    screen: RawTerminal,
    signals: Signals,
    feed: Feed,
    decoder: Decoder,
    model: Model,
    usages: Usages,
    contents: Contents,
    /// The services that may have changed.
    unread: BTreeSet<usize>,
    /// Whether the order of the list may have changed.
    is_unsorted: bool,
    /// Whether the picture is not what the terminal shows.
    is_dirty: bool,
    last_picture: Option<Instant>,
}

/// Shows the services of a scan directory until the user ends it.
pub(crate) fn run(scan: &ScanDir, output: Output) -> Result<u8, Failure> {
    terminal::check()?;
    let failed = |what: &'static str| move |error: io::Error| Failure::system(what, &error);
    // The error for a scan directory that cannot be read names the remedy.
    all(scan)?;
    let feed = Feed::new(scan.path()).map_err(failed("watch the scan directory"))?;
    let signals = Signals::new().map_err(failed("handle signals"))?;
    let screen = RawTerminal::take().map_err(failed("use the terminal"))?;
    let mut session = TopSession {
        scan,
        output,
        screen,
        signals,
        feed,
        decoder: Decoder::default(),
        model: Model::new(crate::output::escape(&scan.path().to_string_lossy())),
        usages: Usages::default(),
        contents: Contents::default(),
        unread: BTreeSet::new(),
        is_unsorted: false,
        is_dirty: true,
        last_picture: None,
    };
    session.read_names();
    loop {
        match session.step() {
            Ok(Flow::Continue) => {}
            Ok(Flow::End) => return Ok(DONE),
            Err(error) => return Err(failed("use the terminal")(error)),
        }
    }
}

impl TopSession<'_> {
    /// Draws if there is something new, and waits for the next thing.
    fn step(&mut self) -> io::Result<Flow> {
        if !self.model.is_paused {
            self.read_services();
        }
        if self.is_dirty && !self.screen.is_writing() && self.until_picture().is_none() {
            self.draw()?;
        }
        self.screen.write()?;
        let woken = self.wait()?;
        if woken.signals {
            let requests = self.signals.take();
            if requests.end {
                return Ok(Flow::End);
            }
            if requests.suspend && self.suspend(StopScope::Process)? == Flow::End {
                return Ok(Flow::End);
            }
            if requests.resized {
                self.draw_soon();
            }
        }
        if woken.input {
            let bytes = self.screen.read()?;
            for key in self.decoder.feed(&bytes) {
                if self.press(key)? == Flow::End {
                    return Ok(Flow::End);
                }
            }
        } else if woken.nothing
            && self.decoder.is_waiting()
            && let Some(key) = self.decoder.give_up()
            && self.press(key)? == Flow::End
        {
            return Ok(Flow::End);
        }
        if woken.changes {
            self.take_changes();
        }
        if self.is_tick() {
            self.is_dirty = true;
            self.contents.is_aged = true;
        }
        self.is_dirty |= self.until_reading() == Some(Duration::ZERO);
        Ok(Flow::Continue)
    }

    /// Draws at the next step, however short the time since the last picture is.
    fn draw_soon(&mut self) {
        self.is_dirty = true;
        self.last_picture = None;
    }

    /// The time until the next picture may come; `None` if it may come now.
    fn until_picture(&self) -> Option<Duration> {
        let passed = self.last_picture?.elapsed();
        BETWEEN_PICTURES.checked_sub(passed).filter(|left| !left.is_zero())
    }

    /// Whether the screen shows an age, which changes by itself.
    fn has_ages(&self) -> bool {
        if self.model.is_paused {
            return false;
        }
        match self.model.page() {
            None => {
                let (visible, _) = self.model.rows.on_screen();
                let rows = visible.iter().filter_map(|at| self.model.rows.get(*at));
                rows.into_iter().any(|row| row.view.snapshot().is_some())
            }
            Some(_) => self.contents.has_age(),
        }
    }

    fn is_tick(&self) -> bool {
        self.has_ages() && self.last_picture.is_none_or(|last| last.elapsed() >= TICK)
    }

    /// The time until the page on the screen has to be read again after a change.
    fn until_reading(&self) -> Option<Duration> {
        if self.model.is_paused { None } else { self.contents.until_reading() }
    }

    /// How long to sleep if nothing happens; `None` for ever.
    fn timeout(&self) -> Option<Duration> {
        let is_reading = !self.model.is_paused && !self.unread.is_empty();
        let picture = (self.is_dirty && !self.screen.is_writing())
            .then(|| self.until_picture().unwrap_or_default());
        let tick = self.has_ages().then(|| {
            self.last_picture.map_or(Duration::ZERO, |last| TICK.saturating_sub(last.elapsed()))
        });
        [
            is_reading.then_some(Duration::ZERO),
            picture,
            // A terminal that takes nothing gets no new picture.
            tick.filter(|_| !self.screen.is_writing()),
            // Once the picture is dirty, its own time counts.
            self.until_reading().filter(|_| !self.is_dirty && !self.screen.is_writing()),
            self.decoder.is_waiting().then_some(SEQUENCE),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn wait(&self) -> io::Result<WakeReasons> {
        let timeout =
            self.timeout().map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        let mut polled = vec![
            PollFd::new(&self.screen.input, PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
        ];
        let changes = (!self.model.is_paused).then(|| {
            polled.push(PollFd::from_borrowed_fd(self.feed.as_fd(), PollFlags::IN));
            polled.len() - 1
        });
        if self.screen.is_writing() {
            polled.push(PollFd::from_borrowed_fd(self.screen.output.as_fd(), PollFlags::OUT));
        }
        let count = match poll(&mut polled, timeout.as_ref()) {
            Err(Errno::INTR) => 0,
            count => count?,
        };
        let is_ready = |at: usize| polled.get(at).is_some_and(|it| !it.revents().is_empty());
        Ok(WakeReasons {
            input: is_ready(0),
            signals: is_ready(1),
            changes: changes.is_some_and(is_ready),
            nothing: count == 0,
        })
    }

    /// Draws the picture into the buffer of the terminal.
    fn draw(&mut self) -> io::Result<()> {
        let size = self.screen.terminal.size()?;
        let (width, height) = (usize::from(size.width), usize::from(size.height));
        self.output.width = width;
        if std::mem::take(&mut self.is_unsorted) {
            self.model.rows.arrange_again();
        }
        self.model.rows.set_height(height.saturating_sub(AROUND_LIST));
        if !self.model.is_paused {
            self.read_visible();
            self.refresh_contents();
        }
        if let Some(page) = self.model.page_mut() {
            page.set_size(width, height.saturating_sub(AROUND_TEXT));
        } else if !self.model.is_paused {
            let (visible, _) = self.model.rows.on_screen();
            let rows = visible.iter().filter_map(|at| self.model.rows.get(*at));
            let snapshots = rows.filter_map(|row| row.view.snapshot());
            let pids: Vec<u32> =
                snapshots.filter_map(|it| it.status.pid).map(|pid| pid.get()).collect();
            self.usages.measure(&pids);
        }
        let (model, usages, is_coloured) = (&self.model, &self.usages, self.output.coloured);
        self.screen.terminal.draw(|frame| {
            let mut canvas = Canvas { buffer: frame.buffer_mut(), is_coloured };
            draw::picture(model, usages, &mut canvas);
        })?;
        self.is_dirty = false;
        self.last_picture = Some(Instant::now());
        Ok(())
    }

    fn suspend(&mut self, scope: StopScope) -> io::Result<Flow> {
        let signals = &mut self.signals;
        let mut is_ended = false;
        // The signal to the group has come to this process, too.
        self.screen.suspend(scope, || {
            is_ended |= signals.take().end;
            is_ended
        })?;
        self.draw_soon();
        Ok(if is_ended { Flow::End } else { Flow::Continue })
    }

    /// Reads which services there are.
    fn read_names(&mut self) {
        // The watch comes before the look, so that no change is missed.
        let watched = self.feed.watch_names(self.scan.path());
        let targets = match all(self.scan) {
            Ok(targets) => targets,
            Err(failure) => {
                self.model.warning = Some(format!("{}; Ctrl-L tries again", failure.message));
                self.is_dirty = true;
                return;
            }
        };
        self.model.warning =
            watched.err().map(|error| format!("Changes of the directory go unseen: {error}"));
        let places = self.model.rows.replace(targets);
        self.feed.rearrange(&places);
        let stale = |at: &usize| self.model.rows.get(*at).is_some_and(|row| row.is_stale);
        self.unread.clear();
        self.unread.extend((0..self.model.rows.len()).filter(stale));
        self.contents.note_any_change();
        self.is_dirty = true;
    }

    fn take_changes(&mut self) {
        let mut has_names = false;
        for event in self.feed.read() {
            match event {
                Event::Name(name) => {
                    // It may be another directory now.
                    if let Some(at) = self.model.rows.find(&name) {
                        self.feed.forget(at);
                        self.set_unread(at);
                    }
                    has_names = true;
                }
                Event::Service(at) => self.set_unread(at),
                Event::Log(number) => {
                    self.contents.unread_logs.insert(number);
                    self.is_dirty = true;
                }
                Event::Lost => {
                    self.model.rows.set_all_stale();
                    has_names = true;
                }
            }
        }
        if has_names {
            self.read_names();
        }
    }

    fn set_unread(&mut self, at: usize) {
        self.model.rows.set_stale(at);
        self.unread.insert(at);
    }

    /// Reads services that may have changed, for a short time.
    fn read_services(&mut self) {
        let begin = Instant::now();
        while begin.elapsed() < READING
            && let Some(at) = self.unread.first().copied()
        {
            self.read_service(at);
        }
    }

    /// Reads the services on the screen that may have changed.
    fn read_visible(&mut self) {
        let visible = self.model.rows.on_screen().0.to_vec();
        for at in visible {
            // Without a watch, the picture of each second is the only look.
            if self.unread.contains(&at) || !self.feed.is_watched(at) {
                self.read_service(at);
            }
        }
    }

    fn read_service(&mut self, at: usize) {
        self.unread.remove(&at);
        let Some(row) = self.model.rows.get(at) else { return };
        let target = row.view.target.clone();
        let before = row.is_read.then_some(&row.view.found);
        let found = self.feed.read_service(at, &target, before);
        if self.feed.is_full() && self.model.warning.is_none() {
            let text = "The kernel refuses watches (fs.inotify.max_user_watches): \
                        services on the screen are read once a second";
            self.model.warning = Some(text.to_owned());
        }
        if self.model.rows.update(at, found) {
            self.is_dirty = true;
            self.is_unsorted = true;
            self.contents.note_change(&target);
        }
    }
}

/// What ended a sleep.
struct WakeReasons {
    input: bool,
    signals: bool,
    changes: bool,
    /// The time is over.
    nothing: bool,
}
