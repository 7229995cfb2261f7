//! What is shown, in cells of a terminal of any size. Pure.

use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::Controls;
use super::picture::Picture;
use super::session::{Row, State};
use super::words::{age, budget, cache, counts, exact_count, joined, note, nothing, spark, usage, waits};
use crate::report::numbers::{dollars, exact, short};
use crate::report::render::{self, Format, Look};
use crate::report::{Standing, Story};
use crate::terminal::fit::{shorten, wrapped};
use crate::terminal::printable::printable;
use crate::terminal::table::{Column, Table};
use crate::usage::Measure;

/// How many minutes a row's spark line has.
const SPARK: usize = 10;

/// How many characters of a session's id are shown.
const ID: usize = 8;

/// How many of a session's last steps are shown. `ccrun report session` shows all.
const STEPS: usize = 500;

/// The keys of the list of sessions.
const KEYS: [(&str, &str); 8] = [
    ("↑↓", "select"),
    ("PgUp PgDn", "page"),
    ("Enter", "details"),
    ("s", "sort"),
    ("/", "filter"),
    ("p", "pause"),
    ("Ctrl-Z", "stop"),
    ("q Ctrl-C", "quit"),
];

/// The keys while a filter is typed.
const FILTER_KEYS: [(&str, &str); 4] = [("Enter", "keep"), ("Esc", "show all"), ("Ctrl-Z", "stop"), ("Ctrl-C", "quit")];

/// The keys where a filter hides sessions.
const CLEAR_KEY: (&str, &str) = ("Esc", "show all");

/// The keys of a session's details.
const DETAIL_KEYS: [(&str, &str); 6] = [
    ("↑↓", "scroll"),
    ("PgUp PgDn", "page"),
    ("Esc", "back"),
    ("p", "pause"),
    ("Ctrl-Z", "stop"),
    ("q Ctrl-C", "quit"),
];

/// Lines with a style each.
type Lines = Vec<(String, Style)>;

/// Draws it. Returns how many lines of details are above the first one that is shown.
pub fn draw(buffer: &mut Buffer, picture: &Picture, controls: &Controls) -> usize {
    let (width, height) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    if width == 0 || height == 0 {
        return 0;
    }
    let rows = controls.arrange(picture.rows.clone());
    let selected = controls.selected(&rows);
    let page = Page { picture, controls, width };
    let mut head = page.head(&rows);
    let mut foot = page.keys();
    // In a very small terminal the sessions matter most, then the first line.
    foot.truncate(height.saturating_sub(4));
    head.truncate(height.saturating_sub(foot.len() + 2).max(1));
    let space = height.saturating_sub(head.len() + foot.len());
    let (body, hidden) = match rows.get(selected).filter(|_| controls.is_open) {
        Some(row) => page.details(row, space),
        None => (page.sessions(&rows, selected, space), 0),
    };
    let lines = head.into_iter().chain(body.into_iter().take(space));
    for (y, (line, style)) in (0..).zip(lines) {
        buffer.set_stringn(0, y, line, width, style);
    }
    let first = buffer.area.height.saturating_sub(u16::try_from(foot.len()).unwrap_or(u16::MAX));
    for (y, (line, style)) in (first..).zip(foot) {
        buffer.set_stringn(0, y, line, width, style);
    }
    hidden
}

struct Page<'a> {
    picture: &'a Picture,
    controls: &'a Controls,
    width: usize,
}

impl Page<'_> {
    /// The lines about all sessions.
    fn head(&self, rows: &[Row]) -> Lines {
        let Self { picture, controls, .. } = self;
        let time = picture.now.to_zoned(picture.zone.clone()).strftime("%H:%M").to_string();
        let mut title = vec![format!("ccrun top  {time}"), counts(&picture.rows)];
        if controls.is_paused {
            title.push("PAUSED".to_owned());
        }
        if rows.len() < picture.rows.len() {
            title.push(format!("{} match `{}`", rows.len(), printable(&controls.filter)));
        }
        title.push(format!("by {}", controls.order.name()));
        let mut head = vec![(joined(title, self.width), bold())];
        head.push((usage("Today", &picture.today, self.width), Style::new()));
        head.push((self.hour(), Style::new()));
        head.extend(picture.standing.iter().map(|standing| (budget(standing, self.width), self.standing(standing))));
        head.extend(waits(&picture.backlogs).into_iter().map(|line| (line, self.colour(Color::Yellow))));
        head.extend(picture.fault.iter().map(|fault| (printable(fault), self.colour(Color::Red))));
        head.into_iter().map(|(line, style)| (shorten(&line, self.width), style)).collect()
    }

    fn hour(&self) -> String {
        let (cost, minutes) = &self.picture.hour;
        let last = minutes.iter().rev().nth(1).copied().unwrap_or_default();
        let before = format!("Last hour  {}  ", dollars(*cost));
        let after = format!("  {} tokens a minute", short(last));
        let space = self.width.saturating_sub(before.width() + after.width()).min(minutes.len());
        format!("{before}{}{after}", spark(minutes, space))
    }

    /// The table of sessions, scrolled to the selected one.
    fn sessions(&self, rows: &[Row], selected: usize, space: usize) -> Lines {
        if rows.is_empty() {
            let line = match self.picture.rows.len() {
                0 => "No session is running. Start one: ccrun claude",
                _ => "No session matches the filter.",
            };
            return vec![(String::new(), Style::new()), (shorten(line, self.width), Style::new())];
        }
        let table = self.table(rows, selected);
        let mut lines = table.lines(Some(self.width)).into_iter();
        let heading = lines.next().unwrap_or_default();
        let first = (selected + 1).saturating_sub(space.saturating_sub(1));
        let shown = lines.zip(rows).enumerate().skip(first);
        let styled = shown.map(|(place, (line, row))| {
            let style = self.style(row);
            if place != selected {
                return (line, style);
            }
            let space = self.width.saturating_sub(line.width());
            (line + &" ".repeat(space), style.add_modifier(Modifier::REVERSED))
        });
        std::iter::once((heading, bold())).chain(styled).collect()
    }

    fn table(&self, rows: &[Row], selected: usize) -> Table {
        let mut table = Table::new([
            Column::word(""),
            Column::name("PROJECT"),
            Column::word("STATE"),
            Column::number("COST"),
            Column::word("TOKENS/MIN").rank(1),
            Column::number("$/HOUR").rank(2),
            Column::number("CONTEXT").rank(3),
            Column::word("SESSION").rank(4),
            Column::number("ERRORS").rank(5),
            Column::number("CACHE").rank(6),
            Column::number("AGENTS").rank(7),
            Column::number("QUEUE").rank(8),
            Column::name("MODEL").rank(9),
            Column::name("NOTE").rank(10),
        ]);
        for (place, row) in rows.iter().enumerate() {
            table.push(self.cells(row, place == selected));
        }
        table
    }

    fn cells(&self, row: &Row, is_selected: bool) -> [String; 14] {
        let known = |text: String| if row.is_counted { text } else { "-".to_owned() };
        let positive = |count: i64| if count > 0 { exact(count) } else { String::new() };
        let (running, finished) = row.agents;
        let agents = if running + finished > 0 { format!("{running}/{}", running + finished) } else { String::new() };
        let id = if row.found.claude_session.is_empty() { &row.found.session } else { &row.found.claude_session };
        [
            if is_selected { "›" } else { "" }.to_owned(),
            self.project(row),
            self.state(row),
            known(dollars(row.line.amount(Measure::Cost))),
            known(spark(&row.minutes, SPARK)),
            known(dollars(row.hour)),
            row.context.map(short).unwrap_or_default(),
            printable(id).chars().take(ID).collect(),
            positive(row.line.amount(Measure::Errors)),
            cache(&row.line),
            agents,
            positive(i64::try_from(row.waiting).unwrap_or(i64::MAX)),
            printable(&row.model),
            note(row),
        ]
    }

    fn project(&self, row: &Row) -> String {
        let path = render::at_home(&row.found.project, &self.look());
        printable(if path.is_empty() { &row.found.name } else { &path })
    }

    fn state(&self, row: &Row) -> String {
        let name = row.found.state.name();
        match row.found.since {
            0 => name.to_owned(),
            since => format!("{name} {}", age(self.picture.now.as_millisecond().saturating_sub(since))),
        }
    }

    /// Everything about a session, with its last steps below. Returns how many steps are above the first one.
    fn details(&self, row: &Row, space: usize) -> (Lines, usize) {
        let about = self.about(row);
        let mut lines: Vec<String> = about.iter().flat_map(|line| wrapped(line, self.width)).collect();
        lines.truncate(space / 2);
        lines.push(String::new());
        let steps = match &self.picture.story {
            Some(story) => self.story(story),
            None => wrapped(nothing(row), self.width),
        };
        let below = space.saturating_sub(lines.len());
        let most = steps.len().saturating_sub(below);
        let first = most.saturating_sub(self.controls.scrolled);
        lines.extend(steps.into_iter().skip(first).take(below));
        (lines.into_iter().map(|line| (shorten(&line, self.width), Style::new())).collect(), most)
    }

    fn about(&self, row: &Row) -> Vec<String> {
        let found = &row.found;
        let mut first = vec![self.project(row), self.state(row)];
        first.extend(Some(&found.waiting_for).filter(|text| !text.is_empty()).map(|text| printable(text)));
        let mut second = vec![printable(&found.name)];
        second.extend(found.pid.map(|pid| format!("process {pid}")));
        second.extend(Some(&found.version).filter(|text| !text.is_empty()).map(|text| printable(text)));
        if found.started_at > 0 {
            second.push(format!("for {}", age(self.picture.now.as_millisecond().saturating_sub(found.started_at))));
        }
        let mut lines = vec![first.join("  "), second.join("  ")];
        if row.is_counted {
            let mut third = vec![format!("{} in the last hour", dollars(row.hour))];
            third.extend(row.context.map(|context| format!("context {} tokens", short(context))));
            let (running, finished) = row.agents;
            if running + finished > 0 {
                third.push(format!("subagents: {running} running, {finished} finished"));
            }
            lines.push(usage("Used", &row.line, self.width));
            lines.push(third.join("  "));
        }
        let own = self.picture.backlogs.iter().filter(|backlog| backlog.session == found.session).cloned();
        lines.extend(waits(&own.collect::<Vec<_>>()));
        lines
    }

    fn story(&self, story: &Story) -> Vec<String> {
        let older = story.steps.len().saturating_sub(STEPS);
        let mut last = story.clone();
        drop(last.steps.drain(..older));
        let mut lines: Vec<String> =
            render::story(&last, Format::Table, &self.look()).lines().map(str::to_owned).collect();
        if older > 0 {
            let all = format!(
                "{} steps before these: ccrun report session {}",
                exact_count(older),
                printable(&story.session)
            );
            lines.insert(0, all);
        }
        lines
    }

    fn look(&self) -> Look {
        let Picture { home, zone, .. } = self.picture;
        Look { width: Some(self.width), colour: false, home: home.clone(), zone: zone.clone() }
    }

    /// The keys that do something, on as many lines as they need.
    fn keys(&self) -> Lines {
        let Self { controls, .. } = self;
        let mut keys = match (controls.is_typing, controls.is_open) {
            (true, _) => FILTER_KEYS.to_vec(),
            (_, true) => DETAIL_KEYS.to_vec(),
            _ => KEYS.to_vec(),
        };
        if !controls.is_typing && !controls.is_open && !controls.filter.is_empty() {
            keys.insert(5, CLEAR_KEY);
        }
        let mut lines = vec![String::new()];
        for (key, meaning) in keys {
            let part = format!("{key} {meaning}");
            let line = lines.last().map_or(0, |line| line.width());
            if line > 0 && line + 2 + part.width() > self.width {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                line.push_str(&part);
            }
        }
        let dim = Style::new().add_modifier(Modifier::DIM);
        let mut lines: Lines = lines.into_iter().map(|line| (line, dim)).collect();
        if controls.is_typing {
            let typed = format!("Filter: {}_", printable(&controls.filter));
            lines.insert(0, (shorten(&typed, self.width), bold()));
        }
        lines
    }

    fn style(&self, row: &Row) -> Style {
        match row.found.state {
            State::Waiting => self.colour(Color::Yellow).add_modifier(Modifier::BOLD),
            State::Busy => self.colour(Color::Green),
            State::Idle | State::Running => Style::new(),
        }
    }

    fn standing(&self, standing: &Standing) -> Style {
        match standing.tier() {
            Some(..100) => self.colour(Color::Yellow),
            Some(_) => self.colour(Color::Red),
            None => Style::new(),
        }
    }

    fn colour(&self, colour: Color) -> Style {
        if self.picture.colour { Style::new().fg(colour) } else { Style::new() }
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}
