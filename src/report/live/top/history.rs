//! What the ledger knows of running sessions and of today.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::Model;
use crate::report::ledger::LedgerSource;
use crate::report::live::past::{positions, since};
use crate::report::{Condition, Dimension, Line, Query, Range, Source, SourceError};
use crate::spool::Position;

/// How far back to read requests for contexts and models, in milliseconds.
const RECENT: i64 = 24 * 60 * 60 * 1000;

/// The longest list of sessions in one query.
const TOGETHER: usize = 100;

/// Takes what the ledger knows into a model that has followed nothing, and returns the positions from which to follow the
/// logs so that no event is missed or counted twice.
pub fn begin(
    connection: &Connection,
    model: &mut Model,
    zone: &TimeZone,
    now: i64,
) -> Result<BTreeMap<String, Position>, SourceError> {
    let source = LedgerSource::new(connection)?;
    let range = Range { since: Some(model.midnight()), until: None };
    let today = source.answer(&Query { range, ..Query::new(zone.clone()) })?.total;
    model.begin(today);
    let mut sessions = connection.prepare("SELECT text FROM text WHERE id IN (SELECT session FROM context)")?;
    let mut rows = sessions.query([])?;
    while let Some(row) = rows.next()? {
        model.know(row.get_ref(0)?.as_str().unwrap_or_default());
    }
    since(connection, now.saturating_sub(RECENT), |event| model.recall(&event))?;
    read(&source, model, zone)?;
    Ok(positions(connection)?)
}

/// Reads what shown sessions used before the first event that was followed. `follow` must take all events that the logs
/// hold by now into the model; until it returns, the ledger is read as of before.
pub fn catch_up<E: From<SourceError>>(
    connection: &Connection,
    model: &mut Model,
    zone: &TimeZone,
    follow: impl FnOnce(&mut Model) -> Result<(), E>,
) -> Result<(), E> {
    let source = LedgerSource::new(connection)?;
    follow(model)?;
    Ok(read(&source, model, zone)?)
}

fn read(source: &LedgerSource<'_>, model: &mut Model, zone: &TimeZone) -> Result<(), SourceError> {
    let mut unread: BTreeMap<Option<i64>, Vec<String>> = BTreeMap::new();
    for (session, until) in model.unread() {
        unread.entry(until).or_default().push(session);
    }
    for (until, sessions) in unread {
        for sessions in sessions.chunks(TOGETHER) {
            let filter = sessions.iter().map(|session| Condition {
                dimension: Dimension::Session,
                value: session.to_lowercase(),
                is_part: false,
            });
            let query = Query {
                by: vec![Dimension::Session],
                range: Range { since: None, until },
                filter: filter.collect(),
                ..Query::new(zone.clone())
            };
            for session in sessions {
                model.remember(session, Line::default());
            }
            for line in source.answer(&query)?.lines {
                if let Some(Some(session)) = line.keys.first().cloned() {
                    model.remember(&session, line);
                }
            }
        }
    }
    Ok(())
}
