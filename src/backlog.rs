//! What is not delivered, and who delivers it.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use crate::collector::owner;
use crate::forward::not_before;
use crate::setting::Setting;
use crate::state::SessionLock;
use crate::store::batches::{self, Recipient, Waiting};
use crate::store::{self, backoff, dead, sessions};

/// What waits for one destination of one session.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The session's profile.
    pub profile: String,
    /// The destination's name there.
    pub destination: String,
    /// The session's id.
    pub session: String,
    /// Who delivers it.
    pub state: State,
    /// How many batches.
    pub batches: u64,
    /// How many bytes.
    pub bytes: u64,
    /// When the oldest was received, or given up.
    pub since: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When its destination may be tried again, where that is not now.
    pub next_try: Option<Timestamp>,
    /// For whom.
    #[serde(skip)]
    pub recipient: Recipient,
}

/// Who delivers it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The session's own collector.
    Running,
    /// The next session, or `queue flush`.
    Ended,
    /// Nobody: its profile or destination has changed or gone since.
    Orphaned,
    /// Nobody: the destination refused it for good.
    Refused,
}

/// What waits, and what was refused for good, by session and destination.
pub fn entries(setting: &Setting) -> Result<Vec<Entry>> {
    let Some(connection) = store::open_to_read(&setting.places.store()).context("cannot open the store")? else {
        return Ok(Vec::new());
    };
    let troubles = backoff::all(&connection)?;
    let now = Timestamp::now().as_millisecond();
    let entry = |waiting: Waiting, given_up: bool| {
        let session = sessions::find(&connection, &waiting.recipient.session)?;
        let running = SessionLock::is_held(&setting.places.lock(&waiting.recipient.session));
        let owned = || session.as_ref().and_then(|session| owner(setting, session, &waiting.recipient)).is_some();
        let state = match (given_up, running) {
            (true, _) => State::Refused,
            (false, true) => State::Running,
            (false, false) if owned() => State::Ended,
            (false, false) => State::Orphaned,
        };
        let trouble = troubles.get(&waiting.recipient.fingerprint).filter(|_| state.is_delivered());
        Ok(Entry {
            state,
            profile: session.map(|session| session.profile).unwrap_or_default(),
            destination: waiting.recipient.destination.clone(),
            session: waiting.recipient.session.clone(),
            batches: waiting.batches,
            bytes: waiting.bytes,
            since: Timestamp::from_millisecond(waiting.since).unwrap_or_default(),
            last_error: waiting.last_error,
            next_try: trouble
                .and_then(|trouble| not_before(*trouble, now))
                .and_then(|moment| Timestamp::from_millisecond(moment).ok()),
            recipient: waiting.recipient,
        })
    };
    let waiting = batches::waiting(&connection)?.into_iter().map(|waiting| entry(waiting, false));
    waiting.chain(dead::given_up(&connection)?.into_iter().map(|refused| entry(refused, true))).collect()
}

impl Entry {
    /// Why it is not delivered. Foreign text is in it.
    pub fn why(&self) -> String {
        match (self.state, self.last_error.as_deref()) {
            (State::Orphaned, _) => "its profile or destination has changed since".to_owned(),
            (State::Refused, error) => format!("refused for good: {}", error.unwrap_or_default()),
            (_, Some(error)) => error.to_owned(),
            (_, None) => "not tried yet".to_owned(),
        }
    }
}

impl State {
    /// Whether anybody delivers what is in this state.
    fn is_delivered(self) -> bool {
        matches!(self, Self::Running | Self::Ended)
    }
}
