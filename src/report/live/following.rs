//! New events of all sessions, from their logs.

use std::collections::{BTreeMap, HashMap};
use std::io;

use super::Event;
use crate::otlp::Signal;
use crate::spool::{Disk, Follower, Position, Source};
use crate::store::recipient::SessionRow;
use crate::store::sessions::Session;
use crate::usage::entries;

/// Follows the logs of all sessions.
pub struct Following {
    follower: Follower,
    disk: Disk,
    /// What logs say of their sessions, as far as it was asked for.
    known: HashMap<String, Option<Session>>,
}

impl Following {
    /// Follows each log from its position, and all others from their beginning.
    pub fn new(source: Source, from: BTreeMap<String, Position>) -> Self {
        let disk = source.disk.clone();
        Self { follower: Follower::new(source, Signal::Logs, from), disk, known: HashMap::new() }
    }

    /// The events since the last call, in order of time; `None` if nothing was received. A large amount comes in several
    /// calls.
    pub fn events(&mut self) -> io::Result<Option<Vec<Event>>> {
        let received = self.follower.poll()?;
        let mut events = Vec::new();
        for request in &received {
            let project = self.session(&request.session).map_or("", |session| &session.project).to_owned();
            let event = |entry| Event { session: request.session.clone(), project: project.clone(), entry };
            events.extend(entries(&request.body, request.time).map(event));
        }
        events.sort_by_key(|event| event.entry.at);
        Ok((!received.is_empty()).then_some(events))
    }

    /// What the log of a session says of it.
    pub fn session(&mut self, id: &str) -> Option<&Session> {
        if !self.known.get(id).is_some_and(Option::is_some) {
            let row = self.follower.row(id).and_then(SessionRow::decode);
            let row = row.or_else(|| SessionRow::of(&self.disk, id).ok().flatten());
            self.known.insert(id.to_owned(), row.map(|row| row.session));
        }
        self.known.get(id)?.as_ref()
    }
}
