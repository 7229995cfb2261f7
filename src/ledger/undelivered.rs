//! Removes requests that a person wants forgotten from the spool and from the set-aside batches.

use std::collections::HashSet;
use std::time::Duration;

use memchr::memmem::Finder;
use rusqlite::Connection;

use super::{Forget, Whereabouts};
use crate::spool::{Disk, Files, erase};
use crate::state::{Places, SessionLock};
use crate::store::recipient::SessionRow;
use crate::store::{STORE, StoreError, disk_error, sessions, set_aside, write_soon};

/// The number of undelivered requests that were removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Requests in the spool, deferred, and refused permanently.
    pub requests: usize,
    /// Running sessions that may have matching requests: only their own collectors may touch their logs.
    pub running: Vec<String>,
}

/// The condition for requests to remove.
struct Chosen<'a> {
    what: Forget<'a>,
    /// The name as an attribute's value on the wire: the tag of `string_value` in an `AnyValue`, the length, and the
    /// name.
    value: Finder<'static>,
}

/// The attribute of an installation, which every request from Claude Code has: a request without it belongs to the
/// operating system's user.
const INSTALLATION: &[u8] = b"user.id";

impl<'a> Chosen<'a> {
    fn new(what: Forget<'a>) -> Self {
        let name = what.name();
        let mut value = vec![0x0a];
        super::block::put_number(&mut value, i64::try_from(name.len()).unwrap_or_default());
        value.extend_from_slice(name.as_bytes());
        Self { what, value: Finder::new(&value).into_owned() }
    }

    /// Whether all requests of a session match, by its id and its project.
    fn has_session(&self, id: &str, project: &str) -> bool {
        match self.what {
            Forget::Person(_) => false,
            Forget::Session(session) => id == session,
            Forget::Project(name) => project == name,
        }
    }

    /// Whether a request matches, by its content.
    fn has(&self, body: &[u8], user: &str) -> bool {
        match self.what {
            Forget::Project(_) => false,
            Forget::Session(_) => self.value.find(body).is_some(),
            Forget::Person(name) => {
                self.value.find(body).is_some() || user == name && memchr::memmem::find(body, INSTALLATION).is_none()
            }
        }
    }
}

/// Removes requests that were received before a time, in Unix milliseconds. If other writers hold the store for longer
/// than `patience`, the set-aside requests stay.
pub fn forget_undelivered(
    places: &Places,
    what: Forget<'_>,
    before: i64,
    patience: Duration,
) -> Result<Undelivered, StoreError> {
    let chosen = Chosen::new(what);
    let disk = Disk::new(&places.spool());
    let mut done = Undelivered::default();
    for session in disk.sessions().unwrap_or_default() {
        let lock = SessionLock::take(&places.lock(&session)).map_err(disk_error)?;
        let project = SessionRow::of(&disk, &session)?.map(|row| row.session.project).unwrap_or_default();
        let has_all = chosen.has_session(&session, &project);
        if lock.is_none() {
            // The requests of a session refer to others only if Claude Code started some.
            if has_all || !matches!(what, Forget::Project(_)) && holds(&disk, &session, &chosen)? {
                done.running.push(session);
            }
            continue;
        }
        done.requests += erase(&disk, &session, |header, ledger, body| {
            header.time < before && (has_all || chosen.has(body, &Whereabouts::decode(ledger).user))
        })
        .map_err(disk_error)?;
    }
    if !places.store().exists() {
        return Ok(done);
    }
    let erased = write_soon(&places.store(), STORE, patience, |connection: &Connection| {
        connection.pragma_update(None, "secure_delete", true)?;
        let of_project: HashSet<String> = match what {
            Forget::Project(project) => sessions::of_project(connection, project)?,
            _ => HashSet::new(),
        };
        let is_chosen = |session: &str, body: &[u8]| {
            of_project.contains(session) || chosen.has_session(session, "") || chosen.has(body, "")
        };
        set_aside::erase(connection, before, is_chosen).map(Some)
    })?;
    done.requests += erased.unwrap_or_default();
    Ok(done)
}

/// Whether the log of a running session has any matching request.
fn holds(disk: &Disk, session: &str, chosen: &Chosen<'_>) -> Result<bool, StoreError> {
    use crate::spool::{Bound, Found, Position, Reader};

    let mut log = Reader::open(disk, session, Position::START, Bound::Live).map_err(disk_error)?;
    while let Some(found) = log.next().map_err(disk_error)? {
        let Found::Frame(frame) = found else { continue };
        if let Some((ledger, body)) = log.parts(&frame).map_err(disk_error)?
            && chosen.has(&body, &Whereabouts::decode(&ledger).user)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
