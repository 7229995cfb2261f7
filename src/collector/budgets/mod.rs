//! Budgets in a session: what its hooks are answered, and who else is told.
//!
//! An answer takes a fresh look at the ledger and at what the session's log has beyond it. A ledger that does not answer
//! in time stops nothing.

mod answer;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use jiff::{Timestamp, Zoned};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::plan::SessionPlan;
use crate::budget::{self, Audience, Lifts, Reached, Standing, Told, Verdict};
use crate::claude::hooks::Call;
use crate::profile::Scope;
use crate::spool::Source;
use crate::state::log::Log;
use crate::{ledger, store};

/// How long an answer may take, of the 50 ms within which a hook is answered.
const PATIENCE: Duration = Duration::from_millis(40);

/// How often the ledger is read again because it has changed meanwhile.
const LOOKS: usize = 3;

/// The budgets of a session.
pub(super) struct Budgets {
    plan: Arc<SessionPlan>,
    /// The session's log.
    source: Source,
    /// Lets one look run at a time, so that a disk that hangs blocks one thread only.
    turn: Arc<Semaphore>,
    /// Claude Code's id of the session that asked last.
    last: Mutex<Option<String>>,
    /// What counts as told, and came too late for an answer.
    untold: Mutex<Vec<Reached>>,
    log: Log,
}

impl Budgets {
    /// The budgets of a plan, if one applies.
    pub(super) fn of(plan: &Arc<SessionPlan>, source: &Source, log: &Log) -> Option<Arc<Self>> {
        let budgets = Self {
            plan: Arc::clone(plan),
            source: source.clone(),
            turn: Arc::new(Semaphore::new(1)),
            last: Mutex::default(),
            untold: Mutex::default(),
            log: log.clone(),
        };
        Some(Arc::new(budgets)).filter(|_| !plan.profile.budgets.is_empty())
    }

    /// The answer to a call of the hook. An empty object, which changes nothing, if the spend is not known in time.
    pub(super) async fn answer(self: &Arc<Self>, call: Call) -> Value {
        let Some(event) = call.event else { return answer::nothing() };
        if call.session.is_some() {
            self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&call.session);
        }
        let (budgets, late) = (Arc::clone(self), Arc::clone(self));
        let work = move |is_late: &dyn Fn() -> bool| {
            let looked = budgets.look(call.session.as_deref());
            looked.map(|(standings, now)| budgets.verdict(&standings, &now, is_late))
        };
        let look = self.aside(work, move |unsent| {
            if let Ok(verdict) = unsent {
                late.untold().extend(verdict.reached);
            }
        });
        match timeout(PATIENCE, look).await {
            Ok(Some(Ok(verdict))) => {
                let interrupts = self.plan.hook.as_ref().is_some_and(|hook| hook.is_shown);
                answer::to(event, &verdict, interrupts)
            }
            Ok(Some(Err(error))) => {
                self.log.note(&format!("the spend is unknown: {error:#}"));
                answer::nothing()
            }
            Ok(None) | Err(_) => answer::nothing(),
        }
    }

    /// Does some work on another thread, once those before it are done. The work learns whether its result is still
    /// wanted. A result that nothing waits for any longer is passed to `unsent`.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
        unsent: impl FnOnce(T) + Send + 'static,
    ) -> Option<T> {
        // Never closed, so acquiring cannot fail.
        let permit = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let (sender, receiver) = oneshot::channel();
        spawn_blocking(move || {
            let _permit = permit;
            let done = work(&|| sender.is_closed());
            if let Err(done) = sender.send(done) {
                unsent(done);
            }
        });
        receiver.await.ok()
    }

    /// How the budgets stand now, and when that is.
    fn look(&self, claude_session: Option<&str>) -> Result<(Vec<Standing>, Zoned)> {
        #[expect(clippy::disallowed_methods, reason = "the moment at which the hook asks")]
        let now = Zoned::now();
        let SessionPlan { session, profile, workspace, .. } = &*self.plan;
        let here = budget::of_session(session, claude_session, profile, workspace);
        let lifted = Lifts::new(&workspace.places).until(&profile.name, now.timestamp());
        let connection = store::open_to_read(&workspace.places.ledger())?.map_or_else(ledger::empty, Ok)?;
        let mut from = ledger::position(&connection, &session.id)?;
        let mut standings = Vec::new();
        for _ in 0..LOOKS {
            standings = budget::standings(&connection, &profile.budgets, &here, lifted, &now)?;
            let until = ledger::position(&connection, &session.id)?;
            if until == from {
                add_pending(&mut standings, &ledger::pending(&self.source, &session.id, from)?, claude_session);
                break;
            }
            // What was added in between must not count twice.
            from = until;
        }
        Ok((standings, now))
    }

    /// Whether work stops, or else what is to be told, which then counts as told.
    fn verdict(&self, standings: &[Standing], now: &Zoned, is_late: &dyn Fn() -> bool) -> Verdict {
        let stop = budget::stop(standings, now.time_zone());
        let is_shown = self.plan.hook.as_ref().is_some_and(|hook| hook.is_shown);
        if stop.is_some() || !is_shown || is_late() {
            return Verdict { stop, reached: Vec::new() };
        }
        let told = Told::open(&self.plan.workspace.places).map(|told| told.to(Audience::Screen));
        let (mut verdict, failure) = match told {
            Ok(told) => budget::check(standings, &told, now.time_zone()),
            Err(error) => (Verdict::default(), Some(std::io::Error::other(error))),
        };
        if let Some(error) = failure {
            self.log.note(&format!("cannot record what was told about a budget: {error}"));
        }
        verdict.reached.splice(..0, self.untold().drain(..));
        verdict
    }

    fn untold(&self) -> MutexGuard<'_, Vec<Reached>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the spend that the ledger does not have yet, of this session, which is part of what each budget limits.
fn add_pending(standings: &mut [Standing], pending: &[ledger::Pending], claude_session: Option<&str>) {
    for standing in standings {
        let is_in =
            |at: i64| Timestamp::from_millisecond(at).is_ok_and(|at| standing.since <= at && at < standing.until);
        let is_of = |session: &str| {
            standing.budget.per != Scope::Session || claude_session.is_none_or(|current| current == session)
        };
        let new = pending.iter().filter(|pending| is_in(pending.at) && is_of(&pending.session));
        let spend = new.map(|pending| pending.cost.max(0)).fold(0, i64::saturating_add);
        standing.add(spend);
    }
}
