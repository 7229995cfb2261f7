//! A store and the logs beside it, for tests.

use std::collections::BTreeMap;

use rusqlite::Connection;
use tempfile::TempDir;

use super::deliveries::Route;
use super::intake;
use super::recipient::{Recipient, SessionRow, Subscription};
use super::sessions::Session;
use crate::otlp::{Signal, count};
use crate::profile::Selection;
use crate::spool::{Disk, Entry, Source, Writer};

/// A store in memory, and logs in their own directory.
pub(crate) struct Fixture {
    directory: TempDir,
    pub(crate) store: Connection,
    writers: BTreeMap<String, Writer<Disk>>,
    is_cumulative: bool,
}

/// The recipient of a session's data.
pub(crate) fn recipient(session: &str) -> Recipient {
    Recipient { session: session.to_owned(), destination: "backend".to_owned(), fingerprint: vec![1, 2, 3] }
}

pub(crate) fn session(id: &str) -> Session {
    Session {
        id: id.to_owned(),
        parent: None,
        profile: "team".to_owned(),
        team: None,
        program: "claude".to_owned(),
        project: "/projects/a".to_owned(),
        branch: None,
        started_at: 0,
        selection: Selection::default(),
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, store: super::empty().unwrap(), writers: BTreeMap::new(), is_cumulative: false }
    }

    /// A fixture whose destination gets totals.
    pub(crate) fn cumulative() -> Self {
        Self { is_cumulative: true, ..Self::new() }
    }

    pub(crate) fn subscription(&self, session: &str) -> Subscription {
        Subscription { to: recipient(session), signals: Signal::ALL.into(), is_cumulative: self.is_cumulative }
    }

    pub(crate) fn route(&self, sessions: &[&str]) -> Route {
        let subscriptions = sessions.iter().map(|session| self.subscription(session)).collect();
        Route { subscriptions, signals: None, is_cumulative: self.is_cumulative }
    }

    pub(crate) fn source(&self) -> Source {
        Source::ended(self.directory.path())
    }

    /// Receives a request at a given time.
    pub(crate) fn keep(&mut self, session: &str, signal: Signal, body: &[u8], time: i64) {
        let row = SessionRow { session: self::session(session), subscriptions: vec![self.subscription(session)] };
        let disk = Disk::new(self.directory.path());
        let writer =
            self.writers.entry(session.to_owned()).or_insert_with(|| Writer::new(disk, session, 1, row.encode()));
        let records = u32::try_from(count(signal, body).unwrap()).unwrap();
        let entry = Entry { signal, time, records, refused: 0, ledger: b"main", body };
        writer.append(&[entry]).pop().unwrap().unwrap();
        intake::count(&self.store, &self.source(), session, time).unwrap();
    }

    /// Later requests go into another segment.
    pub(crate) fn close_segment(&mut self, session: &str) {
        self.writers.get_mut(session).unwrap().close();
    }
}
