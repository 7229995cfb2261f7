//! What a session leaves behind: said in its log, and at the next launch.

use crate::collector::plan::Plan;
use crate::log::Log;
use crate::notice;
use crate::printable::printable;
use crate::store::batches::{self, Waiting};
use crate::store::{Store, StoreError, dead};

/// Says what is not delivered at a session's end, a line for each destination.
pub(super) async fn say(plan: &Plan, store: &Store, log: &Log) {
    match lines(plan, store).await {
        Ok(lines) if lines.is_empty() => log.note("everything is delivered"),
        Ok(lines) => {
            for line in lines {
                log.note(&line);
                notice::leave(&plan.setting.places, &line);
            }
        }
        Err(error) => log.note(&format!("nobody knows what is left: {error}")),
    }
}

async fn lines(plan: &Plan, store: &Store) -> Result<Vec<String>, StoreError> {
    let (waiting, given_up) =
        store.read(|connection| Ok((batches::waiting(connection)?, dead::given_up(connection)?))).await?;
    let own = |left: &Waiting| left.recipient.session == plan.session.id;
    let waits = waiting.into_iter().filter(own).map(|left| line(plan, &left, "is not delivered yet"));
    let refused = given_up.into_iter().filter(own).map(|left| line(plan, &left, "was refused for good"));
    Ok(waits.chain(refused).collect())
}

fn line(plan: &Plan, left: &Waiting, state: &str) -> String {
    let why = left.last_error.as_deref().map(|error| format!(" ({})", printable(error))).unwrap_or_default();
    format!(
        "what a session with profile `{}` had for `{}` {state}{why}: see `ccrun queue status`",
        plan.session.profile, left.recipient.destination
    )
}
