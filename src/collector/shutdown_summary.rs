//! What a session leaves behind, reported in its log and at the next launch.

use rusqlite::Connection;

use crate::collector::plan::SessionPlan;
use crate::spool::Source;
use crate::state::log::Log;
use crate::state::{Places, notice};
use crate::store::backlog::Waiting;
use crate::store::waiting::waiting;
use crate::store::{Store, StoreError, set_aside};
use crate::terminal::printable::printable;

/// Reports what is undelivered at a session's end, one line for each destination.
pub(super) async fn say(plan: &SessionPlan, store: &Store, log: &Log) {
    let left = match left(&plan.workspace.places, store).await {
        Ok(left) => left,
        Err(error) => return log.note(&format!("cannot find out what is undelivered: {error}")),
    };
    let places = &plan.workspace.places;
    // This session may have delivered what others left.
    notice::withdraw(places, fingerprints(&left));
    let own: Vec<_> = left.iter().filter(|(left, _)| left.recipient.session == plan.session.id).collect();
    if own.is_empty() {
        log.note("everything is delivered");
    }
    for (left, state) in own {
        let line = line(plan, left, state);
        log.note(&line);
        notice::leave_about(places, &left.recipient.fingerprint, &line);
    }
}

/// Withdraws notices about destinations for which nothing is left.
pub async fn withdraw(places: &Places, store: &Store) -> Result<(), StoreError> {
    if places.notice().exists() {
        notice::withdraw(places, fingerprints(&left(places, store).await?));
    }
    Ok(())
}

/// What is left of all sessions, each with a phrase for its state.
async fn left(places: &Places, store: &Store) -> Result<Vec<(Waiting, &'static str)>, StoreError> {
    let source = Source::live(&places.spool());
    let look = move |connection: &Connection| Ok((waiting(connection, &source)?, set_aside::given_up(connection)?));
    let (waiting, given_up) = store.read(look).await?;
    let waiting = waiting.into_iter().map(|left| (left, "is not delivered yet"));
    Ok(waiting.chain(given_up.into_iter().map(|left| (left, "was permanently rejected"))).collect())
}

fn fingerprints<'a>(left: &'a [(Waiting, &str)]) -> impl Iterator<Item = &'a [u8]> {
    left.iter().map(|(left, _)| left.recipient.fingerprint.as_slice())
}

fn line(plan: &SessionPlan, left: &Waiting, state: &str) -> String {
    let profile = &plan.session.profile;
    let why = left.failure.as_ref().map(|failure| format!(" ({})", printable(&failure.reason))).unwrap_or_default();
    format!(
        "telemetry of a session with profile `{profile}` for `{}` {state}{why}: `{}` finds out why, `ccrun queue status` \
         shows it",
        left.recipient.destination,
        plan.session.selection.command("doctor", plan.workspace.project.is_some())
    )
}
