//! Adds facts to the ledger.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params_from_iter};

use super::DAY;
use super::block::quarter;
use super::change::{Place, count, delete, find, is_imported};
use super::columns::request;
use super::cost::{self, Told};
use super::dictionary::{Context, Dictionary};
use super::family::Family;
use super::origin::Origin;
use super::row::{AT, CONTEXT, Key, Row, TABLES, WIDEST};
use super::sums::Sums;
use super::twins::{self, Events};
use crate::usage::{Counter, Extract, Fact, Measure, Request, What, decided, edits};

/// How near to midnight (UTC) the same fact may have the other day, in milliseconds: a transcript has the time of the
/// answer's first block, an event that of its end.
const NEAR: i64 = 2 * 60 * 60 * 1000;

/// Adds the facts of requests with one origin, and returns the number of new facts. Known facts change nothing. Runs in
/// the caller's transaction, so that the facts and the position after them commit together.
pub fn insert(connection: &Connection, origin: &Origin<'_>, extracts: &[Extract<'_>]) -> rusqlite::Result<u64> {
    let mut insertion = Insertion::new(connection)?;
    for extract in extracts {
        insertion.add(origin, &extract.facts)?;
        if extract.refused == 0 {
            continue;
        }
        let day = extract.facts.first().map_or(0, |fact| fact.at.div_euclid(DAY));
        connection
            .prepare_cached(
                "INSERT INTO refused (day, count) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?
            .execute((day, i64::try_from(extract.refused).unwrap_or(i64::MAX)))?;
    }
    insertion.finish()
}

/// Adds facts of several origins, which are all telemetry or all transcripts. The sums are written once, at the end.
pub(super) struct Insertion<'a> {
    connection: &'a Connection,
    pub(super) dictionary: Dictionary<'a>,
    /// The statements for each of [`TABLES`].
    statements: Vec<Statements<'a>>,
    sums: Sums,
    new: u64,
    is_import: bool,
    /// For each session, whether the other source, events or transcripts, knows it too.
    standings: HashMap<i64, bool>,
    events: Events,
    /// Sessions whose shared costs change with the added facts.
    unsettled: BTreeSet<i64>,
    /// The requests of a new session, until its cost is shared over them.
    held: Option<Vec<(Place, Row)>>,
}

/// Prepared once, because looking a statement up takes as long as adding a fact.
struct Statements<'a> {
    insert: CachedStatement<'a>,
    look: CachedStatement<'a>,
}

impl<'a> Insertion<'a> {
    pub(super) fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        let mut statements = Vec::new();
        for (insert, look) in STATEMENTS.iter() {
            let (insert, look) = (connection.prepare_cached(insert)?, connection.prepare_cached(look)?);
            statements.push(Statements { insert, look });
        }
        Ok(Self {
            connection,
            dictionary: Dictionary::new(connection),
            statements,
            sums: Sums::default(),
            new: 0,
            is_import: false,
            standings: HashMap::new(),
            events: Events::default(),
            unsettled: BTreeSet::new(),
            held: None,
        })
    }

    /// Adds facts of one origin.
    pub(super) fn add(&mut self, origin: &Origin<'a>, facts: &[Fact<'a>]) -> rusqlite::Result<()> {
        self.dictionary.enter(origin)?;
        self.is_import = origin.is_import();
        if self.is_import {
            let requests = facts.iter().filter(|fact| matches!(fact.what, What::Request(_)));
            requests.for_each(|fact| self.events.claim(0, fact.identity));
        }
        facts.iter().try_for_each(|fact| self.take(fact))
    }

    /// Holds the requests of a session of which nothing is stored, until [`Self::store`].
    pub(super) fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Stores the requests that are held, after sharing the session's cost over them.
    pub(super) fn store(&mut self, told: &Told) -> rusqlite::Result<()> {
        let mut held = self.held.take().unwrap_or_default();
        cost::settle_new(self.connection, &mut self.sums, told, &mut held)?;
        for (place, row) in held {
            if self.keep(place, &row)? {
                self.new += 1;
                count(&mut self.sums, told.session, place.table, &row, 1);
            } else {
                // Another session has it: the shares are different.
                self.unsettled.insert(told.session);
            }
        }
        Ok(())
    }

    /// Shares the cost of a session now.
    pub(super) fn settle(&mut self, session: i64) -> rusqlite::Result<()> {
        self.unsettled.remove(&session);
        cost::settle(self.connection, &mut self.sums, session)
    }

    /// Shares the costs that changed, writes the sums, and returns the number of new facts.
    pub(super) fn finish(mut self) -> rusqlite::Result<u64> {
        while let Some(session) = self.unsettled.pop_first() {
            self.settle(session)?;
        }
        self.dictionary.finish()?;
        self.sums.write(self.connection)?;
        Ok(self.new)
    }

    fn take(&mut self, fact: &Fact<'a>) -> rusqlite::Result<()> {
        let context = self.dictionary.context(&fact.owner)?;
        if fact.at < context.forgotten_before {
            return Ok(());
        }
        // The indices in `TABLES`.
        let table = match &fact.what {
            What::Counter(counter) => return self.count(fact, context, counter),
            What::Start(kind) => return self.start(fact, context, kind),
            What::Request(_) => 0,
            What::Tool(_) => 1,
            What::Decision(_) => 2,
            What::Prompt(_) => 3,
            What::Moment(_) => 4,
        };
        let prompt = self.dictionary.prompt(context.session, fact.prompt)?;
        let mut row: Row = [0; WIDEST];
        row[..3].copy_from_slice(&[fact.at, context.id, prompt]);
        self.fill(&fact.what, &mut row[3..])?;
        let place = Place { table, day: fact.at.div_euclid(DAY), identity: fact.identity };
        if let (0, Some(held)) = (table, &mut self.held) {
            held.push((place, row));
            return Ok(());
        }
        let has_twins = self.has_twins(context.session)?;
        if self.is_import && has_twins && self.find(place, fact.at)?.is_none() {
            // Skips what an event has already reported.
            if self.events.tell(self.connection, context.session, table, &row)? {
                return Ok(());
            }
        }
        if self.keep(place, &row)? {
            self.new += 1;
            count(&mut self.sums, context.session, table, &row, 1);
            if !self.is_import && has_twins {
                self.replace_twin(context.session, place, &row, fact)?;
            }
        }
        Ok(())
    }

    /// Whether an imported session has events, or a session with events has an imported transcript.
    fn has_twins(&mut self, session: i64) -> rusqlite::Result<bool> {
        if let Some(known) = self.standings.get(&session) {
            return Ok(*known);
        }
        let found = if self.is_import {
            let find = "SELECT 1 FROM context WHERE session = ?1 AND ours != 0 LIMIT 1";
            self.connection.prepare_cached(find)?.exists([session])?
        } else {
            cost::is_imported(self.connection, session)?
        };
        self.standings.insert(session, found);
        Ok(found)
    }

    /// Removes the same fact from a transcript: the event has more data.
    fn replace_twin(&mut self, session: i64, new: Place, row: &Row, fact: &Fact<'_>) -> rusqlite::Result<()> {
        // A request with a `request-id` is identified by that.
        let is_named = matches!(&fact.what, What::Request(request) if request.is_named);
        if !is_named
            && let Some((place, twin)) = twins::imported(self.connection, session, new.table, row, fact.prompt)?
        {
            delete(self.connection, &mut self.sums, session, place, &twin)?;
        }
        if new.table == 0 {
            self.unsettled.insert(session);
        }
        Ok(())
    }

    /// The fact with an identity on the day of that time or, near midnight, on the adjacent day.
    fn find(&self, place: Place, at: i64) -> rusqlite::Result<Option<(Place, Row)>> {
        for day in [Some(place.day), neighbour(at)].into_iter().flatten() {
            let place = Place { day, ..place };
            if let Some(row) = find(self.connection, place)? {
                return Ok(Some((place, row)));
            }
        }
        Ok(None)
    }

    /// Fills the columns that are specific to the fact's type.
    fn fill(&mut self, what: &What<'a>, row: &mut [i64]) -> rusqlite::Result<()> {
        let mut put = |values: &[i64]| row[..values.len()].copy_from_slice(values);
        match what {
            What::Request(request) => {
                let (model, kind) = (self.dictionary.text(request.model)?, self.dictionary.kind(&request.kind)?);
                put(&numbers(request, model, kind));
            }
            What::Tool(call) => {
                let [tool, mcp, error, revision] = self.texts([call.tool, call.mcp, call.error, call.revision])?;
                let succeeded = i64::from(call.succeeded);
                put(&[tool, mcp, succeeded, error, call.duration, call.input_size, call.output_size, revision]);
            }
            What::Decision(decision) => {
                let [tool, source, mode] = self.texts([decision.tool, decision.source, decision.mode])?;
                let edit = match decided(decision.accepted, decision.source) {
                    _ if !edits(decision.tool) => 0,
                    Measure::EditsAccepted => 1,
                    Measure::EditsRejected => 2,
                    _ => 3,
                };
                put(&[tool, i64::from(decision.accepted), source, mode, edit]);
            }
            What::Prompt(prompt) => {
                let command = self.dictionary.text(prompt.command)?;
                put(&[prompt.length, i64::from(prompt.is_builtin), command]);
            }
            What::Moment(moment) => {
                let [event, name] = self.texts([moment.event, moment.name])?;
                put(&[event, name, moment.duration, moment.succeeded.map_or(-1, i64::from), moment.number]);
            }
            What::Counter(_) | What::Start(_) => {}
        }
        Ok(())
    }

    fn texts<const N: usize>(&mut self, texts: [&'a str; N]) -> rusqlite::Result<[i64; N]> {
        let mut ids = [0; N];
        for (id, text) in ids.iter_mut().zip(texts) {
            *id = self.dictionary.text(text)?;
        }
        Ok(ids)
    }

    /// Stores a fact if it is new, and returns whether it was. A fact from an event replaces one from a transcript. Of
    /// two rows of a transcript, the one with more data is kept.
    fn keep(&mut self, place: Place, row: &Row) -> rusqlite::Result<bool> {
        let Statements { insert, look } = &mut self.statements[place.table];
        let is_beside = match neighbour(row[AT]) {
            Some(day) => look.exists((day, place.identity))?,
            None => false,
        };
        let columns = TABLES[place.table].columns.len();
        let values = || [place.day, place.identity].into_iter().chain(row[..columns].iter().copied());
        if !is_beside && insert.execute(params_from_iter(values()))? > 0 {
            return Ok(true);
        }
        let Some((found, before)) = self.find(place, row[AT])? else { return Ok(false) };
        if !is_imported(self.connection, &before)? {
            return Ok(false);
        }
        let tokens = |row: &Row| row[request::TOKENS].iter().fold(0_i64, |sum, tokens| sum.saturating_add(*tokens));
        if self.is_import && (place.table != 0 || tokens(row) <= tokens(&before)) {
            return Ok(false);
        }
        let session = self.session_of(&before)?;
        delete(self.connection, &mut self.sums, session, found, &before)?;
        if place.table == 0 {
            self.unsettled.insert(session);
        }
        Ok(self.statements[place.table].insert.execute(params_from_iter(values()))? > 0)
    }

    fn session_of(&self, row: &Row) -> rusqlite::Result<i64> {
        let mut find = self.connection.prepare_cached("SELECT session FROM context WHERE id = ?1")?;
        find.query_row([row[CONTEXT]], |row| row.get(0))
    }

    /// Adds the count of a point, unless the point arrived before.
    fn count(&mut self, fact: &Fact<'a>, context: Context, counter: &Counter<'a>) -> rusqlite::Result<()> {
        let Some(amount) = self.unseen(fact, counter)? else { return Ok(()) };
        self.new += 1;
        let name = self.dictionary.text(counter.name)?;
        let kind = if counter.is_tool { 0 } else { self.dictionary.kind(&counter.kind)? };
        let (quarter, context_id) = (quarter(fact.at), context.id);
        let key = |family, name, kind| Key { family, quarter, context: context_id, name, kind, prompt: 0 };
        let mut add = |key| self.sums.add(context.session, key, &[(counter.measure, amount)]);
        if counter.is_tool {
            add(key(Family::ToolTwin, name, 0));
            add(key(Family::Twin, 0, 0));
        } else if counter.measure.twice().is_some() {
            add(key(Family::Twin, name, kind));
        } else {
            add(key(Family::Counter, name, kind));
        }
        Ok(())
    }

    /// The new part of a point's count, if there is one.
    fn unseen(&self, fact: &Fact<'_>, counter: &Counter<'_>) -> rusqlite::Result<Option<i64>> {
        let (day, amount) = (fact.at.div_euclid(DAY), counter.amount);
        if !counter.is_cumulative {
            let mut look =
                self.connection.prepare_cached("SELECT 1 FROM seen WHERE identity = ?2 AND day IN (?1 - 1, ?1 + 1)")?;
            if look.exists((day, fact.identity))? {
                return Ok(None);
            }
            let mut note = self
                .connection
                .prepare_cached("INSERT OR IGNORE INTO seen (day, identity, amount) VALUES (?1, ?2, 0)")?;
            return Ok((note.execute((day, fact.identity))? > 0).then_some(amount));
        }
        // A series of any length is one row, with day 0.
        let mut find = self.connection.prepare_cached("SELECT amount FROM seen WHERE day = 0 AND identity = ?1")?;
        let before = find.query_row([fact.identity], |row| row.get::<_, i64>(0)).optional()?.unwrap_or(0);
        if amount <= before {
            return Ok(None);
        }
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO seen (day, identity, amount) VALUES (0, ?1, ?2)")?
            .execute((fact.identity, amount))?;
        Ok(Some(amount - before))
    }

    /// Records how a session began; the first record stays.
    fn start(&mut self, fact: &Fact<'_>, context: Context, kind: &'a str) -> rusqlite::Result<()> {
        let kind = self.dictionary.text(kind)?;
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO start (session, type, at) VALUES (?1, ?2, ?3)")?
            .execute((context.session, kind, fact.at))?;
        Ok(())
    }
}

fn numbers(request: &Request<'_>, model: i64, kind: i64) -> [i64; 14] {
    [
        model,
        kind,
        request.input,
        request.output,
        request.cache_read,
        request.cache_creation,
        request.cache_hour,
        request.cost,
        request.basis as i64,
        request.duration,
        request.first_token,
        request.outcome as i64,
        request.status,
        request.attempts,
    ]
}

/// The adjacent day of a time near midnight.
pub(super) fn neighbour(at: i64) -> Option<i64> {
    let day = at.div_euclid(DAY);
    match at.rem_euclid(DAY) {
        ..NEAR => Some(day - 1),
        into_day if into_day >= DAY - NEAR => Some(day + 1),
        _ => None,
    }
}

/// For each of [`TABLES`], the statement that stores a fact, and the one that finds it on another day.
static STATEMENTS: LazyLock<[(String, String); 5]> = LazyLock::new(|| {
    TABLES.map(|table| {
        let (name, columns) = (table.name, table.columns.join(", "));
        let places = vec!["?"; table.columns.len()].join(", ");
        let insert = format!("INSERT OR IGNORE INTO {name} (day, identity, {columns}) VALUES (?, ?, {places})");
        (insert, format!("SELECT 1 FROM {name} WHERE day = ? AND identity = ?"))
    })
});
