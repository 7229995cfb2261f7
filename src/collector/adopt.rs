//! What ended sessions left: delivered by whoever comes next, and only to those it was meant for.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use tokio::task::{JoinSet, spawn_blocking};

use crate::claude;
use crate::credential::{Occasion, Vault};
use crate::forward::{Forwarder, Proxies, fingerprint};
use crate::profile::Destination;
use crate::setting::Setting;
use crate::state::{self, SessionLock};
use crate::store::batches::{self, Recipient};
use crate::store::sessions::Session;
use crate::store::{Store, StoreError, ledger, sessions};
use crate::surroundings::Places;
use crate::trust::Seal;

/// A destination, and what of a project's files the profile that names it depends on.
pub type Owner = (Destination, Seal);

/// Delivers what ended sessions left, each destination as far as its first failure, and says whether anything is left
/// that has an owner. Nothing is asked of anybody.
///
/// The lock of an ended session is held meanwhile, and no longer: of many that come at once one has it, and none keeps
/// it from a `queue flush` while a backend is down.
pub async fn deliver_leftovers(
    setting: &Setting,
    vault: &Vault,
    occasion: Occasion,
    store: &Store,
) -> Result<bool, StoreError> {
    let places = &setting.places;
    let waiting = store.commit(batches::waiting).await?;
    let recipients: Vec<_> = waiting.into_iter().map(|waiting| waiting.recipient).collect();
    let mut ids: BTreeSet<_> = recipients.iter().map(|recipient| recipient.session.clone()).collect();
    ids.extend(store.commit(sessions::unfinished).await?);
    ids.extend(locked(places));
    // The launcher's own: the collector's environment has none, for people write passwords into them.
    let proxies = Proxies::named_by(&setting.variables);
    let mut forwarding = JoinSet::new();
    for id in ids {
        let path = places.lock(&id);
        // A session that lives delivers its own.
        let Ok(Some(lock)) = SessionLock::take(&path) else { continue };
        let session = end(places, store, &id).await?;
        let mine = recipients.iter().filter(|recipient| recipient.session == id).cloned().collect();
        let owned = owned(setting.clone(), session, mine).await;
        if owned.is_empty() {
            // At once: it may be the lock of a session that begins and waits for it.
            lock.remove(&path);
        } else {
            let owned = owned.into_iter().map(|(recipient, (destination, seal))| {
                let credentials = vault.credentials(&recipient.fingerprint, &destination, &seal, occasion);
                (recipient.clone(), Forwarder::new(recipient, &destination, &proxies, credentials, store.clone()))
            });
            forwarding.spawn(deliver(store.clone(), owned.collect(), lock, path));
        }
    }
    let mut any_left = false;
    while let Some(delivered) = forwarding.join_next().await {
        any_left |= delivered.unwrap_or(true);
    }
    Ok(any_left)
}

/// Delivers what one session left, all its destinations side by side, and says whether anything is left.
async fn deliver(store: Store, owned: Vec<(Recipient, Forwarder)>, lock: SessionLock, path: PathBuf) -> bool {
    let mut forwarding = JoinSet::new();
    let mut recipients = Vec::new();
    for (recipient, forwarder) in owned {
        forwarding.spawn(forwarder.run_once());
        recipients.push(recipient);
    }
    while forwarding.join_next().await.is_some() {}
    lock.remove(&path);
    let left = store.commit(batches::waiting).await;
    left.is_ok_and(|left| left.iter().any(|left| recipients.contains(&left.recipient)))
}

/// The sessions that have a lock, among them those whose collector was killed before it had anything to store.
fn locked(places: &Places) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(places.locks()).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// The recipients that still have their destination. On a thread of its own: a profile may want a command to be run.
async fn owned(setting: Setting, session: Option<Session>, mine: Vec<Recipient>) -> Vec<(Recipient, Owner)> {
    let find = move || {
        let owned = mine.into_iter().filter_map(|mine| {
            let owner = owner(&setting, session.as_ref()?, &mine)?;
            Some((mine, owner))
        });
        owned.collect()
    };
    spawn_blocking(find).await.unwrap_or_default()
}

/// The destination that a delivery was meant for, if the ended session's own profile, resolved again, still names it:
/// by the same name and with the same fingerprint. Another one may be somebody else's.
pub fn owner(setting: &Setting, session: &Session, recipient: &Recipient) -> Option<Owner> {
    let key = state::key(&setting.places.key()).ok()?;
    let (resolved, _, seal) = setting.resolve_sealed(&session.selection).ok()?;
    let mut destinations = resolved.profile.destinations.into_iter();
    let found = destinations.find(|destination| {
        destination.name == recipient.destination && fingerprint(&key, destination, setting) == recipient.fingerprint
    });
    found.map(|destination| (destination, seal))
}

/// Does for a session whose collector may have been killed what that would have done at its end. The moment is the one
/// at which that was found.
async fn end(places: &Places, store: &Store, session: &str) -> Result<Option<Session>, StoreError> {
    let (id, now) = (session.to_owned(), Timestamp::now().as_millisecond());
    let marked = store.commit(move |connection| {
        sessions::end(connection, &id, now)?;
        ledger::settle(connection, &id)?;
        sessions::find(connection, &id)
    });
    let found = marked.await?;
    // One that nobody has written down yet may be about to begin, and needs its settings as they are.
    if found.is_some() {
        claude::end_settings(&places.settings(session));
    }
    Ok(found)
}
