//! The data that waits for delivery: in the logs behind each cursor, set aside, and in totals that were not sent.

use std::collections::BTreeMap;
use std::io;

use rusqlite::Connection;

use super::backlog::Waiting;
use super::cursors::{self, Stream};
use super::deliveries::purge_log;
use super::failure::Failure;
use super::recipient::{Recipient, SessionRow, Subscription};
use super::{disk_error, intake, set_aside, totals};
use crate::otlp::Signal;
use crate::spool::{Files, Found, Frame, Position, Reader, Source};
use crate::totals::rest;

/// Everything that waits, by recipient, oldest first. A recipient that waits for a snapshot of totals has one more
/// batch.
pub fn waiting(connection: &Connection, source: &Source) -> rusqlite::Result<Vec<Waiting>> {
    let mut found: BTreeMap<Recipient, Waiting> = BTreeMap::new();
    let mut add = |waiting: Waiting| match found.get_mut(&waiting.recipient) {
        Some(before) => before.add(waiting),
        None => drop(found.insert(waiting.recipient.clone(), waiting)),
    };
    for session in source.disk.sessions().map_err(disk_error)? {
        in_log(connection, source, &session)?.into_iter().for_each(&mut add);
    }
    set_aside::waiting(connection)?.into_iter().for_each(&mut add);
    totals::waiting(connection)?.into_iter().for_each(&mut add);
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by_key(|waiting| waiting.since);
    Ok(found)
}

/// How many batches wait, over all recipients.
pub fn count(connection: &Connection, source: &Source) -> rusqlite::Result<u64> {
    Ok(waiting(connection, source)?.iter().map(|waiting| waiting.batches).sum())
}

/// The waiting part of a session's log, by recipient.
pub(super) fn in_log(connection: &Connection, source: &Source, session: &str) -> rusqlite::Result<Vec<Waiting>> {
    let Some(row) = SessionRow::of(&source.disk, session)? else { return Ok(Vec::new()) };
    let mut readers = pending(connection, &row)?;
    let Some(start) = readers.iter().map(Pending::start).min() else { return Ok(Vec::new()) };
    let mut reader = source.reader(session, start).map_err(disk_error)?;
    while let Some(found) = reader.next().map_err(disk_error)? {
        if let Found::Frame(frame) = found {
            for pending in &mut readers {
                pending.take(&frame, &mut reader).map_err(disk_error)?;
            }
        }
    }
    Ok(readers.into_iter().filter_map(Pending::waiting).collect())
}

/// Where the log of a session begins that any of its recipients still wants; `None` if no recipient wants any of it.
pub(super) fn first_wanted(
    connection: &Connection,
    source: &Source,
    row: &SessionRow,
) -> rusqlite::Result<Option<Position>> {
    let readers = pending(connection, row)?;
    let Some(start) = readers.iter().map(Pending::start).min() else { return Ok(None) };
    let mut reader = source.reader(&row.session.id, start).map_err(disk_error)?;
    while let Some(found) = reader.next().map_err(disk_error)? {
        let Found::Frame(frame) = found else { continue };
        for pending in &readers {
            if pending.wants(&frame, &mut reader).map_err(disk_error)?.is_some() {
                return Ok(Some(frame.position));
            }
        }
    }
    Ok(None)
}

fn pending<'a>(connection: &Connection, row: &'a SessionRow) -> rusqlite::Result<Vec<Pending<'a>>> {
    row.subscriptions.iter().map(|subscription| Pending::new(connection, subscription)).collect()
}

/// The positions of a recipient's readers, and what is found behind them.
struct Pending<'a> {
    subscription: &'a Subscription,
    cursors: Vec<(Signal, Position)>,
    /// Where the deltas of metrics begin that are not in a total yet.
    fold: Position,
    failure: Option<Failure>,
    batches: u64,
    bytes: u64,
    since: i64,
}

impl<'a> Pending<'a> {
    fn new(connection: &Connection, subscription: &'a Subscription) -> rusqlite::Result<Self> {
        let (mut cursors, mut failure) = (Vec::new(), None);
        for signal in &subscription.signals {
            let cursor = cursors::find(connection, &subscription.to, Stream::Of(*signal))?;
            failure = failure.or(cursor.failure);
            cursors.push((*signal, cursor.position));
        }
        let fold = fold_position(connection, subscription)?;
        Ok(Self { subscription, cursors, fold, failure, batches: 0, bytes: 0, since: i64::MAX })
    }

    fn start(&self) -> Position {
        self.cursors.iter().map(|(_, position)| *position).min().unwrap_or(Position::START)
    }

    /// How many bytes of a frame wait for the recipient; `None` if it waits for none of them.
    fn wants<S: Files>(&self, frame: &Frame, reader: &mut Reader<S>) -> io::Result<Option<u64>> {
        let at = self.cursors.iter().find(|(signal, _)| *signal == frame.header.signal);
        let is_behind = at.is_none_or(|(_, position)| frame.position < *position);
        if is_behind || frame.header.body == 0 {
            return Ok(None);
        }
        let is_metrics = self.subscription.is_cumulative && frame.header.signal == Signal::Metrics;
        if !is_metrics || frame.position >= self.fold {
            return Ok(Some(u64::from(frame.header.body)));
        }
        let rest = reader.parts(frame)?.map(|(_, body)| rest(&body).len() as u64);
        Ok(rest.filter(|rest| *rest > 0))
    }

    fn take<S: Files>(&mut self, frame: &Frame, reader: &mut Reader<S>) -> io::Result<()> {
        if let Some(bytes) = self.wants(frame, reader)? {
            self.batches += 1;
            self.bytes += bytes;
            self.since = self.since.min(frame.header.time);
        }
        Ok(())
    }

    fn waiting(self) -> Option<Waiting> {
        let Self { batches, bytes, since, failure, .. } = self;
        (batches > 0).then(|| Waiting { recipient: self.subscription.to.clone(), batches, bytes, since, failure })
    }
}

/// Where the deltas of metrics begin that are not in a total yet: deltas that were delivered as they are never become
/// part of a total.
pub(super) fn fold_position(connection: &Connection, subscription: &Subscription) -> rusqlite::Result<Position> {
    let fold = cursors::find(connection, &subscription.to, Stream::Fold)?.position;
    Ok(fold.max(cursors::find(connection, &subscription.to, Stream::Of(Signal::Metrics))?.position))
}

/// Removes everything that waits for a recipient, and returns the number of batches. `now` is in Unix milliseconds.
pub fn purge(connection: &Connection, source: &Source, to: &Recipient, now: i64) -> rusqlite::Result<u64> {
    // Records that were not counted as received cannot be counted as dropped.
    while !intake::count(connection, source, &to.session, now)? {}
    let row = SessionRow::of(&source.disk, &to.session)?;
    let mut gone = 0;
    for of in row.iter().flat_map(|row| &row.subscriptions).filter(|of| of.to == *to) {
        gone += purge_log(connection, source, of, None, now)?;
    }
    Ok(gone + set_aside::purge(connection, to, now)? + totals::purge(connection, to, now)?)
}
