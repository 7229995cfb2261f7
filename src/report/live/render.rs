//! An event on one line.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::Event;
use crate::report::numbers::{dollars, exact};
use crate::terminal::fit::shorten;
use crate::terminal::printable::printable;
use crate::usage::{Entry, to_double};

/// How many characters of a session's id are shown.
const ID: usize = 8;

/// The width of projects and event names, in columns.
const PROJECT: usize = 14;
/// See [`PROJECT`].
const EVENT: usize = 16;

/// Terminals narrower than this show no project.
const NARROW: usize = 80;

/// How lines are shown.
#[derive(Clone, Debug)]
pub struct Line {
    /// The width of the terminal in columns; `None` if the output is not a terminal.
    pub width: Option<usize>,
    /// Whether it shows colours.
    pub colour: bool,
    /// The time zone for hours.
    pub zone: TimeZone,
    /// Whether content is shown.
    pub content: bool,
}

impl Line {
    /// An event for a person: time, session, project, event, and details. Has no line break.
    pub fn of(&self, event: &Event) -> String {
        let Event { session, project, entry } = event;
        let time = Timestamp::from_millisecond(entry.at).unwrap_or_default().to_zoned(self.zone.clone());
        let session = if entry.session.is_empty() { session } else { &entry.session };
        let id: String = printable(session).chars().take(ID).collect();
        let mut head = format!("{}  {}", time.strftime("%H:%M:%S"), padded(&id, ID));
        if self.width.is_none_or(|width| width >= NARROW) {
            let project = project.rsplit('/').next().unwrap_or_default();
            _ = write!(head, "  {}", padded(&printable(project), PROJECT));
        }
        let name = padded(&printable(&entry.event), EVENT);
        let mut details = details(entry);
        if self.content && !entry.content.is_empty() {
            details.push(printable(&entry.content));
        }
        let line = format!("{head}  {name}  {}", details.join("  "));
        let line = line.trim_end();
        let line = self.width.map_or_else(|| line.to_owned(), |width| shorten(line, width));
        if !self.colour {
            return line;
        }
        // Colours are added after the layout.
        let at = line.floor_char_boundary(head.len().min(line.len()));
        let (head, rest) = line.split_at(at);
        let rest = if entry.success == Some(false) { format!("\x1b[31m{rest}\x1b[0m") } else { rest.to_owned() };
        format!("\x1b[2m{head}\x1b[0m{rest}")
    }
}

/// The details of an event, in order of importance.
fn details(entry: &Entry) -> Vec<String> {
    let mut details: Vec<String> = [&entry.model, &entry.tool, &entry.subject]
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(|text| printable(text))
        .collect();
    match (entry.event.as_str(), entry.success) {
        ("tool_decision", Some(true)) => details.push("accepted".to_owned()),
        ("tool_decision", Some(false)) => details.push("rejected".to_owned()),
        (_, Some(false)) => details.push("failed".to_owned()),
        _ => {}
    }
    if let (Some(input), Some(output)) = (entry.input, entry.output) {
        let cached = entry.cache_read.unwrap_or(0).saturating_add(entry.cache_creation.unwrap_or(0));
        details.push(format!("{} in, {} out", exact(input.saturating_add(cached)), exact(output)));
    }
    details.extend(entry.cost.filter(|cost| *cost > 0).map(dollars));
    details.extend(entry.duration.map(seconds));
    details
}

/// Milliseconds as `0.3s`; from a minute on as `1m 02s`.
fn seconds(milliseconds: i64) -> String {
    match milliseconds {
        ..60_000 => format!("{:.1}s", to_double(milliseconds) / 1000.0),
        _ => crate::report::numbers::duration(milliseconds),
    }
}

/// Pads or cuts a text to exactly this width.
fn padded(text: &str, width: usize) -> String {
    let text = shorten(text, width);
    let space = width.saturating_sub(text.width());
    text + &" ".repeat(space)
}

/// An event for programs: one object, without a line break. Unknown values are `null`.
pub fn json(event: &Event, content: bool) -> String {
    let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let mut object = json!({
        "time": Timestamp::from_millisecond(event.entry.at).unwrap_or_default().to_string(),
        "session": text(&event.session),
        "claude_session": text(&event.entry.session),
        "project": text(&event.project),
        "event": text(&event.entry.event),
        "model": text(&event.entry.model),
        "tool": text(&event.entry.tool),
        "input_tokens": event.entry.input,
        "output_tokens": event.entry.output,
        "cache_read_tokens": event.entry.cache_read,
        "cache_creation_tokens": event.entry.cache_creation,
        "cost_usd": event.entry.cost.map(|cost| to_double(cost) / 1e9),
        "duration_ms": event.entry.duration,
        "success": event.entry.success,
    });
    if let (true, Some(object)) = (content, object.as_object_mut()) {
        object.insert("content".to_owned(), text(&event.entry.content));
    }
    crate::terminal::json::escaped(&object.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Event {
        let entry = Entry {
            at: 1_764_424_805_000,
            session: "7a64b203-14d5-4b0c".to_owned(),
            event: "api_request".to_owned(),
            model: "claude-opus-5-5".to_owned(),
            input: Some(345),
            cache_read: Some(12_000),
            cache_creation: Some(0),
            output: Some(67),
            cost: Some(12_300_000),
            duration: Some(2140),
            success: Some(true),
            ..Entry::default()
        };
        event(entry)
    }

    fn event(entry: Entry) -> Event {
        Event { session: "3f0a1b2c3d4e5f60".to_owned(), project: "/home/me/api".to_owned(), entry }
    }

    fn line(width: Option<usize>, colour: bool) -> Line {
        Line { width, colour, zone: TimeZone::UTC, content: true }
    }

    #[test]
    fn a_line_shows_time_session_and_event() {
        let shown = line(None, false).of(&request());
        let expected =
            "14:00:05  7a64b203  api             api_request       claude-opus-5-5  12,345 in, 67 out  $0.01  2.1s";
        assert_eq!(shown, expected);
        let refused = Entry {
            event: "tool_decision".to_owned(),
            tool: "Bash".to_owned(),
            success: Some(false),
            ..Entry::default()
        };
        assert!(line(None, false).of(&event(refused)).ends_with("tool_decision     Bash  rejected"));
    }

    #[test]
    fn a_line_fits_the_terminal() {
        for width in [40, 60, 80, 120] {
            let shown = line(Some(width), false).of(&request());
            assert!(shown.width() <= width && shown.contains("api_request"), "{shown}");
        }
        assert!(!line(Some(79), false).of(&request()).contains("  api  "));
    }

    #[test]
    fn foreign_text_is_escaped_and_failures_are_coloured() {
        let content = "rm \x1b[2J\n-rf".to_owned();
        let entry = Entry { content, success: Some(false), ..request().entry };
        let shown = line(None, true).of(&event(entry));
        assert!(!shown.contains('\n') && !shown.contains("\x1b[2J") && shown.contains("\x1b[31m"), "{shown:?}");
    }

    #[test]
    fn an_object_has_every_name_and_content_only_on_request() {
        let object: Value = serde_json::from_str(&json(&request(), false)).unwrap();
        assert_eq!(object["time"], "2025-11-29T14:00:05Z");
        assert_eq!(
            (&object["cost_usd"], &object["tool"], &object["success"]),
            (&json!(0.0123), &Value::Null, &json!(true))
        );
        assert_eq!(object.as_object().unwrap().len(), 14);
        let object: Value = serde_json::from_str(&json(&request(), true)).unwrap();
        assert!(object.as_object().unwrap().contains_key("content"));
    }
}
