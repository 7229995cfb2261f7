//! The last events in the ledger, and the positions from which to read the logs so that no event is missed.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension};

use super::{Event, Wanted};
use crate::ledger::columns::{decision, moment, request, submission, tool_call};
use crate::ledger::{AT, CONTEXT, DAY, DECISION, MOMENT, REQUEST, Row, SUBMISSION, TABLES, TOOL, Table, WIDEST};
use crate::spool::Position;
use crate::usage::{Entry, Outcome};

/// How many days with facts to search for matching events.
const DAYS: usize = 400;

/// The events of requests, by their outcome. Other outcomes have none.
const OUTCOMES: [(Outcome, &str); 4] = [
    (Outcome::Answered, "api_request"),
    (Outcome::Failed, "api_error"),
    (Outcome::Refused, "api_refusal"),
    (Outcome::Exhausted, "api_retries_exhausted"),
];

/// The past events, and where the logs continue.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The last matching events, in order of time.
    pub events: Vec<Event>,
    /// The position in each session's log up to which the ledger has read.
    pub positions: BTreeMap<String, Position>,
}

/// Reads the last `count` matching events and the corresponding positions from one snapshot.
pub fn past(connection: &Connection, count: usize, wanted: &Wanted) -> rusqlite::Result<Past> {
    let transaction = connection.unchecked_transaction()?;
    let past = Past { events: events(&transaction, count, wanted)?, positions: positions(&transaction)? };
    transaction.finish()?;
    Ok(past)
}

/// The position in each session's log up to which the ledger has read.
pub(super) fn positions(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Position>> {
    let mut statement = connection.prepare("SELECT session, worker, number, offset FROM position")?;
    let positions = statement.query_map([], |row| {
        let offset = row.get::<_, i64>(3)?.cast_unsigned();
        Ok((row.get(0)?, Position { worker: row.get(1)?, number: row.get(2)?, offset }))
    })?;
    positions.collect()
}

/// Calls `each` with the requests and moments since a time in Unix milliseconds, day by day and otherwise unordered.
pub fn since(connection: &Connection, at: i64, mut each: impl FnMut(Event)) -> rusqlite::Result<()> {
    let mut names = Names::new(connection);
    for table in [&REQUEST, &MOMENT] {
        let select =
            format!("SELECT identity, {} FROM {} WHERE day >= ?1 AND at >= ?2", table.columns.join(", "), table.name);
        let mut statement = connection.prepare(&select)?;
        let mut rows = statement.query([at.div_euclid(DAY), at])?;
        while let Some(fact) = rows.next()? {
            if let Some(event) = names.event(table, fact.get(0)?, &columns(table, fact)?)? {
                each(event);
            }
        }
    }
    Ok(())
}

/// The columns of a fact, which follow its identity.
fn columns(table: &Table, fact: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let mut row: Row = [0; WIDEST];
    for (index, value) in row.iter_mut().enumerate().take(table.columns.len()) {
        *value = fact.get(index + 1)?;
    }
    Ok(row)
}

/// Searches day by day, newest first. Facts are ordered by day, but unordered within one.
fn events(connection: &Connection, count: usize, wanted: &Wanted) -> rusqlite::Result<Vec<Event>> {
    let (mut found, mut before, mut names) = (Vec::new(), i64::MAX, Names::new(connection));
    for _ in 0..DAYS {
        let Some(day) = newest_day(connection, before)? else { break };
        if found.len() >= count {
            break;
        }
        for table in TABLES {
            let select = format!("SELECT identity, {} FROM {} WHERE day = ?1", table.columns.join(", "), table.name);
            let mut statement = connection.prepare_cached(&select)?;
            let mut rows = statement.query([day])?;
            while let Some(fact) = rows.next()? {
                let event = names.event(table, fact.get(0)?, &columns(table, fact)?)?;
                found.extend(event.filter(|event| wanted.has(event)));
            }
        }
        found.sort_by_key(|event| std::cmp::Reverse(event.entry.at));
        found.truncate(count);
        before = day;
    }
    found.reverse();
    Ok(found)
}

fn newest_day(connection: &Connection, before: i64) -> rusqlite::Result<Option<i64>> {
    let mut newest = None;
    for table in TABLES {
        let select = format!("SELECT max(day) FROM {} WHERE day < ?1", table.name);
        let day: Option<i64> = connection.prepare_cached(&select)?.query_row([before], |row| row.get(0))?;
        newest = newest.max(day);
    }
    Ok(newest)
}

/// The texts of ids, each looked up once.
struct Names<'a> {
    connection: &'a Connection,
    texts: HashMap<i64, String>,
    contexts: HashMap<i64, [i64; 3]>,
    kinds: HashMap<i64, [i64; 2]>,
}

impl<'a> Names<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self { connection, texts: HashMap::new(), contexts: HashMap::new(), kinds: HashMap::new() }
    }

    fn text(&mut self, id: i64) -> rusqlite::Result<String> {
        if let Some(text) = self.texts.get(&id) {
            return Ok(text.clone());
        }
        let mut find = self.connection.prepare_cached("SELECT text FROM text WHERE id = ?1")?;
        let text: String = find.query_row([id], |row| row.get(0)).optional()?.unwrap_or_default();
        self.texts.insert(id, text.clone());
        Ok(text)
    }

    /// The texts of a context: the session, Claude Code's session, and the project.
    fn context(&mut self, id: i64) -> rusqlite::Result<[i64; 3]> {
        if let Some(context) = self.contexts.get(&id) {
            return Ok(*context);
        }
        let mut find = self.connection.prepare_cached("SELECT ours, session, project FROM context WHERE id = ?1")?;
        let found = find.query_row([id], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).optional()?;
        let context = found.unwrap_or_default();
        self.contexts.insert(id, context);
        Ok(context)
    }

    /// The texts of a kind: what a request was for, and the agent.
    fn kind(&mut self, id: i64) -> rusqlite::Result<[i64; 2]> {
        if let Some(kind) = self.kinds.get(&id) {
            return Ok(*kind);
        }
        let mut find = self.connection.prepare_cached("SELECT source, agent FROM kind WHERE id = ?1")?;
        let found = find.query_row([id], |row| Ok([row.get(0)?, row.get(1)?])).optional()?;
        let kind = found.unwrap_or_default();
        self.kinds.insert(id, kind);
        Ok(kind)
    }

    /// The event of a fact. `None` if it sums up requests that no event reported.
    fn event(&mut self, table: &Table, identity: i64, row: &Row) -> rusqlite::Result<Option<Event>> {
        let [session, claude_session, project] = self.context(row[CONTEXT])?;
        let mut entry = Entry { identity, at: row[AT], session: self.text(claude_session)?, ..Entry::default() };
        if *table == REQUEST {
            let outcome = row[request::OUTCOME];
            let Some((_, name)) = OUTCOMES.iter().find(|(number, _)| *number as i64 == outcome) else {
                return Ok(None);
            };
            let answered = outcome == Outcome::Answered as i64;
            let amount = |column: usize| answered.then_some(row[column]);
            (*name).clone_into(&mut entry.event);
            entry.model = self.text(row[request::MODEL])?;
            let [source, agent] = self.kind(row[request::KIND])?;
            (entry.source, entry.subject) = (self.text(source)?, self.text(agent)?);
            entry.input = amount(request::INPUT);
            entry.cache_read = amount(request::CACHE_READ);
            entry.cache_creation = amount(request::CACHE_CREATION);
            entry.output = amount(request::OUTPUT);
            entry.cost = amount(request::COST);
            entry.duration = known(row[request::DURATION]);
            entry.success = Some(answered);
        } else if *table == TOOL {
            "tool_result".clone_into(&mut entry.event);
            entry.tool = self.text(row[tool_call::TOOL])?;
            entry.subject = self.text(row[tool_call::ERROR])?;
            entry.duration = known(row[tool_call::DURATION]);
            entry.success = Some(row[tool_call::SUCCEEDED] != 0);
        } else if *table == DECISION {
            "tool_decision".clone_into(&mut entry.event);
            entry.tool = self.text(row[decision::TOOL])?;
            entry.subject = self.text(row[decision::SOURCE])?;
            entry.success = Some(row[decision::ACCEPTED] != 0);
        } else if *table == SUBMISSION {
            "user_prompt".clone_into(&mut entry.event);
            entry.subject = self.text(row[submission::COMMAND])?;
        } else {
            debug_assert_eq!(*table, MOMENT);
            entry.event = self.text(row[moment::EVENT])?;
            entry.subject = self.text(row[moment::NAME])?;
            entry.duration = known(row[moment::DURATION]);
            entry.success = (row[moment::SUCCEEDED] >= 0).then_some(row[moment::SUCCEEDED] != 0);
        }
        Ok(Some(Event { session: self.text(session)?, project: self.text(project)?, entry }))
    }
}

/// A duration in milliseconds; zero means unknown.
fn known(duration: i64) -> Option<i64> {
    Some(duration).filter(|duration| *duration > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Origin, empty, insert};
    use crate::otlp::Signal;
    use crate::usage::samples::{api_request, event, logs, morning, text};
    use crate::usage::{What, entries, extract};

    #[test]
    fn past_events_look_the_same_as_when_they_were_received() {
        let day = 24 * 60 * 60 * 1000;
        let request = |number: i64, after| {
            let mut own = api_request("claude-opus-5-5", [number, 1, 10, 100], 0.5);
            own.push(text("agent.name", "Explore"));
            event("client", number, after, "api_request", own)
        };
        let body = logs(vec![
            event("client", 1, 1, "user_prompt", vec![text("prompt_length", "12")]),
            request(2, 2),
            event("client", 3, day, "tool_result", vec![text("tool_name", "Bash"), text("success", "false")]),
            event("client", 4, day + 1, "tool_decision", vec![text("tool_name", "Bash"), text("decision", "accept")]),
            event("client", 5, day + 2, "compaction", vec![text("trigger", "auto"), text("success", "true")]),
            event("client", 6, day + 3, "api_error", vec![text("model", "claude-opus-5-5")]),
        ]);
        let received = morning().as_millisecond() + i64::try_from(day).unwrap();
        let ledger = empty().unwrap();
        let origin = Origin { session: "ours", project: "/projects/a", persons: true, ..Origin::default() };
        insert(&ledger, &origin, &[extract(Signal::Logs, &body, received)]).unwrap();
        let event = |entry| Event { session: "ours".to_owned(), project: "/projects/a".to_owned(), entry };
        let seen: Vec<_> = entries(&body, received).map(event).collect();
        let all = past(&ledger, 50, &Wanted::default()).unwrap().events;
        assert_eq!(all, seen);
        assert_eq!(past(&ledger, 5, &Wanted::default()).unwrap().events, seen[1..]);
        let wanted = Wanted { events: vec!["api_request".to_owned()], ..Wanted::default() };
        assert_eq!(past(&ledger, 5, &wanted).unwrap().events, [seen[1].clone()]);
    }

    #[test]
    fn a_sum_without_events_is_not_shown_as_an_event() {
        let body = logs(vec![event("client", 1, 1, "api_request", api_request("m", [1, 1, 1, 1], 0.5))]);
        let mut extract = extract(Signal::Logs, &body, morning().as_millisecond());
        let What::Request(request) = &mut extract.facts[0].what else { panic!("{extract:?}") };
        request.outcome = Outcome::Unseen;
        let ledger = empty().unwrap();
        insert(&ledger, &Origin { session: "ours", ..Origin::default() }, &[extract]).unwrap();
        assert_eq!(past(&ledger, 5, &Wanted::default()).unwrap().events, []);
    }
}
