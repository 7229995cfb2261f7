//! What ended sessions left: delivered by whoever comes next, and only to those it was meant for.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::forward::{Forwarder, fingerprint};
use crate::profile;
use crate::state::{self, SessionLock};
use crate::store::batches::{self, Recipient};
use crate::store::{Store, StoreError, sessions};
use crate::surroundings::Places;

/// What was found waiting of sessions that have ended.
#[derive(Clone, Debug, Default)]
pub struct Leftovers {
    /// Whom this process delivered to.
    pub adopted: Vec<Recipient>,
    /// Deliveries whose profile or destination has changed or gone: kept until somebody decides.
    pub orphaned: Vec<Recipient>,
}

/// Delivers what ended sessions left, until all of it is delivered or `ended` says so. Nothing is asked of anybody.
///
/// The lock of an ended session is held meanwhile: of many that come at once one has it.
pub async fn deliver_leftovers(
    places: &Places,
    store: &Store,
    ended: watch::Receiver<bool>,
) -> Result<Leftovers, StoreError> {
    let waiting = store.commit(batches::waiting).await?;
    let mut leftovers = Leftovers::default();
    if waiting.is_empty() {
        return Ok(leftovers);
    }
    let Ok(key) = state::key(&places.key()) else { return Ok(leftovers) };
    let recipients: Vec<_> = waiting.into_iter().map(|waiting| waiting.recipient).collect();
    let ids: BTreeSet<_> = recipients.iter().map(|recipient| recipient.session.clone()).collect();
    let mut locks = Vec::new();
    let mut forwarding = JoinSet::new();
    for id in ids {
        let path = places.lock(&id);
        // A session that lives delivers its own.
        let Ok(Some(lock)) = SessionLock::take(&path) else { continue };
        for recipient in recipients.iter().filter(|recipient| recipient.session == id) {
            match adopt(places, store, &key, recipient, &ended).await? {
                Some(forwarder) => {
                    leftovers.adopted.push(recipient.clone());
                    forwarding.spawn(forwarder);
                }
                None => leftovers.orphaned.push(recipient.clone()),
            }
        }
        locks.push((lock, path));
    }
    while forwarding.join_next().await.is_some() {}
    for (lock, path) in locks {
        lock.remove(&path);
    }
    Ok(leftovers)
}

/// A forwarder for a recipient of an ended session, if that session's own profile still names the same destination.
async fn adopt(
    places: &Places,
    store: &Store,
    key: &[u8; 32],
    recipient: &Recipient,
    ended: &watch::Receiver<bool>,
) -> Result<Option<impl Future<Output = ()> + use<>>, StoreError> {
    let id = recipient.session.clone();
    let session = store.commit(move |connection: &Connection| sessions::find(connection, &id)).await?;
    let resolved = session.and_then(|session| profile::resolve(&session.selection, &places.profiles).ok());
    let destination = resolved.and_then(|profile| {
        profile.destinations.into_iter().find(|destination| destination.name == recipient.destination)
    });
    Ok(destination.filter(|destination| fingerprint(key, destination) == recipient.fingerprint).map(|destination| {
        // Whatever waits is there already: the forwarder need not be woken, and is done when it has delivered it.
        let (store, recipient, ended) = (store.clone(), recipient.clone(), ended.clone());
        let forwarder = Forwarder::new(recipient, &destination, store, ended, Arc::new(Notify::new()));
        forwarder.run_until_empty()
    }))
}
