//! What the keys do.

use super::draw::ABOVE_LIST;
use super::input::Key;
use super::keys::{Action, Control, action};
use super::model::{Question, names};
use super::page::{Page, PageKind};
use super::tails::MOST_SERVICES;
use super::terminal::StopScope;
use super::{Flow, TopSession};
use crate::failure::reason;
use crate::selection::Target;
use std::io;

/// The longest search.
const LONGEST_SEARCH: usize = 200;

/// The most names in a message.
const NAMES: usize = 5;

/// What to know while the terminal reports the mouse.
const MOUSE_ON: &str = "Mouse: the wheel scrolls, a click selects. m ends that";

impl TopSession<'_> {
    /// A key was pressed.
    pub(super) fn press(&mut self, key: Key) -> io::Result<Flow> {
        self.draw_soon();
        self.model.message = None;
        if key == Key::Ctrl('c') {
            return Ok(Flow::End);
        }
        if let Some(question) = self.model.question.take() {
            self.answer(question, key);
            return Ok(Flow::Continue);
        }
        if let Some(text) = self.model.typing.take() {
            self.type_search(text, key);
            return Ok(Flow::Continue);
        }
        match action(key, self.model.is_unlocked) {
            Some(Action::Quit) if !self.close() => Ok(Flow::End),
            Some(Action::Suspend) => self.suspend(StopScope::Group),
            Some(action) => {
                self.act(action)?;
                Ok(Flow::Continue)
            }
            None => Ok(Flow::Continue),
        }
    }

    fn act(&mut self, action: Action) -> io::Result<()> {
        let model = &mut self.model;
        match action {
            Action::Quit | Action::Suspend => {}
            Action::Move(lines) => match model.page_mut() {
                Some(page) => page.move_by(lines),
                None => model.rows.move_by(lines),
            },
            Action::Page(pages) => match model.page_mut() {
                Some(page) => page.page_by(pages),
                None => model.rows.page_by(pages),
            },
            Action::First => match model.page_mut() {
                Some(page) => page.first(),
                None => model.rows.first(),
            },
            Action::Last => match model.page_mut() {
                Some(page) => page.last(),
                None => model.rows.last(),
            },
            Action::Back => self.back(),
            Action::Search => model.typing = Some(model.search().to_owned()),
            Action::Next | Action::Previous => self.find_again(action == Action::Next),
            Action::Filter | Action::Sort | Action::Mark | Action::MarkAll => {
                self.change_list(action)
            }
            Action::Open => {
                if model.page().is_none()
                    && let Some(row) = model.rows.selected()
                {
                    let target = row.view.target.clone();
                    self.open(PageKind::Service, vec![target])?;
                }
            }
            Action::Logs => self.open_logs()?,
            Action::Why => self.open_why()?,
            Action::Doctor => self.open(PageKind::Doctor, Vec::new())?,
            Action::Tree => self.open(PageKind::Tree, Vec::new())?,
            Action::Help => self.open(PageKind::Help, Vec::new())?,
            Action::Unlock => model.is_unlocked = !model.is_unlocked,
            Action::Pause => model.is_paused = !model.is_paused,
            Action::Redraw => self.read_again(),
            Action::Mouse => {
                let reports = !self.screen.reports_mouse();
                self.screen.report_mouse(reports);
                let text = if reports { MOUSE_ON } else { "The mouse selects text again" };
                model.message = Some(text.to_owned());
            }
            Action::Select(row) => {
                if model.page().is_none()
                    && let Some(at) = usize::from(row).checked_sub(ABOVE_LIST)
                {
                    model.rows.select(at);
                }
            }
            Action::Control(control) => self.control(control),
            Action::Locked => {
                model.message = Some("Read-only: ! lets keys control services".to_owned());
            }
        }
        Ok(())
    }

    /// Back to the list, and then to all services.
    fn back(&mut self) {
        if self.close() {
            return;
        }
        let rows = &mut self.model.rows;
        if !rows.search.is_empty() {
            rows.search.clear();
        } else {
            rows.filter = super::order::Filter::All;
        }
        rows.arrange_again();
    }

    /// Takes the page from the screen; false if it is the list.
    fn close(&mut self) -> bool {
        let is_closed = self.model.close();
        self.load_contents();
        is_closed
    }

    fn find_again(&mut self, is_forward: bool) {
        let Some(page) = self.model.page_mut() else { return };
        let is_found = if is_forward { page.find_next() } else { page.find_previous() };
        if !is_found {
            self.model.message = Some(match self.model.search() {
                "" => "Nothing is searched: / begins".to_owned(),
                text => format!("Not found: {}", crate::output::escape(text)),
            });
        }
    }

    /// What the keys of the list change. On a page, Space goes on as in a pager.
    fn change_list(&mut self, action: Action) {
        if let Some(page) = self.model.page_mut() {
            if action == Action::Mark {
                page.page_by(1);
            }
            return;
        }
        let rows = &mut self.model.rows;
        match action {
            Action::Filter => rows.filter = rows.filter.next(),
            Action::Sort => rows.sort = rows.sort.next(),
            Action::Mark => rows.mark(),
            _ => rows.mark_all(),
        }
        rows.arrange_again();
        if action == Action::Sort {
            // The beginning of an order is what it is for.
            rows.first();
        }
    }

    fn open_logs(&mut self) -> io::Result<()> {
        let targets = match self.model.page() {
            Some(page) if !page.targets.is_empty() => page.targets.clone(),
            _ => self.model.rows.chosen(),
        };
        if targets.is_empty() {
            return Ok(());
        }
        let count = targets.len();
        self.open(PageKind::Logs, targets)?;
        if count > MOST_SERVICES {
            self.model.message = Some(format!("The logs of the first {MOST_SERVICES} of {count}"));
        }
        Ok(())
    }

    fn open_why(&mut self) -> io::Result<()> {
        let target = match self.model.page() {
            Some(page) if page.is_of_one_service() => page.targets.first().cloned(),
            Some(_) => None,
            None => self.model.rows.selected().map(|row| row.view.target.clone()),
        };
        match target {
            Some(target) => self.open(PageKind::Why, vec![target]),
            None => Ok(()),
        }
    }

    /// Opens a page. The doctor and the tree may take a while, so an empty page comes first.
    fn open(&mut self, kind: PageKind, targets: Vec<Target>) -> io::Result<()> {
        let title = match kind {
            PageKind::Service => format!("Service {}", names(&targets, 1)),
            PageKind::Logs => format!("Logs of {}", names(&targets, NAMES)),
            PageKind::Doctor => "Doctor".to_owned(),
            PageKind::Tree => "Tree of processes".to_owned(),
            PageKind::Why => format!("Why {}", names(&targets, 1)),
            PageKind::Help => "Help".to_owned(),
        };
        let mut page = Page::new(kind, title, targets);
        page.set_lines(vec!["Reading...".to_owned()]);
        self.model.open(page);
        self.contents.clear();
        self.draw()?;
        self.screen.write()?;
        self.load_contents();
        self.draw_soon();
        Ok(())
    }

    fn read_again(&mut self) {
        self.model.rows.set_all_stale();
        self.read_names();
        self.load_contents();
        self.screen.redraw();
    }

    /// A key while a search is typed.
    fn type_search(&mut self, mut text: String, key: Key) {
        match key {
            Key::Enter => {}
            Key::Esc => self.model.set_search(""),
            Key::Backspace if text.is_empty() => {}
            key => {
                match key {
                    Key::Char(character) if text.len() < LONGEST_SEARCH => text.push(character),
                    Key::Backspace => {
                        text.pop();
                    }
                    _ => {}
                }
                self.model.set_search(&text);
                self.model.typing = Some(text);
            }
        }
    }

    /// A command to the chosen services. What ends a process is asked first.
    fn control(&mut self, control: Control) {
        let Some(targets) = self.model.chosen() else {
            self.model.message =
                Some("This page is of all services: Esc goes to the list".to_owned());
            return;
        };
        if targets.is_empty() {
            return;
        }
        let question = Question { control, targets };
        if control.is_confirmed() {
            self.model.question = Some(question);
        } else {
            self.send(&question);
        }
    }

    /// A key while a question waits. Only `y` is a yes, and other keys leave the question.
    fn answer(&mut self, question: Question, key: Key) {
        match key {
            Key::Char('y' | 'Y') => self.send(&question),
            Key::Char('n' | 'N' | 'q') | Key::Esc => {
                self.model.message = Some("Nothing was sent".to_owned());
            }
            _ => self.model.question = Some(question),
        }
    }

    fn send(&mut self, question: &Question) {
        let word = question.control.word();
        let mut sent = Vec::new();
        let mut failures = Vec::new();
        for target in &question.targets {
            match target.dir.send(question.control.commands()) {
                Ok(()) => sent.push(target.clone()),
                Err(error) => failures.push((target, error)),
            }
        }
        let done = format!("sent {word} to {}", names(&sent, NAMES));
        self.model.message = Some(match failures.first() {
            None => done,
            Some((target, error)) => {
                let count = failures.len();
                let more =
                    if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
                let text = format!("unable to control {}{more}: {}", target.shown(), reason(error));
                if sent.is_empty() { text } else { format!("{text}; {done}") }
            }
        });
    }
}
