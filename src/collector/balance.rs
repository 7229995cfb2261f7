//! What a session leaves behind: said in its log, and at the next launch.

use crate::collector::plan::Plan;
use crate::log::Log;
use crate::notice;
use crate::printable::printable;
use crate::store::batches::{self, Waiting};
use crate::store::{Store, StoreError, dead};
use crate::surroundings::Places;

/// Says what is not delivered at a session's end, a line for each destination.
pub(super) async fn say(plan: &Plan, store: &Store, log: &Log) {
    let left = match left(store).await {
        Ok(left) => left,
        Err(error) => return log.note(&format!("nobody knows what is left: {error}")),
    };
    let places = &plan.setting.places;
    // Others may have left for somebody else what this session has delivered since.
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

/// Takes back what the next launch was to be told of destinations for which nothing is left.
pub async fn withdraw(places: &Places, store: &Store) -> Result<(), StoreError> {
    if places.notice().exists() {
        notice::withdraw(places, fingerprints(&left(store).await?));
    }
    Ok(())
}

/// What is left of all sessions, each with the words for what became of it.
async fn left(store: &Store) -> Result<Vec<(Waiting, &'static str)>, StoreError> {
    let (waiting, given_up) =
        store.read(|connection| Ok((batches::waiting(connection)?, dead::given_up(connection)?))).await?;
    let waiting = waiting.into_iter().map(|left| (left, "is not delivered yet"));
    Ok(waiting.chain(given_up.into_iter().map(|left| (left, "was refused for good"))).collect())
}

fn fingerprints<'a>(left: &'a [(Waiting, &str)]) -> impl Iterator<Item = &'a [u8]> {
    left.iter().map(|(left, _)| left.recipient.fingerprint.as_slice())
}

fn line(plan: &Plan, left: &Waiting, state: &str) -> String {
    let profile = &plan.session.profile;
    let why = left.last_error.as_deref().map(|error| format!(" ({})", printable(error))).unwrap_or_default();
    format!(
        "what a session with profile `{profile}` had for `{}` {state}{why}: `ccrun doctor -p {profile}` finds out why, \
         `ccrun queue status` shows it",
        left.recipient.destination
    )
}
