//! Keys, and what they change: the order, the filter, the selection, the pause, the details. Pure.

use std::cmp::Reverse;

use super::session::{Row, State};
use crate::terminal::keys::Key;
use crate::usage::Measure;

/// The longest filter, in characters.
const LONGEST: usize = 40;

/// How many lines a page has.
const PAGE: usize = 10;

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// What needs attention first.
    #[default]
    State,
    Cost,
    Hour,
    Tokens,
    Context,
    Project,
}

impl Order {
    const ALL: [Self; 6] = [Self::State, Self::Cost, Self::Hour, Self::Tokens, Self::Context, Self::Project];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Cost => "cost",
            Self::Hour => "cost an hour",
            Self::Tokens => "tokens a minute",
            Self::Context => "context",
            Self::Project => "project",
        }
    }

    fn next(self) -> Self {
        let place = Self::ALL.iter().position(|order| *order == self).unwrap_or_default();
        Self::ALL[(place + 1) % Self::ALL.len()]
    }
}

/// What a key asks the program to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Show what has changed.
    Show,
    /// Leave.
    Quit,
    /// End as by Ctrl-C.
    Interrupt,
    /// Stop as by Ctrl-Z.
    Stop,
}

/// What is chosen.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    pub(super) order: Order,
    pub(super) filter: String,
    /// Whether the filter is being typed.
    pub(super) is_typing: bool,
    /// Whether the rows stand still.
    pub is_paused: bool,
    /// The key of the selected row.
    selected: Option<String>,
    /// Whether the details of the selected row are shown.
    pub is_open: bool,
    /// How many lines before the last one the details end.
    pub(super) scrolled: usize,
}

impl Controls {
    /// The rows that match the filter, in order.
    pub fn arrange(&self, mut rows: Vec<Row>) -> Vec<Row> {
        let filter = self.filter.to_lowercase();
        rows.retain(|row| filter.is_empty() || texts(row).iter().any(|text| text.to_lowercase().contains(&filter)));
        let cost = |row: &Row| Reverse(row.line.amount(Measure::Cost));
        // Rows that are alike stay in their places.
        rows.sort_by_cached_key(|row| (row.found.project.clone(), row.key()));
        match self.order {
            Order::State => rows.sort_by_key(|row| (place(row.found.state), cost(row))),
            Order::Cost => rows.sort_by_key(cost),
            Order::Hour => rows.sort_by_key(|row| Reverse(row.hour)),
            Order::Tokens => rows.sort_by_key(|row| Reverse(row.minutes.iter().rev().take(PAGE).sum::<i64>())),
            Order::Context => rows.sort_by_key(|row| Reverse(row.context)),
            Order::Project => {}
        }
        rows
    }

    /// The place of the selected row among these, the first one if it has gone.
    pub fn selected(&self, rows: &[Row]) -> usize {
        let is_selected = |row: &Row| self.selected.as_ref().is_some_and(|key| *key == row.key());
        rows.iter().position(is_selected).unwrap_or_default()
    }

    /// Does what a key asks for. `rows` are all rows, in any order.
    pub fn press(&mut self, key: Key, rows: &[Row]) -> Action {
        match key {
            Key::Control('c') => return Action::Interrupt,
            Key::Control('z') => return Action::Stop,
            _ if self.is_typing => self.type_filter(key),
            Key::Character('q') => return Action::Quit,
            Key::Character('p') => self.is_paused = !self.is_paused,
            Key::Up => self.go(rows, -1),
            Key::Down => self.go(rows, 1),
            Key::PageUp => self.go(rows, -PAGE.cast_signed()),
            Key::PageDown => self.go(rows, PAGE.cast_signed()),
            _ if self.is_open => self.is_open = key != Key::Escape,
            Key::Enter => self.open(rows),
            Key::Character('s') => self.order = self.order.next(),
            Key::Character('/') => self.is_typing = true,
            Key::Escape => self.filter.clear(),
            _ => {}
        }
        Action::Show
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Character(character) if self.filter.chars().count() < LONGEST => self.filter.push(character),
            Key::Backspace => drop(self.filter.pop()),
            Key::Enter => self.is_typing = false,
            Key::Escape => {
                self.filter.clear();
                self.is_typing = false;
            }
            _ => {}
        }
    }

    /// Goes down some rows, or up, or scrolls the details.
    fn go(&mut self, rows: &[Row], by: isize) {
        if self.is_open {
            self.scrolled = self.scrolled.saturating_add_signed(-by);
            return;
        }
        let rows = self.arrange(rows.to_vec());
        let place = self.selected(&rows).saturating_add_signed(by).min(rows.len().saturating_sub(1));
        self.selected = rows.get(place).map(Row::key);
    }

    fn open(&mut self, rows: &[Row]) {
        let rows = self.arrange(rows.to_vec());
        self.selected = rows.get(self.selected(&rows)).map(Row::key);
        (self.is_open, self.scrolled) = (self.selected.is_some(), 0);
    }

    /// Closes the details of a row that has gone.
    pub fn settle(&mut self, rows: &[Row]) {
        let is_there = |key: &String| rows.iter().any(|row| row.key() == *key);
        self.is_open &= self.selected.as_ref().is_some_and(is_there);
    }

    /// Scrolls no further than to the first line: `hidden` are before it.
    pub fn limit(&mut self, hidden: usize) {
        self.scrolled = self.scrolled.min(hidden);
    }
}

fn place(state: State) -> Option<usize> {
    State::ALL.iter().position(|other| *other == state)
}

/// What the filter looks into.
fn texts(row: &Row) -> [&str; 6] {
    let found = &row.found;
    [&found.project, &found.claude_session, &found.session, &found.name, found.state.name(), &row.model]
}
