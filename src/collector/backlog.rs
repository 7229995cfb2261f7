//! Undelivered data, and what delivers it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use crate::collector::destination_of;
use crate::forward::not_before;
use crate::spool::Source;
use crate::state::SessionLock;
use crate::state::backoff::Backoff;
use crate::store::backlog::Waiting;
use crate::store::recipient::{Recipient, SessionRow};
use crate::store::waiting::{self};
use crate::store::{self, backoff, sessions, set_aside};
use crate::workspace::Workspace;

/// What waits for one destination of one session.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The session's profile.
    pub profile: String,
    /// The destination's name there.
    pub destination: String,
    /// The session's id.
    pub session: String,
    /// What delivers it.
    pub state: State,
    /// How many batches.
    pub batches: u64,
    /// How many bytes.
    pub bytes: u64,
    /// When the oldest was received, or rejected.
    pub since: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When its destination may be tried again, unless that is now.
    pub next_try: Option<Timestamp>,
    /// The recipient.
    #[serde(skip)]
    pub recipient: Recipient,
}

/// What delivers a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The session's own collector.
    Running,
    /// The next session, or `queue flush`.
    Ended,
    /// Nothing: its profile or destination was changed or removed.
    Orphaned,
    /// Nothing: the destination rejected it permanently.
    Refused,
}

/// What waits and what was permanently rejected, by session and destination.
pub fn entries(workspace: &Workspace) -> Result<Vec<Entry>> {
    let connection = store::open_to_read(&workspace.places.store()).context("cannot open the store")?;
    let connection = connection.map_or_else(store::empty, Ok)?;
    let source = Source::live(&workspace.places.spool());
    let backoffs = backoff::all(&connection)?;
    #[expect(clippy::disallowed_methods, reason = "the moment at which the store is looked into")]
    let now = Timestamp::now().as_millisecond();
    let entry = |waiting: Waiting, given_up: bool| {
        let id = &waiting.recipient.session;
        let session = match sessions::find(&connection, id)? {
            None => SessionRow::of(&source.disk, id)?.map(|row| row.session),
            found => found,
        };
        let running = SessionLock::is_held(&workspace.places.lock(&waiting.recipient.session));
        let owned =
            || session.as_ref().and_then(|session| destination_of(workspace, session, &waiting.recipient)).is_some();
        let state = match (given_up, running) {
            (true, _) => State::Refused,
            (false, true) => State::Running,
            (false, false) if owned() => State::Ended,
            (false, false) => State::Orphaned,
        };
        let next_try = next_try(&backoffs, &waiting, now).filter(|_| state.is_delivered());
        Ok(Entry {
            state,
            profile: session.map(|session| session.profile).unwrap_or_default(),
            destination: waiting.recipient.destination.clone(),
            session: waiting.recipient.session.clone(),
            batches: waiting.batches,
            bytes: waiting.bytes,
            since: Timestamp::from_millisecond(waiting.since).unwrap_or_default(),
            last_error: waiting.failure.map(|failure| failure.reason),
            next_try: next_try.and_then(|moment| Timestamp::from_millisecond(moment).ok()),
            recipient: waiting.recipient,
        })
    };
    let waiting = waiting::waiting(&connection, &source)?.into_iter().map(|waiting| entry(waiting, false));
    waiting.chain(set_aside::given_up(&connection)?.into_iter().map(|refused| entry(refused, true))).collect()
}

/// When the next attempt begins, in Unix milliseconds: the destination's back-off says it, or what keeps the
/// credentials. `None` if that is now, or unknown.
fn next_try(backoffs: &BTreeMap<Vec<u8>, Backoff>, waiting: &Waiting, now: i64) -> Option<i64> {
    let backoff = backoff::of(backoffs, &waiting.recipient.fingerprint);
    let noted = waiting.failure.as_ref().and_then(|failure| failure.next_try);
    backoff.and_then(|backoff| not_before(backoff, now)).or(noted.filter(|moment| *moment > now))
}

impl Entry {
    /// Why it is not delivered. Contains foreign text.
    pub fn why(&self) -> String {
        match (self.state, self.last_error.as_deref()) {
            (State::Orphaned, _) => "its profile or destination has changed".to_owned(),
            (State::Refused, error) => format!("permanently rejected: {}", error.unwrap_or_default()),
            (_, Some(error)) => error.to_owned(),
            (_, None) => "not tried yet".to_owned(),
        }
    }
}

impl State {
    /// Whether data in this state is delivered.
    fn is_delivered(self) -> bool {
        matches!(self, Self::Running | Self::Ended)
    }
}
