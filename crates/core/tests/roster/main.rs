//! svscan's roster: stories of what happens to services. `roster_table.rs` has the table of a single
//! slot, and `roster_world/` random events.

mod names;
mod restarts;
#[path = "../common/roster_story.rs"]
mod roster_story;
mod stop;

use daemontools_core::Ended;
use daemontools_core::svscan::slot::{Contents, SlotNo};
use roster_story::Story;

pub(crate) const KILLED: Ended = Ended::Killed(9);

impl Story {
    pub(crate) fn scan(&mut self, seen: &[(&str, u32, Contents)]) -> String {
        self.roster.begin_scan();
        let mut words: Vec<String> =
            seen.iter().map(|&(name, id, contents)| self.seen(name, id, contents)).collect();
        let mut out = Vec::new();
        self.roster.end_scan(self.now, &mut out);
        words.push(self.words(&out));
        words.retain(|words| !words.is_empty());
        words.join(", ")
    }

    pub(crate) fn name(&self, no: usize) -> &str {
        let slot = self.roster.slot(SlotNo(no)).expect("a service");
        std::str::from_utf8(slot.name()).expect("a plain name")
    }

    pub(crate) fn count(&self) -> usize {
        self.roster.slots().count()
    }
}
