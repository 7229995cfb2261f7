//! One session or prompt, step by step.

use std::fmt::Write;

use jiff::Timestamp;

use super::text::{Paint, at_home, grid};
use super::{Look, csv, json, markdown};
use crate::report::numbers::{dollars, duration, exact, short};
use crate::report::{Sources, Step, Story};
use crate::terminal::printable::printable;
use crate::usage::Measure;

/// A step's columns after its time, `what` and `name`.
pub(super) const HEADINGS: [&str; 7] = ["time", "what", "name", "outcome", "took", "tokens", "cost"];

pub(super) fn text(story: &Story, look: &Look) -> String {
    let paint = Paint { colour: look.colour };
    let mut text = paint.bold(&format!("Session {}", printable(&story.session))) + "\n";
    if let Some(prompt) = &story.prompt {
        _ = writeln!(text, "prompt {}", printable(prompt));
    }
    for (name, value) in &story.about {
        let value = if *name == "project" { at_home(value, look) } else { value.clone() };
        _ = writeln!(text, "{name} {}", printable(&value));
    }
    let (names, numbers) = HEADINGS.split_at(4);
    let mut grid = grid(names.iter().copied(), numbers.iter().copied());
    let mut day = None;
    for step in &story.steps {
        let at = Timestamp::from_millisecond(step.at).unwrap_or_default();
        let civil = look.zone.to_datetime(at);
        // The date is shown where it changes.
        let time = if day.replace(civil.date()) == Some(civil.date()) {
            civil.strftime("%H:%M:%S").to_string()
        } else {
            civil.strftime("%m-%d %H:%M:%S").to_string()
        };
        grid.push(std::iter::once(format!("{time:>14}")).chain(cells(step)));
    }
    let lines = grid.lines(look.width);
    for (index, line) in lines.iter().enumerate() {
        text += "\n";
        text += &if index == 0 { paint.bold(line) } else { line.clone() };
    }
    text += "\n\n";
    text += &paint.bold(&total(story).join(", "));
    text += "\n";
    if let Some(sources) = sources(story) {
        _ = writeln!(text, "\n{sources}");
    }
    story.differences.iter().for_each(|line| _ = writeln!(text, "{}", printable(line)));
    text
}

/// The cost that each source reports, if they differ, in one line.
pub(super) fn sources(story: &Story) -> Option<String> {
    let Sources { events, metrics, transcript, client, status_line } = story.sources;
    let told = [("events", events), ("metrics", metrics), ("transcript", transcript)];
    let told = told.into_iter().chain(client.map(|client| ("Claude Code's total", client)));
    let told = told.chain(status_line.map(|total| ("status line", total)));
    let told: Vec<_> =
        told.filter(|(_, cost)| *cost > 0).map(|(name, cost)| format!("{name} {}", dollars(cost))).collect();
    (!story.differences.is_empty() && !told.is_empty()).then(|| told.join(", "))
}

/// The cells of a step, except its time.
pub(super) fn cells(step: &Step) -> [String; 6] {
    let some = |text: &Option<String>| text.as_deref().map(printable).unwrap_or_default();
    [
        printable(&step.what),
        some(&step.name),
        some(&step.outcome),
        step.duration
            .map(|taken| if taken < 1000 { format!("{taken}ms") } else { duration(taken) })
            .unwrap_or_default(),
        if step.tokens > 0 { short(step.tokens) } else { String::new() },
        if step.cost > 0 { dollars(step.cost) } else { String::new() },
    ]
}

/// The total of its steps, in phrases.
pub(super) fn total(story: &Story) -> Vec<String> {
    let amount = |measure| story.total.amount(measure);
    let mut parts = Vec::new();
    if amount(Measure::Cost) > 0 {
        parts.push(dollars(amount(Measure::Cost)));
    }
    let counts = [
        (story.total.tokens(), "token", "tokens"),
        (amount(Measure::Prompts), "prompt", "prompts"),
        (amount(Measure::Requests), "request", "requests"),
        (amount(Measure::Errors), "error", "errors"),
        (amount(Measure::ToolSuccesses) + amount(Measure::ToolFailures), "tool call", "tool calls"),
    ];
    for (count, one, many) in counts.into_iter().filter(|(count, ..)| *count > 0) {
        parts.push(format!("{} {}", exact(count), if count == 1 { one } else { many }));
    }
    parts
}

pub(super) fn csv(story: &Story, look: &Look) -> String {
    let mut text = String::new();
    let headings = ["time", "what", "name", "outcome", "prompt", "duration_seconds", "tokens", "cost_usd"];
    csv::push(&mut text, headings.into_iter().map(str::to_owned));
    for step in &story.steps {
        let cell = |text: &Option<String>| text.as_deref().map(csv::cell).unwrap_or_default();
        let seconds = step.duration.map(|duration| (crate::usage::to_double(duration) / 1e3).to_string());
        let cells = [
            json::moment(step.at, look),
            csv::cell(&step.what),
            cell(&step.name),
            cell(&step.outcome),
            cell(&step.prompt),
            seconds.unwrap_or_default(),
            step.tokens.to_string(),
            (crate::usage::to_double(step.cost) / 1e9).to_string(),
        ];
        csv::push(&mut text, cells.into_iter());
    }
    text
}

pub(super) fn markdown(story: &Story, look: &Look) -> String {
    let rows: Vec<Vec<String>> = story
        .steps
        .iter()
        .map(|step| {
            let cells = cells(step).into_iter().map(|cell| markdown::escaped(&cell));
            std::iter::once(json::moment(step.at, look)).chain(cells).collect()
        })
        .collect();
    markdown::grid(&HEADINGS.map(str::to_owned), 4, &rows) + &format!("\n{}\n", total(story).join(", "))
}
