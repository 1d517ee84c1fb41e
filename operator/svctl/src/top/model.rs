//! What the screen shows, without the terminal and without the system.

use super::keys::Control;
use super::page::{Page, PageKind};
use super::rows::Rows;
use crate::selection::Target;

/// A command that waits for `y`.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) control: Control,
    /// The services at the time of the question.
    pub(crate) targets: Vec<Target>,
}

/// Everything that the screen shows.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The path of the scan directory.
    pub(crate) scan: String,
    pub(crate) rows: Rows,
    /// The pages above the list; the last one is on the screen.
    pages: Vec<Page>,
    /// The search while it is typed.
    pub(crate) typing: Option<String>,
    pub(crate) question: Option<Question>,
    /// What happened to the last command, until the next key.
    pub(crate) message: Option<String>,
    /// What hinders svctl all the time.
    pub(crate) warning: Option<String>,
    /// Whether keys send commands.
    pub(crate) is_unlocked: bool,
    /// Whether the screen stands still.
    pub(crate) is_paused: bool,
}

impl Model {
    /// The list of a scan directory, by its path.
    pub(crate) fn new(scan: String) -> Self {
        Self { scan, ..Self::default() }
    }

    /// The page on the screen; `None` while it is the list.
    pub(crate) fn page(&self) -> Option<&Page> {
        self.pages.last()
    }

    pub(crate) fn page_mut(&mut self) -> Option<&mut Page> {
        self.pages.last_mut()
    }

    pub(crate) fn kind(&self) -> Option<PageKind> {
        self.page().map(|page| page.kind)
    }

    /// Puts a page on the screen, in place of an earlier one of its kind.
    pub(crate) fn open(&mut self, page: Page) {
        if let Some(at) = self.pages.iter().position(|it| it.kind == page.kind) {
            self.pages.truncate(at);
        }
        self.pages.push(page);
    }

    /// Takes the page from the screen; false if it is the list.
    pub(crate) fn close(&mut self) -> bool {
        self.pages.pop().is_some()
    }

    /// The services that a command or a page is for: that of the page, else the marked ones, else that
    /// under the cursor. `None` on a page of all services.
    pub(crate) fn chosen(&self) -> Option<Vec<Target>> {
        match self.page() {
            None => Some(self.rows.chosen()),
            Some(page) if page.is_of_one_service() => Some(page.targets.clone()),
            Some(_) => None,
        }
    }

    /// The search that is in force.
    pub(crate) fn search(&self) -> &str {
        self.page().map_or(&self.rows.search, |page| &page.search)
    }

    /// Searches for a text: narrows the list, or looks for it in the page.
    pub(crate) fn set_search(&mut self, text: &str) {
        match self.pages.last_mut() {
            Some(page) => {
                text.clone_into(&mut page.search);
                page.find();
            }
            None => {
                text.clone_into(&mut self.rows.search);
                self.rows.arrange_again();
            }
        }
    }
}

/// Some names, and how many there are beyond them.
pub(crate) fn names(targets: &[Target], most: usize) -> String {
    let names: Vec<String> = targets.iter().take(most).map(Target::shown).collect();
    let more = targets.len().saturating_sub(most);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
