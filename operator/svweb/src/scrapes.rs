//! What svweb remembers from one scrape of the metrics to the next.

use daemontools_sys::std_heap::give_back;
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use svctl::metrics::{Form, Scraper};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

/// How long it is remembered after the last scrape. Prometheus does not use longer intervals.
const LINGER: Duration = Duration::from_secs(300);

/// The scrapes of a scan directory.
pub(crate) struct Scrapes {
    scraper: Arc<Mutex<Scraper>>,
    last: Cell<Instant>,
    has_timer: Cell<bool>,
}

impl Scrapes {
    pub(crate) fn new(dir: &Path) -> Rc<Self> {
        let scraper = Arc::new(Mutex::new(Scraper::new(dir)));
        Rc::new(Self { scraper, last: Cell::new(Instant::now()), has_timer: Cell::new(false) })
    }

    /// A function for a thread beside the loop, which makes the text of the metrics.
    pub(crate) fn begin(
        self: &Rc<Self>,
        form: Form,
    ) -> impl FnOnce() -> Result<String, String> + Send + use<> {
        self.last.set(Instant::now());
        self.start_timer();
        let scraper = Arc::clone(&self.scraper);
        move || scraper.lock().unwrap_or_else(PoisonError::into_inner).scrape(form)
    }

    /// Forgets everything some time after the last scrape.
    fn start_timer(self: &Rc<Self>) {
        if self.has_timer.replace(true) {
            return;
        }
        let this = Rc::clone(self);
        spawn_local(async move {
            loop {
                let end = this.last.get() + LINGER;
                if end <= Instant::now()
                    && let Ok(mut scraper) = this.scraper.try_lock()
                {
                    scraper.forget();
                    give_back();
                    this.has_timer.set(false);
                    return;
                }
                sleep_until(end.max(Instant::now() + Duration::from_secs(1))).await;
            }
        });
    }
}
