//! Applies the outcome of a request, part by part, in the caller's transaction.

use std::collections::BTreeSet;

use bytes::Bytes;
use rusqlite::Connection;

use super::gather::Passed;
use super::{Delivery, Origin, Part, Route};
use crate::otlp::Signal;
use crate::spool::{Disk, Found, Frame, Position, Reader, Source};
use crate::store::counters;
use crate::store::counts::Counts;
use crate::store::cursors::{self, Stream};
use crate::store::failure::Failure;
use crate::store::recipient::{Recipient, Subscription};
use crate::store::set_aside::{self, Aside, MAXIMUM_DEFERRED, Place, records};
use crate::store::waiting::fold_position;
use crate::store::{disk_error, sessions};
use crate::totals::rest;

/// The recipients have the request, except for this many records that their destination rejected, with its message if
/// it sent one. `now` is in Unix milliseconds.
pub fn delivered(
    connection: &Connection,
    source: &Source,
    route: &Route,
    delivery: &Delivery,
    (rejected, message): (u64, Option<&str>),
    now: i64,
) -> rusqlite::Result<()> {
    let mut rejected = rejected;
    let mut message = message;
    let gone = leave(connection, source, route, delivery, now)?;
    for (place, part) in delivery.parts.iter().enumerate() {
        let Some(of) = route.subscriptions.get(part.recipient).filter(|_| gone.contains(&place)) else { continue };
        let dropped = rejected.min(part.records);
        rejected -= dropped;
        let counts = Counts { delivered: part.records - dropped, dropped, ..Counts::default() };
        counters::add(connection, &of.to, delivery.signal, counts, now)?;
        if dropped > 0 || message.is_some() {
            sessions::count_rejected(connection, &of.to.session, dropped, message)?;
        }
        // A message without a number is reported once.
        message = message.filter(|_| rejected > 0);
    }
    Ok(())
}

/// The destination did not accept the request this time: it stays, with the reason. `now` is in Unix milliseconds.
pub fn held(
    connection: &Connection,
    route: &Route,
    delivery: &Delivery,
    failure: &Failure,
    now: i64,
) -> rusqlite::Result<()> {
    // A probe is sent again together with the batches before it.
    if delivery.is_probe {
        return Ok(());
    }
    for part in &delivery.parts {
        let Some(of) = route.subscriptions.get(part.recipient) else { continue };
        let stays = match part.origin {
            Origin::Aside { id, .. } => set_aside::failed(connection, id, failure)?,
            Origin::Log { .. } => true,
        };
        if part.attempts == 0 && stays {
            let held = Counts { held: part.records, ..Counts::default() };
            counters::add(connection, &of.to, delivery.signal, held, now)?;
        }
    }
    for (of, stretch) in stretches(route, delivery) {
        let stream = Stream::Of(delivery.signal);
        cursors::failed(connection, &of.to, stream, stretch.from, stretch.end, failure)?;
    }
    Ok(())
}

/// Puts a request behind all others of its recipients: a refused request must not hold up others that pass. Beyond a
/// limit, a request keeps its place, and the others wait.
pub fn deferred(
    connection: &Connection,
    source: &Source,
    route: &Route,
    delivery: &Delivery,
    reason: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let is_all_aside = delivery.parts.iter().all(|part| matches!(part.origin, Origin::Aside { .. }));
    let size = delivery.body.len() as u64;
    if !is_all_aside && set_aside::bytes(connection)?.saturating_add(size) > MAXIMUM_DEFERRED {
        return Ok(());
    }
    for part in &delivery.parts {
        if let Origin::Aside { id, .. } = part.origin {
            set_aside::defer(connection, id)?;
        }
    }
    move_aside(connection, source, route, delivery, Place::Deferred, reason, now)
}

/// The recipients can never accept the request: it is kept apart, with the reason. `now` is in Unix milliseconds.
pub fn given_up(
    connection: &Connection,
    source: &Source,
    route: &Route,
    delivery: &Delivery,
    reason: &str,
    now: i64,
) -> rusqlite::Result<()> {
    for part in &delivery.parts {
        let Some(of) = route.subscriptions.get(part.recipient) else { continue };
        let is_gone = match part.origin {
            Origin::Aside { id, .. } => set_aside::bury(connection, id, reason, now)?,
            Origin::Log { .. } => true,
        };
        if is_gone {
            let dropped = Counts { dropped: part.records, ..Counts::default() };
            counters::add(connection, &of.to, delivery.signal, dropped, now)?;
        }
    }
    move_aside(connection, source, route, delivery, Place::Dead, reason, now)
}

/// Replaces a batch that is too large for its recipient with two. This is one commit, so that each of its records is
/// always in exactly one batch for this recipient. `now` is in Unix milliseconds.
pub fn split(
    connection: &Connection,
    source: &Source,
    route: &Route,
    delivery: &Delivery,
    halves: [&[u8]; 2],
    now: i64,
) -> rusqlite::Result<()> {
    let [part] = &delivery.parts[..] else { return Ok(()) };
    let Some(of) = route.subscriptions.get(part.recipient) else { return Ok(()) };
    let half = |body| aside(delivery.signal, part, None, body);
    let halves = halves.map(half);
    if let Origin::Aside { id, turn, .. } = part.origin {
        // A batch that was purged in the meantime does not come back in parts.
        set_aside::replace(connection, &of.to, (id, turn), &halves, now)?;
        return Ok(());
    }
    if !leave(connection, source, route, delivery, now)?.is_empty() {
        for half in &halves {
            set_aside::put(connection, &of.to, Place::Ahead, half, now)?;
        }
    }
    Ok(())
}

/// Moves cursors past stretches that have nothing for them, so that these need not be read again or kept.
pub fn passed(connection: &Connection, route: &Route, passed: &[Passed]) -> rusqlite::Result<()> {
    for stretch in passed {
        if let Some(of) = route.subscriptions.get(stretch.recipient) {
            advance(connection, route, of, stretch.signal, stretch.from, stretch.end)?;
        }
    }
    Ok(())
}

/// The stretch of one recipient's log that is in a request.
struct Stretch {
    from: Position,
    end: Position,
    /// The parts of the request from this log, as indices into their list.
    parts: Vec<usize>,
}

fn stretches<'a>(route: &'a Route, delivery: &Delivery) -> Vec<(&'a Subscription, Stretch)> {
    let mut found: Vec<(usize, Stretch)> = Vec::new();
    for (place, part) in delivery.parts.iter().enumerate() {
        let Origin::Log { from, end } = part.origin else { continue };
        match found.last_mut().filter(|(recipient, _)| *recipient == part.recipient) {
            Some((_, stretch)) => {
                stretch.end = end;
                stretch.parts.push(place);
            }
            None => found.push((part.recipient, Stretch { from, end, parts: vec![place] })),
        }
    }
    let of = |(recipient, stretch): (usize, Stretch)| Some((route.subscriptions.get(recipient)?, stretch));
    found.into_iter().filter_map(of).collect()
}

/// Takes a request's parts from their places, and returns the parts that were still there. Batches before them in the
/// log that were tried and left out are set aside in their place.
fn leave(
    connection: &Connection,
    source: &Source,
    route: &Route,
    delivery: &Delivery,
    now: i64,
) -> rusqlite::Result<BTreeSet<usize>> {
    let mut gone = BTreeSet::new();
    for (place, part) in delivery.parts.iter().enumerate() {
        if let Origin::Aside { id, .. } = part.origin
            && set_aside::remove(connection, id)?
        {
            gone.insert(place);
        }
    }
    for (of, stretch) in stretches(route, delivery) {
        if leave_log(connection, source, route, (of, delivery.signal), &stretch, now)? {
            gone.extend(stretch.parts);
        }
    }
    Ok(gone)
}

/// Moves a cursor past a stretch.
fn leave_log(
    connection: &Connection,
    source: &Source,
    route: &Route,
    (of, signal): (&Subscription, Signal),
    stretch: &Stretch,
    now: i64,
) -> rusqlite::Result<bool> {
    let cursor = cursors::find(connection, &of.to, Stream::Of(signal))?;
    if cursor.position < stretch.from && cursor.attempts > 0 && cursor.tried >= stretch.from {
        let left_out = Stretch { from: cursor.position, end: stretch.from, parts: Vec::new() };
        let is_rest = route.is_cumulative && signal == Signal::Metrics;
        shelve(connection, source, (&of.to, signal, is_rest), &left_out, cursor.attempts, now)?;
    }
    advance(connection, route, of, signal, stretch.from, stretch.end)
}

/// Moves a cursor, and with it the cursor of deltas if deltas are delivered as they are.
fn advance(
    connection: &Connection,
    route: &Route,
    of: &Subscription,
    signal: Signal,
    from: Position,
    end: Position,
) -> rusqlite::Result<bool> {
    let is_moved = cursors::advance(connection, &of.to, Stream::Of(signal), from, end)?;
    if is_moved && signal == Signal::Metrics && of.is_cumulative && !route.is_cumulative {
        cursors::advance(connection, &of.to, Stream::Fold, from, end)?;
    }
    Ok(is_moved)
}

/// Sets frames aside that stay in order while the frames behind them are taken.
fn shelve(
    connection: &Connection,
    source: &Source,
    (to, signal, is_rest): (&Recipient, Signal, bool),
    stretch: &Stretch,
    attempts: u32,
    now: i64,
) -> rusqlite::Result<()> {
    let mut log = source.reader(&to.session, stretch.from).map_err(disk_error)?;
    while let Some(found) = log.next().map_err(disk_error)? {
        let Found::Frame(frame) = found else { continue };
        if frame.end > stretch.end {
            break;
        }
        if frame.header.signal != signal || frame.header.body == 0 {
            continue;
        }
        let Some((_, body)) = log.parts(&frame).map_err(disk_error)? else { continue };
        let body = if is_rest { Bytes::from(rest(&body)) } else { body };
        if !body.is_empty() {
            let received_at = frame.header.time;
            let aside = Aside { signal, attempts, reason: None, received_at, body: &body };
            set_aside::put(connection, to, Place::Ahead, &aside, now)?;
        }
    }
    Ok(())
}

/// Sets a request's frames aside, each separately.
fn move_aside(
    connection: &Connection,
    source: &Source,
    route: &Route,
    delivery: &Delivery,
    place: Place,
    reason: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let bodies: Vec<_> = delivery.bodies().collect();
    for (of, stretch) in stretches(route, delivery) {
        if !leave_log(connection, source, route, (of, delivery.signal), &stretch, now)? {
            continue;
        }
        for (part, body) in stretch.parts.iter().filter_map(|place| bodies.get(*place)) {
            let attempts = part.attempts.saturating_add(1);
            let aside = Aside { attempts, ..aside(delivery.signal, part, Some(reason), body) };
            set_aside::put(connection, &of.to, place, &aside, now)?;
        }
    }
    Ok(())
}

fn aside<'a>(signal: Signal, part: &Part, reason: Option<&'a str>, body: &'a [u8]) -> Aside<'a> {
    Aside { signal, attempts: part.attempts, reason, received_at: part.received_at, body }
}

/// Removes everything before a position, if one is given, that waits for a recipient in its log. Counts it as dropped,
/// and returns the number of batches.
pub(in crate::store) fn purge(
    connection: &Connection,
    source: &Source,
    of: &Subscription,
    until: Option<Position>,
    now: i64,
) -> rusqlite::Result<u64> {
    let mut gone = 0;
    let fold = fold_position(connection, of)?;
    for signal in &of.signals {
        let from = cursors::find(connection, &of.to, Stream::Of(*signal))?.position;
        let mut log = source.reader(&of.to.session, from).map_err(disk_error)?;
        let (mut dropped, mut end) = (0, from);
        while let Some(found) = log.next().map_err(disk_error)? {
            if until.is_some_and(|until| log.position() >= until) {
                break;
            }
            end = log.position();
            let Found::Frame(frame) = found else { continue };
            if frame.header.signal == *signal && frame.header.body > 0 {
                let is_folded = of.is_cumulative && *signal == Signal::Metrics && frame.position < fold;
                let records = if is_folded { rest_records(&mut log, &frame)? } else { u64::from(frame.header.records) };
                dropped += records;
                gone += u64::from(records > 0);
            }
        }
        counters::add(connection, &of.to, *signal, Counts { dropped, ..Counts::default() }, now)?;
        let end = until.map_or(end, |until| until.max(end));
        cursors::advance(connection, &of.to, Stream::Of(*signal), from, end)?;
        if of.is_cumulative && *signal == Signal::Metrics {
            let fold = cursors::find(connection, &of.to, Stream::Fold)?.position;
            cursors::advance(connection, &of.to, Stream::Fold, fold, fold.max(end))?;
        }
    }
    Ok(gone)
}

/// The number of records in a frame that are not deltas.
fn rest_records(log: &mut Reader<Disk>, frame: &Frame) -> rusqlite::Result<u64> {
    let parts = log.parts(frame).map_err(disk_error)?;
    Ok(parts.map_or(0, |(_, body)| records(Signal::Metrics, &rest(&body))))
}
