//! A screen of text: one service, logs, the doctor, the tree, why, the help.

use super::paint;
use crate::selection::Target;

/// What a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Service,
    Logs,
    Doctor,
    Tree,
    Why,
    Help,
}

/// A text with a place in it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) kind: PageKind,
    pub(crate) title: String,
    /// The services that it is about.
    pub(crate) targets: Vec<Target>,
    /// The lines, with the colours of [`crate::output::Output`].
    lines: Vec<String>,
    /// The rows of the screen: the number of a line, and which part of it.
    rows: Vec<(usize, usize)>,
    /// The first row on the screen.
    first: usize,
    width: usize,
    height: usize,
    /// Whether it stays at its end when lines come.
    is_following: bool,
    /// The search, and the line where it was found.
    pub(crate) search: String,
    found: Option<usize>,
}

impl Page {
    pub(crate) fn new(kind: PageKind, title: String, targets: Vec<Target>) -> Self {
        Self {
            kind,
            title,
            targets,
            lines: Vec::new(),
            rows: Vec::new(),
            first: 0,
            width: 80,
            height: 1,
            is_following: kind == PageKind::Logs,
            search: String::new(),
            found: None,
        }
    }

    /// Whether the commands of the keys may go to its service.
    pub(crate) const fn is_of_one_service(&self) -> bool {
        matches!(self.kind, PageKind::Service | PageKind::Why)
    }

    pub(crate) fn set_lines(&mut self, lines: Vec<String>) {
        self.lines = lines;
        // The line may be another one now.
        let matching = if self.found.is_some() { self.matching() } else { Vec::new() };
        self.found = self.found.filter(|at| matching.contains(at));
        self.break_lines();
        self.scroll();
    }

    pub(crate) fn set_size(&mut self, width: usize, height: usize) {
        self.height = height.max(1);
        if self.width != width {
            self.width = width;
            let top = self.rows.get(self.first).map(|(line, _)| *line);
            self.break_lines();
            self.first = top.map_or(0, |line| self.row_of(line));
        }
        self.scroll();
    }

    fn break_lines(&mut self) {
        let width = self.width;
        let lines = self.lines.iter().enumerate();
        self.rows = lines
            .flat_map(|(at, line)| (0..paint::rows(line, width).len()).map(move |part| (at, part)))
            .collect();
    }

    /// The first row of a line.
    fn row_of(&self, line: usize) -> usize {
        self.rows.partition_point(|(at, _)| *at < line)
    }

    fn last_first(&self) -> usize {
        self.rows.len().saturating_sub(self.height)
    }

    fn scroll(&mut self) {
        let last = self.last_first();
        self.first = if self.is_following { last } else { self.first.min(last) };
    }

    /// Goes to a first line. The end of the logs follows them.
    fn go(&mut self, first: usize) {
        self.first = first.min(self.last_first());
        self.is_following = self.kind == PageKind::Logs && self.first == self.last_first();
    }

    pub(crate) fn move_by(&mut self, lines: isize) {
        self.go(self.first.saturating_add_signed(lines));
    }

    pub(crate) fn page_by(&mut self, pages: isize) {
        let height = isize::try_from(self.height.max(2) - 1).unwrap_or(1);
        self.move_by(pages.saturating_mul(height));
    }

    pub(crate) fn first(&mut self) {
        self.go(0);
    }

    pub(crate) fn last(&mut self) {
        self.go(usize::MAX);
    }

    pub(crate) const fn is_following(&self) -> bool {
        self.is_following
    }

    /// The rows on the screen: the line, which part of it, and whether the search was found there.
    pub(crate) fn on_screen(&self) -> impl Iterator<Item = (&str, usize, bool)> {
        let rows = self.rows.iter().skip(self.first).take(self.height);
        rows.filter_map(|(at, part)| {
            Some((self.lines.get(*at)?.as_str(), *part, self.found == Some(*at)))
        })
    }

    /// The numbers of the first and of the last row on the screen, and of all rows.
    pub(crate) fn place(&self) -> (usize, usize, usize) {
        let last = self.rows.len().min(self.first + self.height);
        (last.min(self.first + 1), last, self.rows.len())
    }

    /// The line at the top of the screen.
    fn top(&self) -> usize {
        self.rows.get(self.first).map_or(0, |(line, _)| *line)
    }

    /// Goes to the first line with the search from the top of the screen on.
    pub(crate) fn find(&mut self) -> bool {
        self.found = None;
        self.find_from(self.top())
    }

    /// Goes to the next line with the search, or to the first one behind the last.
    pub(crate) fn find_next(&mut self) -> bool {
        self.find_from(self.found.map_or_else(|| self.top(), |at| at + 1))
    }

    /// Goes to the line with the search before this one, or to the last one.
    pub(crate) fn find_previous(&mut self) -> bool {
        let from = self.found.unwrap_or_else(|| self.top());
        let matching = self.matching();
        let before = matching.iter().rev().find(|at| **at < from).or(matching.last());
        self.show(before.copied())
    }

    fn find_from(&mut self, from: usize) -> bool {
        let matching = self.matching();
        let next = matching.iter().find(|at| **at >= from).or(matching.first());
        self.show(next.copied())
    }

    fn matching(&self) -> Vec<usize> {
        let wanted = self.search.to_lowercase();
        if wanted.is_empty() {
            return Vec::new();
        }
        let lines = self.lines.iter().enumerate();
        lines
            .filter(|(_, line)| paint::plain(line).to_lowercase().contains(&wanted))
            .map(|(at, _)| at)
            .collect()
    }

    /// Brings a line onto the screen.
    fn show(&mut self, line: Option<usize>) -> bool {
        self.found = line;
        if let Some(row) = line.map(|at| self.row_of(at))
            && !(self.first..self.first + self.height).contains(&row)
        {
            self.go(row.saturating_sub(self.height / 2));
        }
        line.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(kind: PageKind, count: usize, height: usize) -> Page {
        let mut page = Page::new(kind, String::new(), Vec::new());
        page.set_lines((0..count).map(|n| format!("line {n}")).collect());
        page.set_size(20, height);
        page
    }

    #[test]
    fn logs_follow_their_end_until_one_scrolls_up() {
        let mut logs = page(PageKind::Logs, 10, 4);
        assert_eq!(logs.place(), (7, 10, 10));
        logs.set_lines((0..20).map(|n| n.to_string()).collect());
        assert_eq!(logs.place(), (17, 20, 20));
        logs.move_by(-1);
        logs.set_lines((0..30).map(|n| n.to_string()).collect());
        assert_eq!(logs.place(), (16, 19, 30));
        logs.last();
        assert!(logs.is_following());
        let mut doctor = page(PageKind::Doctor, 10, 4);
        assert_eq!(doctor.place(), (1, 4, 10));
        doctor.page_by(1);
        assert_eq!(doctor.place(), (4, 7, 10));
        doctor.set_lines(Vec::new());
        assert_eq!(doctor.place(), (0, 0, 0));
    }

    #[test]
    fn long_lines_are_broken_and_not_cut() {
        let mut page = page(PageKind::Why, 3, 2);
        assert_eq!(page.place(), (1, 2, 3));
        page.move_by(1);
        page.set_size(4, 2);
        assert_eq!(page.place(), (3, 4, 6));
        let shown: Vec<_> = page.on_screen().map(|(line, part, _)| (line, part)).collect();
        assert_eq!(shown, [("line 1", 0), ("line 1", 1)]);
    }

    #[test]
    fn a_search_goes_round() {
        let mut page = page(PageKind::Tree, 40, 5);
        "LINE 1".clone_into(&mut page.search);
        assert!(page.find());
        let found = |page: &Page| page.found;
        assert_eq!(found(&page), Some(1));
        assert!(page.find_next());
        assert_eq!(found(&page), Some(10));
        assert!(page.on_screen().any(|(line, _, is_found)| is_found && line == "line 10"));
        assert!(page.find_previous() && page.find_previous());
        assert_eq!(found(&page), Some(19));
        assert!(page.find_next());
        assert_eq!(found(&page), Some(1));
        "nothing".clone_into(&mut page.search);
        assert!(!page.find());
    }
}
