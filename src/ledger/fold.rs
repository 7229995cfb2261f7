//! Reads a session's log into the ledger.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use super::{LEDGER, Origin, Whereabouts, insert};
use crate::otlp::Signal;
use crate::spool::{Files, Found, Position, Source};
use crate::state::Places;
use crate::store::recipient::SessionRow;
use crate::store::sessions::Session;
use crate::store::{StoreError, disk_error, write_soon};
use crate::usage::extract;

/// How much is read in one commit, in bytes of requests.
const BYTES: usize = 1 << 20;

/// How many requests are read in one commit; see [`BYTES`].
const REQUESTS: usize = 2_000;

/// How long a report waits for other writers of the ledger.
const PATIENCE: Duration = Duration::from_millis(50);

/// The position up to which the ledger has read a session's log.
pub fn position(connection: &Connection, session: &str) -> rusqlite::Result<Position> {
    let mut statement = connection.prepare_cached("SELECT worker, number, offset FROM position WHERE session = ?1")?;
    let found = statement.query_row([session], |row| {
        let offset = row.get::<_, i64>(2)?.cast_unsigned();
        Ok(Position { worker: row.get(0)?, number: row.get(1)?, offset })
    });
    Ok(found.optional()?.unwrap_or(Position::START))
}

/// A request of a log.
struct Request {
    signal: Signal,
    /// When it was received, in Unix milliseconds.
    received: i64,
    whereabouts: Bytes,
    body: Bytes,
}

/// Adds new requests to the ledger, and returns whether those were all. Runs in the caller's transaction, which must be
/// the only one that writes, so that concurrent folds each continue where another ended.
pub fn fold(connection: &Connection, source: &Source, session: &str) -> rusqlite::Result<bool> {
    let from = position(connection, session)?;
    let mut log = source.reader(session, from).map_err(disk_error)?;
    let (mut bytes, mut requests, mut is_all) = (0, Vec::new(), false);
    let mut until = from;
    while bytes < BYTES && requests.len() < REQUESTS {
        let Some(found) = log.next().map_err(disk_error)? else {
            is_all = true;
            break;
        };
        until = log.position();
        let Found::Frame(frame) = found else { continue };
        let header = frame.header;
        if header.signal == Signal::Traces || header.body == 0 {
            continue;
        }
        if let Some((whereabouts, body)) = log.parts(&frame).map_err(disk_error)? {
            bytes += body.len();
            requests.push(Request { signal: header.signal, received: header.time, whereabouts, body });
        }
    }
    if until > from {
        let row = SessionRow::of(&source.disk, session)?.map(|row| row.session);
        take(connection, session, row.as_ref(), &requests)?;
        let mut statement = connection.prepare_cached(
            "INSERT OR REPLACE INTO position (session, worker, number, offset) VALUES (?1, ?2, ?3, ?4)",
        )?;
        statement.execute((session, until.worker, until.number, until.offset.cast_signed()))?;
    }
    Ok(is_all)
}

/// Takes requests in, grouping those that arrived in the same place.
fn take(connection: &Connection, id: &str, session: Option<&Session>, requests: &[Request]) -> rusqlite::Result<()> {
    for together in requests.chunk_by(|one, next| one.whereabouts == next.whereabouts) {
        let Some(first) = together.first() else { continue };
        let whereabouts = Whereabouts::decode(&first.whereabouts);
        let origin = Origin {
            session: id,
            transcript: "",
            profile: session.map_or("", |session| &session.profile),
            team: session.and_then(|session| session.team.as_deref()).unwrap_or_default(),
            project: session.map_or("", |session| &session.project),
            repository: &whereabouts.repository,
            branch: &whereabouts.branch,
            worktree: &whereabouts.worktree,
            user: &whereabouts.user,
            machine: "",
            persons: whereabouts.persons,
        };
        let extracts: Vec<_> =
            together.iter().map(|request| extract(request.signal, &request.body, request.received)).collect();
        insert(connection, &origin, &extracts)?;
    }
    Ok(())
}

/// Adds the logs of all sessions to the ledger, including those of running sessions, so that a report shows them.
/// Returns the sessions whose latest requests are missing, because others write to the ledger for longer than this
/// waits.
pub fn fold_tails(places: &Places) -> Result<Vec<String>, StoreError> {
    let source = Source::live(&places.spool());
    let mut missing = Vec::new();
    for session in source.disk.sessions().unwrap_or_default() {
        let fold = |connection: &Connection| Ok(fold(connection, &source, &session)?.then_some(()));
        if write_soon(&places.ledger(), LEDGER, PATIENCE, fold)?.is_none() {
            missing.push(session);
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::empty;
    use crate::store::fixture::Fixture;
    use crate::usage::samples::{api_request, event, logs, morning};

    fn request(number: i64) -> Vec<u8> {
        let own = api_request("model", [number, 1, 1, 1], 0.5);
        logs(vec![event("client", number, 1, "api_request", own)])
    }

    #[test]
    fn a_log_is_read_once_by_any_reader() {
        let ledger = empty().unwrap();
        let mut fixture = Fixture::new();
        let count = || ledger.query_row("SELECT count(*) FROM request", [], |row| row.get::<_, i64>(0)).unwrap();
        let time = morning().as_millisecond();
        fixture.keep("one", Signal::Logs, &request(1), time);
        for _ in 0..2 {
            assert!(fold(&ledger, &fixture.source(), "one").unwrap());
        }
        assert_eq!(count(), 1);
        let before = position(&ledger, "one").unwrap();
        fixture.keep("one", Signal::Logs, &request(2), time);
        assert!(fold(&ledger, &fixture.source(), "one").unwrap());
        assert!(count() == 2 && position(&ledger, "one").unwrap() > before);
        let named =
            "SELECT p.text || ' ' || b.text FROM context c JOIN text p ON p.id = project JOIN text b ON b.id = branch";
        let found: String = ledger.query_row(named, [], |row| row.get(0)).unwrap();
        assert_eq!(found, "/projects/a main");
    }
}
