//! Looks at what has changed, and reads as little as that needs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::finding::Finder;
use crate::budget::{self, Here, Lifts};
use crate::collector::backlog::{self, Entry, State};
use crate::profile::Profile;
use crate::report::ledger::session;
use crate::report::live::top::{Backlog, Controls, Model, Picture, history};
use crate::report::live::{Following, Wanted};
use crate::report::{Standing, Story};
use crate::spool::Source;
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::Workspace;
use crate::{ledger, store};

/// The shortest time between two looks at what waits for destinations.
const BACKLOG: Duration = Duration::from_secs(5);

/// The shortest time between two readings of budgets.
const BUDGET: Duration = Duration::from_secs(10);

/// The shortest time between two readings of a session's steps.
const STORY: Duration = Duration::from_secs(1);

/// How long the ledger may be behind the logs. A collector folds several times a second.
const SETTLED: Duration = Duration::from_secs(3);

/// How long a batch may wait without a reason before it is worth a line, in milliseconds.
const MOMENT: i64 = 10_000;

/// A look into a database that takes long is repeated as many times later as it took.
const SHARE: u32 = 200;

/// The sources, and what is known from them.
pub(super) struct Watch {
    workspace: Workspace,
    zone: TimeZone,
    model: Model,
    following: Following,
    finder: Finder,
    backlog: Pace,
    history: Pace,
    budgets: Option<Budgets>,
    told: Told,
}

/// The budgets of the profile that applies here, as `ccrun budget` shows them.
struct Budgets {
    profile: Profile,
    here: Here,
    pace: Pace,
    standing: Option<Standing>,
}

/// The steps that were read last.
struct Told {
    pace: Pace,
    /// The session, and when the last event happened that was known then.
    of: Option<(String, i64)>,
    /// Until when the ledger may not have that event.
    settles: Instant,
    story: Option<Story>,
}

impl Watch {
    /// Reads what the ledger knows, and follows the logs from there.
    pub(super) fn begin(
        workspace: Workspace,
        profile: Option<Profile>,
        process: &ProcessEnvironment,
        wanted: Wanted,
        zone: TimeZone,
    ) -> Result<Self> {
        // What is in the ledger already need not be read from the logs.
        drop(ledger::fold_tails(&workspace.places));
        let now = now();
        let mut model = Model::new(wanted, zone.clone(), now);
        let connection = open(&workspace)?;
        let positions = history::begin(&connection, &mut model, &zone, now.as_millisecond());
        let positions = positions.context("cannot read the ledger")?;
        let following = Following::new(Source::live(&workspace.places.spool()), positions);
        let finder = Finder::new(workspace.places.clone());
        let told = Told { pace: Pace::new(STORY), of: None, settles: Instant::now(), story: None };
        let (backlog, history) = (Pace::new(BACKLOG), Pace::new(Duration::ZERO));
        let budgets = profile.filter(|profile| !profile.budgets.is_empty()).map(|profile| {
            let here = budget::of_launch(&profile, &workspace, process);
            Budgets { profile, here, pace: Pace::new(BUDGET), standing: None }
        });
        Ok(Self { workspace, zone, model, following, finder, backlog, history, budgets, told })
    }

    /// Takes what has happened into the picture, unless that stands still. Returns whether that was all.
    pub(super) fn look(&mut self, controls: &mut Controls, picture: &mut Picture) -> bool {
        let now = now();
        self.model.tick(now);
        let looked = self.take();
        let is_all = *looked.as_ref().unwrap_or(&true);
        if controls.is_paused {
            return is_all;
        }
        picture.fault = looked.err().map(|error| format!("{error:#}"));
        picture.now = now;
        picture.rows = self.model.rows();
        self.model.today().clone_into(&mut picture.today);
        picture.hour = self.model.hour();
        picture.backlogs = self.model.backlogs().to_vec();
        picture.standing = self.budgets.as_ref().and_then(|budgets| budgets.standing.clone());
        self.choose(controls, picture);
        is_all
    }

    /// Reads the steps of the chosen session, if its details are shown.
    pub(super) fn choose(&mut self, controls: &mut Controls, picture: &mut Picture) {
        let rows = controls.arrange(picture.rows.clone());
        controls.settle(&rows);
        let chosen = rows.get(controls.selected(&rows)).filter(|_| controls.is_open);
        let chosen = chosen.map(|row| row.found.claude_session.clone()).filter(|id| !id.is_empty());
        match chosen {
            None => (self.told.of, self.told.story) = (None, None),
            Some(id) => {
                if let Err(error) = self.tell(&id) {
                    picture.fault = Some(format!("{error:#}"));
                }
            }
        }
        picture.story.clone_from(&self.told.story);
    }

    /// Reads the steps of a session of Claude Code, if there may be new ones.
    fn tell(&mut self, id: &str) -> Result<()> {
        let told = &mut self.told;
        let last = self.model.last(id);
        let is_other = told.of.as_ref().is_none_or(|(of, _)| of != id);
        if told.of.as_ref().is_none_or(|(_, of)| *of != last) {
            told.settles = Instant::now() + SETTLED;
        } else if !is_other && Instant::now() >= told.settles {
            return Ok(());
        }
        if is_other {
            told.story = None;
        } else if !told.pace.is_due() {
            return Ok(());
        }
        told.of = Some((id.to_owned(), last));
        let started = Instant::now();
        let mut found = session(&open(&self.workspace)?, id).context("cannot read the ledger")?;
        told.pace.done(started);
        told.story = found.pop().filter(|story| found.is_empty() && !story.steps.is_empty());
        Ok(())
    }

    /// Takes new events and what runs into the model. Returns whether those were all events.
    fn take(&mut self) -> Result<bool> {
        let is_all = follow(&mut self.following, &mut self.model)?;
        self.model.find(self.finder.find(&mut self.following));
        if !self.model.unread().is_empty() && self.history.is_due() {
            self.catch_up()?;
        }
        self.read_budgets()?;
        if self.backlog.is_due() {
            let started = Instant::now();
            let entries = backlog::entries(&self.workspace);
            self.backlog.done(started);
            self.model.wait(waiting(entries?, now()));
        }
        Ok(is_all)
    }

    /// Reads how the budgets stand.
    fn read_budgets(&mut self) -> Result<()> {
        let Some(budgets) = self.budgets.as_mut().filter(|budgets| budgets.pace.is_due()) else { return Ok(()) };
        let started = Instant::now();
        let now = now();
        let lifted = Lifts::new(&self.workspace.places).until(&budgets.profile.name, now);
        let (connection, now) = (open(&self.workspace)?, now.to_zoned(self.zone.clone()));
        let standings = budget::standings(&connection, &budgets.profile.budgets, &budgets.here, lifted, &now);
        budgets.pace.done(started);
        let standings = standings.context("cannot read the ledger")?;
        budgets.standing = standings.into_iter().max_by_key(Standing::percent);
        Ok(())
    }

    /// Reads what sessions used before they were followed.
    fn catch_up(&mut self) -> Result<()> {
        let Self { workspace, zone, model, following, history, .. } = self;
        let connection = open(workspace)?;
        let started = Instant::now();
        let follow = |model: &mut Model| {
            while !follow(following, model)? {}
            Ok(())
        };
        let caught_up = history::catch_up(&connection, model, zone, follow);
        history.done(started);
        caught_up
    }
}

/// Takes new events into the model. Returns whether those were all.
fn follow(following: &mut Following, model: &mut Model) -> Result<bool> {
    let events = following.events().context("cannot read the spool")?;
    events.iter().flatten().for_each(|event| model.follow(event));
    Ok(events.is_none())
}

/// Opens the ledger. It is closed after each reading, so that its memory is free and nothing is held.
fn open(workspace: &Workspace) -> Result<Connection> {
    Ok(store::open_to_read(&workspace.places.ledger())?.map_or_else(ledger::empty, Ok)?)
}

/// What waits, except what was received a moment ago.
fn waiting(entries: Vec<Entry>, now: Timestamp) -> Vec<Backlog> {
    let is_waiting = |entry: &Entry| {
        let is_new = now.as_millisecond() - entry.since.as_millisecond() < MOMENT && entry.last_error.is_none();
        matches!(entry.state, State::Running | State::Ended) && !is_new
    };
    let backlog = |entry: Entry| Backlog {
        batches: entry.batches,
        why: entry.why(),
        session: entry.session,
        destination: entry.destination,
    };
    entries.into_iter().filter(is_waiting).map(backlog).collect()
}

/// How often something is read.
struct Pace {
    least: Duration,
    next: Instant,
}

impl Pace {
    /// Now, and then at least so long after each time.
    fn new(least: Duration) -> Self {
        Self { least, next: Instant::now() }
    }

    fn is_due(&self) -> bool {
        self.next <= Instant::now()
    }

    /// It was read, which started then.
    fn done(&mut self, started: Instant) {
        self.next = Instant::now() + self.least.max(started.elapsed().saturating_mul(SHARE));
    }
}

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the moment at which the sources are looked at")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
