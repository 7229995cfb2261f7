//! Reads one session or one prompt, step by step.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::contexts::{expression, index};
use super::label::{label, status_key};
use crate::ledger::columns::{decision, moment, request, submission, tool_call};
use crate::ledger::{
    AT, CONTEXT, CONTEXTS, DAY, DECISION, Family, MOMENT, PROMPT, QUARTER, REQUEST, Row, SUBMISSION, TABLES, TOOL,
    Table, WIDEST, block, shares,
};
use crate::report::dimension::Dimension;
use crate::report::story::{Step, Story};
use crate::report::table::Line;
use crate::usage::Outcome;

/// The dimensions shown for a session, taken from its context.
const ABOUT: [Dimension; 9] = [
    Dimension::Project,
    Dimension::Repository,
    Dimension::Branch,
    Dimension::Profile,
    Dimension::Team,
    Dimension::Person,
    Dimension::Version,
    Dimension::Entrypoint,
    Dimension::Terminal,
];

/// The sessions whose id starts with a prefix, at most a few. The id is Claude Code's, or that of a `ccrun` session.
fn sessions(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare(
        "SELECT DISTINCT s.id, s.text FROM context c JOIN text s ON s.id = c.session LEFT JOIN text o ON o.id = c.ours
         WHERE substr(s.text, 1, length(?1)) = ?1 OR substr(o.text, 1, length(?1)) = ?1 ORDER BY c.id DESC LIMIT 20",
    )?;
    statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The stories of the sessions whose id starts with a prefix: none, one, or several for the user to choose from.
pub fn session(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<Story>> {
    let found = sessions(connection, prefix)?;
    if found.len() > 1 {
        return Ok(found.into_iter().map(|(_, session)| Story { session, ..Story::default() }).collect());
    }
    found.into_iter().map(|(id, session)| story(connection, id, session, None)).collect()
}

/// A prompt's id and name, and its session's.
type Found = (i64, String, i64, String);

/// The stories of the prompts whose id starts with a prefix.
pub(super) fn prompt(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<Story>> {
    let mut statement = connection.prepare(
        "SELECT p.id, p.name, s.id, s.text FROM prompt p JOIN text s ON s.id = p.session
         WHERE substr(p.name, 1, length(?1)) = ?1 ORDER BY p.id DESC LIMIT 20",
    )?;
    let found = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let found: Vec<Found> = found.collect::<rusqlite::Result<_>>()?;
    if found.len() > 1 {
        let unread = |(_, name, _, session): Found| Story { session, prompt: Some(name), ..Story::default() };
        return Ok(found.into_iter().map(unread).collect());
    }
    found.into_iter().map(|(id, name, session, text)| story(connection, session, text, Some(&(id, name)))).collect()
}

fn story(
    connection: &Connection,
    session: i64,
    name: String,
    prompt: Option<&(i64, String)>,
) -> rusqlite::Result<Story> {
    let contexts = contexts(connection, session)?;
    let mut story = Story { session: name, prompt: prompt.map(|(_, name)| name.clone()), ..Story::default() };
    story.about = about(connection, &contexts)?;
    let Some((first, last)) = days(connection, &contexts)? else { return Ok(story) };
    let mut line = Line::default();
    let mut texts = Texts { connection, known: HashMap::new() };
    // The cost that transcripts report, and the number of those requests.
    let mut imported = (0_i64, 0_i64);
    for table in TABLES {
        let select = format!(
            "SELECT {} FROM {} WHERE day >= ?1 AND day <= ?2 AND context IN (SELECT id FROM context WHERE session = ?3)
             AND (?4 = 0 OR prompt = ?4)",
            table.columns.join(", "),
            table.name
        );
        let mut statement = connection.prepare(&select)?;
        let wanted = prompt.map_or(0, |(id, _)| *id);
        let mut rows = statement.query(params_from_iter([first, last, session, wanted]))?;
        while let Some(found) = rows.next()? {
            let mut row: Row = [0; WIDEST];
            for (index, value) in row.iter_mut().enumerate().take(table.columns.len()) {
                *value = found.get(index)?;
            }
            shares(table, &row, |key, amounts| {
                for (measure, amount) in amounts.iter().filter(|_| key.family == Family::Model) {
                    let sum = &mut line.amounts[measure.index()];
                    *sum = sum.saturating_add(*amount);
                }
            });
            if *table == REQUEST && row[request::BASIS] != 0 {
                imported.0 = imported.0.saturating_add(row[request::COST]);
                imported.1 += i64::from(row[request::OUTCOME] == Outcome::Answered as i64);
            }
            story.steps.push(texts.step(table, &row)?);
        }
    }
    line.sessions = 1;
    story.steps.sort_by_key(|step| step.at);
    story.total = line;
    if prompt.is_none() {
        super::reconcile::reconcile(connection, session, imported, &mut story)?;
    }
    Ok(story)
}

type Contexts = Vec<(i64, [i64; CONTEXTS.len()])>;

fn contexts(connection: &Connection, session: i64) -> rusqlite::Result<Contexts> {
    let columns = CONTEXTS.map(expression).join(", ");
    let select = format!("SELECT id, {columns} FROM context WHERE session = ?1 ORDER BY id");
    let mut statement = connection.prepare(&select)?;
    let rows = statement.query_map([session], |row| {
        let mut values = [0; CONTEXTS.len()];
        for (index, value) in values.iter_mut().enumerate() {
            *value = row.get(index + 1)?;
        }
        Ok((row.get(0)?, values))
    })?;
    rows.collect()
}

/// What is known about a session. Each value comes from the latest context that has it.
fn about(connection: &Connection, contexts: &Contexts) -> rusqlite::Result<Vec<(&'static str, String)>> {
    let mut about = Vec::new();
    for dimension in ABOUT {
        let column = index(&CONTEXTS, dimension.name());
        let key = |values: &[i64; CONTEXTS.len()]| values[column];
        let Some(key) = contexts.iter().rev().map(|(_, values)| key(values)).find(|key| *key != 0) else { continue };
        about.extend(label(connection, dimension, key)?.map(|value| (dimension.name(), value)));
    }
    Ok(about)
}

/// The first and the last day of a session, from its sums, because facts are looked up by day.
fn days(connection: &Connection, contexts: &Contexts) -> rusqlite::Result<Option<(i64, i64)>> {
    let ids: HashSet<i64> = contexts.iter().map(|(context, _)| *context).collect();
    let mut find = connection.prepare("SELECT id FROM sum UNION ALL SELECT id FROM counter")?;
    let mut rows = find.query([])?;
    let mut span: Option<(i64, i64)> = None;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if ids.contains(&block::context(id)) {
            let first = block::first_quarter(id);
            let last = first + block::QUARTERS - 1;
            let (earliest, latest) = span.unwrap_or((first, last));
            span = Some((earliest.min(first), latest.max(last)));
        }
    }
    let day = |quarter: i64| (quarter * QUARTER).div_euclid(DAY);
    // Facts that count nothing have no sum. They may have come shortly before or after.
    Ok(span.map(|(first, last)| (day(first) - 1, day(last) + 1)))
}

struct Texts<'a> {
    connection: &'a Connection,
    known: HashMap<i64, Option<String>>,
}

impl Texts<'_> {
    fn text(&mut self, id: i64) -> rusqlite::Result<Option<String>> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let mut find = self.connection.prepare_cached("SELECT text FROM text WHERE id = ?1")?;
        let text: Option<String> = find.query_row([id], |row| row.get(0)).optional()?;
        self.known.insert(id, text.clone());
        Ok(text)
    }

    fn step(&mut self, table: &Table, row: &Row) -> rusqlite::Result<Step> {
        debug_assert!(row[CONTEXT] != 0);
        let prompt = label(self.connection, Dimension::Prompt, row[PROMPT])?;
        let step = Step { at: row[AT], prompt, ..Step::default() };
        Ok(if *table == REQUEST {
            Step {
                what: "request".to_owned(),
                name: self.text(row[request::MODEL])?,
                outcome: super::label::label_of_row(
                    Dimension::Status,
                    status_key(row[request::OUTCOME], row[request::STATUS]),
                ),
                duration: Some(row[request::DURATION]).filter(|duration| *duration > 0),
                tokens: row[request::TOKENS].iter().fold(0, |sum, tokens| sum.saturating_add(*tokens)),
                cost: row[request::COST],
                ..step
            }
        } else if *table == TOOL {
            let error = self.text(row[tool_call::ERROR])?;
            let outcome = if row[tool_call::SUCCEEDED] == 0 {
                error.unwrap_or_else(|| "failed".to_owned())
            } else {
                "ok".to_owned()
            };
            Step {
                what: "tool".to_owned(),
                name: self.text(row[tool_call::TOOL])?,
                outcome: Some(outcome),
                duration: Some(row[tool_call::DURATION]),
                ..step
            }
        } else if *table == DECISION {
            let decided = if row[decision::ACCEPTED] == 0 { "rejected" } else { "accepted" };
            let by = self.text(row[decision::SOURCE])?.map_or_else(String::new, |source| format!(" by {source}"));
            let name = self.text(row[decision::TOOL])?;
            Step { what: "decision".to_owned(), name, outcome: Some(format!("{decided}{by}")), ..step }
        } else if *table == SUBMISSION {
            let command =
                self.text(row[submission::COMMAND])?.map(|command| format!("/{}", command.trim_start_matches('/')));
            let length = format!("{} characters", row[submission::LENGTH]);
            Step { what: "prompt".to_owned(), name: command, outcome: Some(length), ..step }
        } else {
            debug_assert_eq!(*table, MOMENT);
            let outcome = match row[moment::SUCCEEDED] {
                0 => Some("failed".to_owned()),
                1 => Some("ok".to_owned()),
                _ => None,
            };
            Step {
                what: self.text(row[moment::EVENT])?.unwrap_or_default().replace('_', " "),
                name: self.text(row[moment::NAME])?,
                outcome,
                duration: Some(row[moment::DURATION]).filter(|duration| *duration > 0),
                ..step
            }
        })
    }
}
