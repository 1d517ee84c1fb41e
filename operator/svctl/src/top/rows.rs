//! The services of the list: what is known of each, which are shown, and where the cursor is.

use super::order::{Filter, Sort, rank};
use super::row::Row;
use crate::selection::Target;
use crate::times::local;
use crate::view::{Found, View};
use daemontools_core::sorting::sort_by_key;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::time::SystemTime;

/// The most changes that are kept.
const MOST_CHANGES: usize = 1000;

/// A change of a service while svctl watched.
#[derive(Clone, Debug)]
pub(crate) struct NotedChange {
    pub(crate) name: OsString,
    /// When, from which state to which, and why.
    pub(crate) text: String,
}

/// All services, in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    all: Vec<Row>,
    /// Those that are shown, in their order.
    shown: Vec<usize>,
    /// The place of the cursor among those that are shown.
    cursor: usize,
    /// The first one on the screen.
    first: usize,
    /// How many fit on the screen.
    height: usize,
    pub(crate) filter: Filter,
    pub(crate) sort: Sort,
    /// Only names with this text are shown.
    pub(crate) search: String,
    changes: VecDeque<NotedChange>,
}

impl Rows {
    /// Replaces the services by those of the scan directory. What is known stays. Returns for each the
    /// place that it had.
    pub(crate) fn replace(&mut self, targets: Vec<Target>) -> Vec<Option<usize>> {
        let selected = self.selected_name();
        let mut known: HashMap<OsString, (usize, Row)> = std::mem::take(&mut self.all)
            .into_iter()
            .enumerate()
            .map(|(at, row)| (row.view.target.name.clone(), (at, row)))
            .collect();
        let mut places = Vec::with_capacity(targets.len());
        for target in targets {
            let before = known.remove(&target.name);
            let before = before.filter(|(_, row)| row.view.target.kind == target.kind);
            places.push(before.as_ref().map(|(at, _)| *at));
            self.all.push(before.map_or_else(|| Row::new(target), |(_, row)| row));
        }
        for (_, (_, row)) in known {
            self.note_change(&row.view.target.name, format!("{} → removed", row.view.word()));
        }
        self.arrange(selected);
        places
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Row> {
        self.all.get(at)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The place of a name.
    pub(crate) fn find(&self, name: &OsString) -> Option<usize> {
        self.all.binary_search_by(|row| row.view.target.name.cmp(name)).ok()
    }

    /// Says that a service may have changed.
    pub(crate) fn set_stale(&mut self, at: usize) {
        if let Some(row) = self.all.get_mut(at) {
            row.is_stale = true;
        }
    }

    pub(crate) fn set_all_stale(&mut self) {
        self.all.iter_mut().for_each(|row| row.is_stale = true);
    }

    /// Takes what was read of a service. Returns whether it differs from what was known.
    pub(crate) fn update(&mut self, at: usize, found: Found) -> bool {
        let Some(row) = self.all.get_mut(at) else { return false };
        row.is_stale = false;
        if !std::mem::replace(&mut row.is_read, true) {
            row.view.found = found;
            return true;
        }
        if row.view.found == found {
            return false;
        }
        let target = row.view.target.clone();
        let before = View { target, found: std::mem::replace(&mut row.view.found, found) };
        let pid = |view: &View| view.snapshot().and_then(|it| it.status.pid);
        if before.word() != row.view.word() || pid(&before) != pid(&row.view) {
            let pid = pid(&row.view).map_or_else(String::new, |pid| format!(", pid {pid}"));
            let note = row.view.note();
            let note = if note.is_empty() { note } else { format!(": {note}") };
            let text = format!("{} → {}{pid}{note}", before.word(), row.view.word());
            self.note_change(&before.target.name, text);
        }
        true
    }

    fn note_change(&mut self, name: &OsString, text: String) {
        if self.changes.len() >= MOST_CHANGES {
            self.changes.pop_front();
        }
        let text = format!("{}  {text}", local(SystemTime::now()));
        self.changes.push_back(NotedChange { name: name.clone(), text });
    }

    /// The changes of a service, oldest first.
    pub(crate) fn changes<'a>(&'a self, name: &'a OsString) -> impl Iterator<Item = &'a str> {
        self.changes.iter().filter(move |it| it.name == *name).map(|it| it.text.as_str())
    }

    /// Sorts and filters again. The cursor stays on its service.
    pub(crate) fn arrange_again(&mut self) {
        let selected = self.selected_name();
        self.arrange(selected);
    }

    fn arrange(&mut self, selected: Option<OsString>) {
        let wanted = self.search.to_lowercase();
        let mut shown: Vec<usize> = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, row)| self.filter.accepts(row))
            .filter(|(_, row)| {
                wanted.is_empty()
                    || row.view.target.name.to_string_lossy().to_lowercase().contains(&wanted)
            })
            .map(|(at, _)| at)
            .collect();
        self.sort.apply(&self.all, &mut shown);
        self.shown = shown;
        let found = selected.and_then(|name| {
            let at = self.find(&name)?;
            self.shown.iter().position(|shown| *shown == at)
        });
        // A service that is not shown any more leaves the cursor where it is.
        self.cursor = found.unwrap_or(self.cursor);
        self.scroll();
    }

    /// Keeps the cursor among the services, and on the screen.
    fn scroll(&mut self) {
        let last = self.shown.len().saturating_sub(1);
        self.cursor = self.cursor.min(last);
        let height = self.height.max(1);
        let lowest = (self.cursor + 1).saturating_sub(height);
        let highest = self.shown.len().saturating_sub(height);
        self.first = self.first.clamp(lowest, self.cursor).min(highest.max(lowest));
    }

    /// Sets how many services the screen has room for.
    pub(crate) fn set_height(&mut self, height: usize) {
        self.height = height;
        self.scroll();
    }

    pub(crate) fn move_by(&mut self, lines: isize) {
        self.cursor = self.cursor.saturating_add_signed(lines);
        self.scroll();
    }

    /// Puts the cursor on a row of the screen, if a service is there.
    pub(crate) fn select(&mut self, row: usize) {
        if row < self.on_screen().0.len() {
            self.cursor = self.first + row;
        }
    }

    pub(crate) fn page_by(&mut self, pages: isize) {
        let height = isize::try_from(self.height.max(2) - 1).unwrap_or(1);
        self.move_by(pages.saturating_mul(height));
    }

    pub(crate) fn first(&mut self) {
        self.cursor = 0;
        self.scroll();
    }

    pub(crate) fn last(&mut self) {
        self.cursor = usize::MAX;
        self.scroll();
    }

    /// The places of the services on the screen, and which of them has the cursor.
    pub(crate) fn on_screen(&self) -> (&[usize], usize) {
        let end = self.shown.len().min(self.first + self.height);
        let visible = self.shown.get(self.first..end).unwrap_or_default();
        (visible, self.cursor.saturating_sub(self.first))
    }

    pub(crate) fn shown_count(&self) -> usize {
        self.shown.len()
    }

    /// The service under the cursor.
    pub(crate) fn selected(&self) -> Option<&Row> {
        self.all.get(*self.shown.get(self.cursor)?)
    }

    fn selected_name(&self) -> Option<OsString> {
        self.selected().map(|row| row.view.target.name.clone())
    }

    /// Marks the service under the cursor, or takes its mark, and goes to the next one.
    pub(crate) fn mark(&mut self) {
        let Some(at) = self.shown.get(self.cursor).copied() else { return };
        if let Some(row) = self.all.get_mut(at) {
            row.is_marked = !row.is_marked;
        }
        self.move_by(1);
    }

    /// Marks all services that are shown; takes all marks if there are any.
    pub(crate) fn mark_all(&mut self) {
        let has_marks = self.all.iter().any(|row| row.is_marked);
        self.all.iter_mut().for_each(|row| row.is_marked = false);
        if !has_marks {
            for at in &self.shown {
                if let Some(row) = self.all.get_mut(*at) {
                    row.is_marked = true;
                }
            }
        }
    }

    pub(crate) fn marked_count(&self) -> usize {
        self.all.iter().filter(|row| row.is_marked).count()
    }

    /// The marked services, or the one under the cursor.
    pub(crate) fn chosen(&self) -> Vec<Target> {
        let marked: Vec<Target> = self
            .all
            .iter()
            .filter(|row| row.is_marked)
            .map(|row| row.view.target.clone())
            .collect();
        if !marked.is_empty() {
            return marked;
        }
        self.selected().map(|row| row.view.target.clone()).into_iter().collect()
    }

    /// How many services are in each state, trouble first, and how many are not read yet.
    pub(crate) fn counts(&self) -> (Vec<(&'static str, usize)>, usize) {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        let mut unread = 0;
        for row in &self.all {
            if !row.is_read {
                unread += 1;
                continue;
            }
            let word = row.view.word();
            match counts.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => counts.push((word, 1)),
            }
        }
        sort_by_key(&mut counts, |(word, _)| (rank(word), *word));
        (counts, unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use servicedir::EntryKind;

    fn targets(names: &[&str]) -> Vec<Target> {
        let target = |name: &&str| Target::new(*name, format!("/s/{name}"), EntryKind::Service);
        names.iter().map(target).collect()
    }

    fn rows(names: &[&str], height: usize) -> Rows {
        let mut rows = Rows::default();
        rows.replace(targets(names));
        rows.set_height(height);
        rows
    }

    fn selected(rows: &Rows) -> String {
        rows.selected().map_or_else(String::new, |row| row.view.target.shown())
    }

    fn on_screen(rows: &Rows) -> Vec<String> {
        let (visible, _) = rows.on_screen();
        visible.iter().filter_map(|at| Some(rows.get(*at)?.view.target.shown())).collect()
    }

    #[test]
    fn the_cursor_stays_on_its_service() {
        let mut rows = rows(&["a", "c", "e", "g"], 2);
        rows.move_by(2);
        assert_eq!(
            (selected(&rows).as_str(), on_screen(&rows)),
            ("e", vec!["c".into(), "e".into()])
        );
        // Services come and go before it.
        let places = rows.replace(targets(&["b", "c", "d", "e", "g"]));
        assert_eq!(places, [None, Some(1), None, Some(2), Some(3)]);
        assert_eq!(selected(&rows), "e");
        // It goes itself: the cursor stays where it was.
        rows.replace(targets(&["b", "c", "d", "g"]));
        assert_eq!(selected(&rows), "g");
        rows.replace(targets(&[]));
        assert_eq!(selected(&rows), "");
        rows.move_by(-1);
        rows.last();
        rows.mark();
        rows.mark_all();
        assert!(rows.chosen().is_empty() && on_screen(&rows).is_empty());
    }

    #[test]
    fn marks_stay_with_their_services_and_decide_what_is_chosen() {
        let mut rows = rows(&["a", "b", "c"], 10);
        let chosen =
            |rows: &Rows| -> Vec<String> { rows.chosen().iter().map(Target::shown).collect() };
        assert_eq!(chosen(&rows), ["a"]);
        rows.last();
        rows.mark();
        rows.first();
        rows.mark();
        rows.replace(targets(&["a", "aa", "b", "c"]));
        assert_eq!((chosen(&rows), rows.marked_count()), (vec!["a".into(), "c".into()], 2));
        // A service that is not shown keeps its mark.
        "b".clone_into(&mut rows.search);
        rows.arrange_again();
        assert_eq!(on_screen(&rows), ["b"]);
        assert_eq!(chosen(&rows), ["a", "c"]);
        rows.mark_all();
        assert_eq!(chosen(&rows), ["b"]);
    }

    #[test]
    fn changes_are_noted_once_they_are_known() {
        let mut rows = rows(&["a"], 10);
        let name = OsString::from("a");
        let found = |why: &str| Found::Unsupervised(why.to_owned());
        assert!(rows.update(0, found("x")));
        assert!(!rows.update(0, found("x")));
        // Another reason is another picture, and no other state.
        assert!(rows.update(0, found("y")));
        assert_eq!(rows.changes(&name).count(), 0);
        assert!(rows.update(0, Found::Unknown("denied".to_owned())));
        let text = rows.changes(&name).next().expect("a change");
        assert!(text.ends_with("unsupervised → unknown: denied"), "{text}");
        for _ in 0..MOST_CHANGES {
            rows.update(0, found("x"));
            rows.update(0, Found::Unknown("denied".to_owned()));
        }
        assert_eq!(rows.changes(&name).count(), MOST_CHANGES);
        assert!(!rows.update(7, found("x")));
    }

    #[test]
    fn scrolling_keeps_the_screen_full() {
        let names: Vec<String> = (0..100).map(|number| format!("{number:02}")).collect();
        let mut rows = rows(&names.iter().map(String::as_str).collect::<Vec<_>>(), 10);
        rows.page_by(1);
        assert_eq!(selected(&rows), "09");
        rows.move_by(1);
        assert_eq!(on_screen(&rows)[0], "01");
        rows.last();
        assert_eq!(on_screen(&rows)[0], "90");
        // A larger screen shows more of the end, and not free rows.
        rows.set_height(50);
        assert_eq!((on_screen(&rows)[0].as_str(), selected(&rows).as_str()), ("50", "99"));
        rows.set_height(1);
        assert_eq!(on_screen(&rows), ["99"]);
        rows.set_height(0);
        assert!(on_screen(&rows).is_empty());
        rows.set_height(10);
        rows.select(3);
        assert_eq!((on_screen(&rows)[0].as_str(), selected(&rows).as_str()), ("90", "93"));
        rows.select(10);
        assert_eq!(selected(&rows), "93");
    }
}
