//! Reads from single facts what sums do not have.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::contexts::{Contexts, Late, SESSION};
use super::label::label;
use super::reader::{Names, Scanned};
use crate::ledger::{DAY, Quick, block};
use crate::report::details::{Details, Quantiles, Speed};
use crate::report::dimension::Dimension;
use crate::report::query::{Query, Range};

/// The durations of one model's requests in milliseconds: to the first token, and whole.
#[derive(Default)]
struct Sample {
    first_token: Vec<u32>,
    duration: Vec<u32>,
}

/// The details of a query's range and filter.
pub(super) fn read(connection: &Connection, query: &Query) -> rusqlite::Result<Details> {
    let query = Query { by: vec![Dimension::Session], ..query.clone() };
    let contexts = Contexts::new(connection, std::slice::from_ref(&query))?;
    let late = Late::new(&contexts, &query.filter);
    let names = Names::read(connection, query.zone.clone())?;
    let mut reading = Reading { connection, contexts, late, names, range: query.range };
    let mut samples = reading.samples()?.into_iter().collect::<Vec<_>>();
    samples.sort_unstable_by_key(|(model, sample)| (std::cmp::Reverse(sample.duration.len()), *model));
    let (mut details, mut all) =
        (Details { compactions: reading.compactions()?, ..Details::default() }, Sample::default());
    for (model, sample) in samples {
        all.first_token.extend(&sample.first_token);
        all.duration.extend(&sample.duration);
        details.speeds.push(sample.speed(label(connection, Dimension::Model, model)?));
    }
    details.all = all.speed(None);
    Ok(details)
}

impl Sample {
    fn speed(mut self, model: Option<String>) -> Speed {
        let [first_token, duration] = [&mut self.first_token, &mut self.duration].map(|sample| Quantiles::of(sample));
        Speed { model, first_token, duration }
    }
}

struct Reading<'a> {
    connection: &'a Connection,
    contexts: Contexts<'a>,
    late: Late,
    names: Names,
    range: Range,
}

impl Reading<'_> {
    /// The bounds of the range: the days and the times, in Unix milliseconds.
    fn bounds(&self) -> [i64; 4] {
        let (from, to) = (self.range.since.unwrap_or(i64::MIN), self.range.until.unwrap_or(i64::MAX));
        [from.div_euclid(DAY), to.div_euclid(DAY), from, to]
    }

    /// The durations of answered requests, by model.
    fn samples(&mut self) -> rusqlite::Result<HashMap<i64, Sample, Quick>> {
        let mut samples: HashMap<i64, Sample, Quick> = HashMap::default();
        let connection = self.connection;
        let mut statement = connection.prepare_cached(
            "SELECT at, context, prompt, model, kind, first_token, duration FROM request
             WHERE day >= ?1 AND day <= ?2 AND at >= ?3 AND at < ?4 AND outcome = 0",
        )?;
        let mut rows = statement.query(self.bounds())?;
        while let Some(row) = rows.next()? {
            let (quarter, model) = (block::quarter(row.get(0)?), row.get(3)?);
            let status = super::label::status_key(0, 0);
            let scanned = Scanned { quarter, name: model, kind: row.get(4)?, prompt: row.get(2)?, status };
            let (first_token, duration): (i64, i64) = (row.get(5)?, row.get(6)?);
            if self.session(row.get(1)?, &scanned)?.is_some() {
                let sample = samples.entry(model).or_default();
                let known = |time: i64| u32::try_from(time).ok().filter(|time| *time > 0);
                sample.first_token.extend(known(first_token));
                sample.duration.extend(known(duration));
            }
        }
        Ok(samples)
    }

    /// The sessions that were compacted automatically, and how often.
    fn compactions(&mut self) -> rusqlite::Result<Vec<(String, i64)>> {
        let connection = self.connection;
        let mut statement = connection.prepare_cached(
            "SELECT at, context, prompt FROM moment WHERE day >= ?1 AND day <= ?2 AND at >= ?3 AND at < ?4
             AND event = (SELECT id FROM text WHERE text = 'compaction')
             AND name = (SELECT id FROM text WHERE text = 'auto')",
        )?;
        let mut rows = statement.query(self.bounds())?;
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let scanned = Scanned { quarter: block::quarter(row.get(0)?), prompt: row.get(2)?, ..Scanned::default() };
            if let Some(session) = self.session(row.get(1)?, &scanned)? {
                *counts.entry(session).or_default() += 1;
            }
        }
        let mut named = Vec::new();
        for (session, count) in counts {
            named.extend(label(connection, Dimension::Session, session)?.map(|name| (name, count)));
        }
        named.sort_unstable();
        Ok(named)
    }

    /// The session of a fact, or `None` if the filter rejects the fact.
    fn session(&mut self, context: i64, row: &Scanned) -> rusqlite::Result<Option<i64>> {
        let Some(values) = self.contexts.get(context)? else { return Ok(None) };
        let session = values[SESSION];
        Ok(self.late.lets(self.connection, row, &mut self.names)?.then_some(session))
    }
}
