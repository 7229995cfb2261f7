//! Finds running sessions: those that Claude Code has a file about, and those that a collector records.

use std::collections::{BTreeMap, HashMap};

use crate::claude::live_session::{OpenSession, open_sessions};
use crate::environment;
use crate::report::live::Following;
use crate::report::live::top::{Found, State};
use crate::state::{Places, SessionLock};
use crate::store;
use crate::store::sessions::{self, Session};
use crate::system::process::{self, Process};
use crate::workspace::repository::checkout;

/// Finds sessions again and again, and asks for what does not change only once.
pub(super) struct Finder {
    places: Places,
    /// The session of `ccrun` and the project of each process.
    processes: BTreeMap<Process, (String, String)>,
    /// The sessions that the store knows.
    stored: HashMap<String, Session>,
}

impl Finder {
    pub(super) fn new(places: Places) -> Self {
        Self { places, processes: BTreeMap::new(), stored: HashMap::new() }
    }

    /// The sessions that run now.
    pub(super) fn find(&mut self, following: &mut Following) -> Vec<Found> {
        let open = open_sessions(&self.places.claude);
        let is_open = |process: &Process| open.iter().any(|session| session.process == *process);
        self.processes.retain(|process, _| is_open(process));
        let recorded = self.recorded();
        self.stored.retain(|id, _| recorded.contains(id));
        let with_file = open.into_iter().map(|session| self.with_file(session, &recorded)).collect::<Vec<_>>();
        let collectors = recorded.iter().map(|id| self.by_collector(id, following));
        with_file.into_iter().chain(collectors).collect()
    }

    /// The sessions that have a collector.
    fn recorded(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.places.locks()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|id| SessionLock::is_held(&self.places.lock(id))).collect()
    }

    fn with_file(&mut self, open: OpenSession, recorded: &[String]) -> Found {
        let known = self.processes.entry(open.process).or_insert_with(|| {
            let project = checkout(open.directory.as_ref()).root.to_string_lossy().into_owned();
            (recording(open.process).unwrap_or_default(), project)
        });
        let (session, project) = known.clone();
        Found {
            pid: Some(open.process.pid),
            claude_session: open.id,
            session: if recorded.contains(&session) { session } else { String::new() },
            project,
            name: open.name,
            version: open.version,
            state: State::of(&open.status),
            waiting_for: open.waiting_for,
            since: open.since,
            started_at: open.started_at,
        }
    }

    fn by_collector(&mut self, id: &str, following: &mut Following) -> Found {
        let found = Found { session: id.to_owned(), ..Found::default() };
        let session = match following.session(id) {
            Some(session) => session,
            None => match self.stored(id) {
                Some(session) => session,
                None => return found,
            },
        };
        Found {
            project: session.project.clone(),
            name: session.program.clone(),
            started_at: session.started_at,
            ..found
        }
    }

    /// What the store knows of a session that has received nothing yet.
    fn stored(&mut self, id: &str) -> Option<&Session> {
        if !self.stored.contains_key(id) {
            let connection = store::open_to_read(&self.places.store()).ok()??;
            let session = sessions::find(&connection, id).ok()??;
            self.stored.insert(id.to_owned(), session);
        }
        self.stored.get(id)
    }
}

/// The session whose collector a process sends to, by its environment. Claude Code does not hand the endpoint to the
/// programs that it starts.
fn recording(process: Process) -> Option<String> {
    let environment = process::environment(process.pid)?;
    environment.value("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    String::from_utf8(environment.value(environment::SESSION)?.to_vec()).ok()
}
