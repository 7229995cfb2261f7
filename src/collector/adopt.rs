//! What ended sessions left: delivered by whoever comes next, and only to those it was meant for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio::task::{JoinSet, spawn_blocking};

use super::balance;
use crate::claude;
use crate::client::Proxies;
use crate::credential::{Occasion, Vault};
use crate::forward::{Forwarder, fingerprint, not_before};
use crate::profile::Destination;
use crate::setting::Setting;
use crate::state::{self, SessionLock};
use crate::store::batches::{self, Recipient};
use crate::store::sessions::Session;
use crate::store::{Store, StoreError, backoff, ledger, sessions, tally, totals};
use crate::surroundings::Places;
use crate::trust::Seal;

/// A destination, and what of a project's files the profile that names it depends on.
pub type Owner = (Destination, Seal);

/// What whoever delivers for ended sessions does it with.
pub struct Means<'a> {
    setting: &'a Setting,
    vault: &'a Vault,
    occasion: Occasion,
    store: &'a Store,
    proxies: Proxies,
}

impl<'a> Means<'a> {
    /// Those of this setting. `occasion` says how credentials are fetched.
    pub fn new(setting: &'a Setting, vault: &'a Vault, occasion: Occasion, store: &'a Store) -> Self {
        // The launcher's own: the collector's environment has none, for people write passwords into them.
        Self { setting, vault, occasion, store, proxies: Proxies::named_by(&setting.variables) }
    }

    /// A forwarder to a destination that has this fingerprint.
    fn forwarder(&self, recipients: Vec<Recipient>, fingerprint: &[u8], profile: &str, owner: &Owner) -> Forwarder {
        let (destination, seal) = owner;
        let credentials = self.vault.credentials(fingerprint, destination, seal, self.occasion);
        Forwarder::new(recipients, destination, &self.proxies, credentials, self.store.clone()).totalling(
            &self.setting.places,
            profile,
            destination,
            fingerprint,
        )
    }
}

/// How many ended sessions are looked after at once: each takes a descriptor for its lock.
const AT_ONCE: usize = 64;

/// Delivers what ended sessions left, each destination as far as its first failure, and says whether anything is left
/// that has an owner. Nothing is asked of anybody. An `urgent` delivery tries each destination once, whatever is known
/// against it.
///
/// The lock of an ended session is held meanwhile, and no longer: of many that come at once one has it, and none keeps
/// it from a `queue flush` while a backend is down.
pub async fn deliver_leftovers(means: &Means<'_>, urgent: bool) -> Result<bool, StoreError> {
    let Means { setting, store, .. } = *means;
    let (waiting, unfinished, troubles) = store
        .read(|connection| {
            Ok((batches::waiting(connection)?, sessions::unfinished(connection)?, backoff::all(connection)?))
        })
        .await?;
    let recipients: Vec<_> = waiting.into_iter().map(|waiting| waiting.recipient).collect();
    let mut ids: BTreeSet<_> = recipients.iter().map(|recipient| recipient.session.clone()).collect();
    ids.extend(unfinished);
    ids.extend(locked(&setting.places));
    let now = Timestamp::now().as_millisecond();
    let is_left_alone = |recipient: &Recipient| {
        let trouble = troubles.get(&recipient.fingerprint);
        !urgent && trouble.is_some_and(|trouble| not_before(*trouble, now).is_some())
    };
    let mut owners = Owners::default();
    let mut any_left = false;
    let ids: Vec<_> = ids.into_iter().collect();
    for ids in ids.chunks(AT_ONCE) {
        let mut held = Vec::new();
        let mut ways: BTreeMap<Key, Way> = BTreeMap::new();
        for id in ids {
            let path = setting.places.lock(id);
            // A session that lives delivers its own.
            let Ok(Some(lock)) = SessionLock::take(&path) else { continue };
            let session = end(&setting.places, store, id).await?;
            let (later, mine): (Vec<_>, Vec<_>) =
                recipients.iter().filter(|recipient| recipient.session == *id).cloned().partition(is_left_alone);
            any_left |= !later.is_empty();
            let profile = session.as_ref().map(|session| session.profile.clone()).unwrap_or_default();
            let owned;
            (owners, owned) = owners.of(setting.clone(), session, mine).await;
            if owned.is_empty() {
                // At once: it may be the lock of a session that begins and waits for it.
                lock.remove(&path);
                continue;
            }
            held.push((lock, path));
            for (recipient, owner) in owned {
                let (fingerprint, destination) = (recipient.fingerprint.clone(), recipient.destination.clone());
                let key = (fingerprint, destination, profile.clone(), owner.1.clone());
                let way = ways.entry(key).or_insert_with(|| Way { owner, recipients: Vec::new() });
                way.recipients.push(recipient);
            }
        }
        any_left |= deliver(means, ways, urgent).await;
        for (lock, path) in held {
            lock.remove(&path);
        }
    }
    balance::withdraw(&setting.places, store).await?;
    Ok(any_left)
}

/// Delivers what ended sessions left for nobody any more to this destination instead, as far as the first failure. It
/// is given only the signals that it wants. `profile` is the name of the one that it belongs to.
pub async fn deliver_orphaned(means: &Means<'_>, profile: &str, target: &Owner) -> Result<(), StoreError> {
    let Means { setting, store, .. } = *means;
    let (destination, _) = target;
    let Ok(key) = state::key(&setting.places.key()) else { return Ok(()) };
    let fingerprint = fingerprint(&key, destination, setting);
    let mut by_session: BTreeMap<String, Vec<Recipient>> = BTreeMap::new();
    for waiting in store.read(batches::waiting).await? {
        by_session.entry(waiting.recipient.session.clone()).or_default().push(waiting.recipient);
    }
    let mut owners = Owners::default();
    let sessions: Vec<_> = by_session.into_iter().collect();
    for sessions in sessions.chunks(AT_ONCE) {
        let (mut held, mut orphans) = (Vec::new(), Vec::new());
        for (id, mine) in sessions {
            let path = setting.places.lock(id);
            let Ok(Some(lock)) = SessionLock::take(&path) else { continue };
            held.push((lock, path));
            let session = end(&setting.places, store, id).await?;
            let owned;
            (owners, owned) = owners.of(setting.clone(), session, mine.clone()).await;
            let is_owned = |recipient: &Recipient| owned.iter().any(|(owned, _)| owned == recipient);
            orphans.extend(mine.iter().filter(|recipient| !is_owned(recipient)).cloned());
        }
        if !orphans.is_empty() {
            let forwarder = means.forwarder(orphans, &fingerprint, profile, target);
            forwarder.instead(fingerprint.clone(), destination.signals.clone()).run_once(true).await;
        }
        for (lock, path) in held {
            lock.remove(&path);
        }
    }
    Ok(())
}

/// What they must have in common: the destination's fingerprint and name, the profile's name, and what of a project's
/// files that depends on.
type Key = (Vec<u8>, String, String, Seal);

/// What several ended sessions left for one destination: delivered together.
struct Way {
    owner: Owner,
    recipients: Vec<Recipient>,
}

/// Delivers all ways side by side, and says whether anything is left.
async fn deliver(means: &Means<'_>, ways: BTreeMap<Key, Way>, urgent: bool) -> bool {
    let mut forwarding = JoinSet::new();
    let mut owned = BTreeSet::new();
    for ((fingerprint, _, profile, _), Way { owner, recipients }) in ways {
        owned.extend(recipients.iter().cloned());
        forwarding.spawn(means.forwarder(recipients, &fingerprint, &profile, &owner).run_once(urgent));
    }
    while forwarding.join_next().await.is_some() {}
    if owned.is_empty() {
        return false;
    }
    let left = means.store.read(batches::waiting).await;
    left.map_or(true, |left| left.iter().any(|left| owned.contains(&left.recipient)))
}

/// The sessions that have a lock, among them those whose collector was killed before it had anything to store.
fn locked(places: &Places) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(places.locks()).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Which recipients still have their destination, by what is asked: many sessions have the same profile.
#[derive(Default)]
struct Owners {
    known: BTreeMap<(String, String, Vec<u8>), Option<Owner>>,
}

impl Owners {
    /// The recipients of a session that still have their destination. On a thread of its own: a profile may want a
    /// command to be run.
    async fn of(
        mut self,
        setting: Setting,
        session: Option<Session>,
        mine: Vec<Recipient>,
    ) -> (Self, Vec<(Recipient, Owner)>) {
        let (Some(session), false) = (session, mine.is_empty()) else { return (self, Vec::new()) };
        let find = move || {
            let selection = serde_json::to_string(&session.selection).unwrap_or_default();
            let owned = mine.into_iter().filter_map(|mine| {
                let key = (selection.clone(), mine.destination.clone(), mine.fingerprint.clone());
                let known = self.known.entry(key).or_insert_with(|| owner(&setting, &session, &mine));
                Some((mine, known.clone()?))
            });
            let owned = owned.collect();
            (self, owned)
        };
        spawn_blocking(find).await.unwrap_or_default()
    }
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
    Some((found?, seal))
}

/// Does for a session whose collector may have been killed what that would have done at its end. The moment is the one
/// at which that was found.
async fn end(places: &Places, store: &Store, session: &str) -> Result<Option<Session>, StoreError> {
    let (id, now) = (session.to_owned(), Timestamp::now().as_millisecond());
    let marked = store.commit(move |connection| {
        sessions::end(connection, &id, now)?;
        tally::release(connection, &id, now)?;
        totals::release(connection, &id)?;
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
