//! How many system calls a program makes in a short time.

/// The time in which calls are counted, in nanoseconds.
const TIME: u64 = 50_000_000;

/// The calls of one program.
#[derive(Default)]
pub(crate) struct CallRate {
    /// When the time began, and the calls since.
    since: u64,
    calls: u64,
}

impl CallRate {
    /// Counts a call. Returns whether there are more than `most` in a short time: the program does not wait for
    /// events.
    pub(crate) const fn is_busy(&mut self, now: u64, most: u64) -> bool {
        if now > self.since + TIME {
            (self.since, self.calls) = (now, 0);
        }
        self.calls += 1;
        self.calls > most
    }
}
