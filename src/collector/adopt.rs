//! What ended sessions left: delivered by whoever comes next, and only to those it was meant for.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::forward::{Forwarder, fingerprint};
use crate::profile::{self, Destination};
use crate::state::{self, SessionLock};
use crate::store::batches::{self, Recipient};
use crate::store::sessions::Session;
use crate::store::{Store, StoreError, ledger, sessions};
use crate::surroundings::Places;

/// Delivers what ended sessions left, until all of it is delivered. Nothing is asked of anybody. What nobody owns any
/// longer stays.
///
/// The lock of an ended session is held meanwhile: of many that come at once one has it. `ended` says that the session
/// on whose time this happens is over.
pub async fn deliver_leftovers(places: &Places, store: &Store, ended: watch::Receiver<bool>) -> Result<(), StoreError> {
    let waiting = store.commit(batches::waiting).await?;
    let recipients: Vec<_> = waiting.into_iter().map(|waiting| waiting.recipient).collect();
    let mut ids: BTreeSet<_> = recipients.iter().map(|recipient| recipient.session.clone()).collect();
    ids.extend(store.commit(sessions::unfinished).await?);
    ids.extend(locked(places));
    let mut locks = Vec::new();
    let mut forwarding = JoinSet::new();
    for id in ids {
        let path = places.lock(&id);
        // A session that lives delivers its own.
        let Ok(Some(lock)) = SessionLock::take(&path) else { continue };
        let session = end(store, &id).await?;
        let mine = recipients.iter().filter(|recipient| recipient.session == id);
        let owned = mine.filter_map(|mine| Some((mine, owner(places, session.as_ref()?, mine)?)));
        let before = forwarding.len();
        for (recipient, destination) in owned {
            // Whatever waits is there already, so that nobody need wake the forwarder.
            let wake = Arc::new(Notify::new());
            let forwarder = Forwarder::new(recipient.clone(), &destination, store.clone(), ended.clone(), wake);
            forwarding.spawn(forwarder.run_until_empty());
        }
        if forwarding.len() > before {
            locks.push((lock, path));
        } else {
            // At once: it may be the lock of a session that begins and waits for it.
            lock.remove(&path);
        }
    }
    while forwarding.join_next().await.is_some() {}
    for (lock, path) in locks {
        lock.remove(&path);
    }
    Ok(())
}

/// The sessions that have a lock, among them those whose collector was killed before it had anything to store.
fn locked(places: &Places) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(places.locks()).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// The destination that a delivery was meant for, if the ended session's own profile, resolved again, still names it:
/// by the same name and with the same fingerprint. Another one may be somebody else's.
pub fn owner(places: &Places, session: &Session, recipient: &Recipient) -> Option<Destination> {
    let key = state::key(&places.key()).ok()?;
    let profile = profile::resolve(&session.selection, &places.profiles).ok()?;
    let mut destinations = profile.destinations.into_iter();
    destinations.find(|destination| {
        destination.name == recipient.destination && fingerprint(&key, destination) == recipient.fingerprint
    })
}

/// Marks a session whose collector may have ended without doing so: the moment is the one at which that was found.
async fn end(store: &Store, session: &str) -> Result<Option<Session>, StoreError> {
    let (id, now) = (session.to_owned(), Timestamp::now().as_millisecond());
    let marked = store.commit(move |connection| {
        sessions::end(connection, &id, now)?;
        ledger::settle(connection, &id)?;
        sessions::find(connection, &id)
    });
    marked.await
}
