//! Data that ended sessions left: the next process delivers it, but only to the destinations that it was meant for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use tokio::task::{JoinSet, spawn_blocking};

use crate::claude;
use crate::client::Proxies;
use crate::collector::follower::Follower;
use crate::collector::shutdown_summary;
use crate::credential::{Occasion, Vault};
use crate::forward::{Forwarder, fingerprint, not_before};
use crate::otlp::Signal;
use crate::profile::Destination;
use crate::spool::{Disk, Files, Source};
use crate::state::clock::Ages;
use crate::state::{self, Places, SessionLock};
use crate::store::recipient::{Recipient, SessionRow, Subscription};
use crate::store::sessions::Session;
use crate::store::{Store, StoreError, backoff, counters, sessions, waiting};
use crate::workspace::trust::TrustedDigest;
use crate::workspace::{Workspace, read_config};

/// A destination, and the digest of the project files that its profile depends on.
pub type TrustedDestination = (Destination, TrustedDigest);

/// Everything needed to deliver for ended sessions.
pub struct LeftoversContext<'a> {
    workspace: &'a Workspace,
    vault: &'a Vault,
    occasion: Occasion,
    store: &'a Store,
    follower: Follower,
    proxies: Proxies,
    ages: Ages,
}

impl<'a> LeftoversContext<'a> {
    /// The context of this workspace. `occasion` says how to fetch credentials.
    pub fn new(
        workspace: &'a Workspace,
        vault: &'a Vault,
        occasion: Occasion,
        store: &'a Store,
        ledger: &Store,
    ) -> Self {
        let follower = Follower::new(&workspace.places, store, ledger);
        // The launcher's proxies: the collector's environment has none, because they may contain passwords.
        let proxies = Proxies::named_by(&workspace.variables);
        Self { workspace, vault, occasion, store, follower, proxies, ages: Ages::default() }
    }

    /// The same, with this time by which ages are judged.
    #[must_use]
    pub fn aging(self, ages: &Ages) -> Self {
        Self { ages: ages.clone(), ..self }
    }

    /// A forwarder to a destination with this fingerprint.
    fn forwarder(
        &self,
        of: Vec<Subscription>,
        fingerprint: &[u8],
        profile: &str,
        target: &TrustedDestination,
    ) -> Forwarder {
        let (destination, trusted_digest) = target;
        let places = &self.workspace.places;
        let credentials = self.vault.credentials(fingerprint, destination, trusted_digest, self.occasion);
        let source = Source::ended(&places.spool());
        Forwarder::new(of, source, destination, &self.proxies, credentials, self.store.clone())
            .totalling(places, profile, destination, fingerprint)
            .aging(&self.ages)
    }

    /// All recipients with waiting data.
    async fn waiting(&self) -> Result<Vec<Recipient>, StoreError> {
        let source = Source::live(&self.workspace.places.spool());
        let waiting = self.store.read(move |connection| waiting::waiting(connection, &source)).await?;
        Ok(waiting.into_iter().map(|waiting| waiting.recipient).collect())
    }

    /// Releases the locks of sessions after finishing their logs.
    async fn let_go(&self, held: Vec<Held>) {
        for Held { id, lock, path } in held {
            // If the store fails, the next process tries again.
            drop(self.follower.settle(&id).await);
            lock.remove(&path);
        }
    }
}

/// How many ended sessions are handled at once: each lock takes a descriptor.
const AT_ONCE: usize = 64;

/// Delivers what ended sessions left, for each destination up to its first failure, and returns whether anything
/// deliverable is left. Never prompts. With `urgent`, each destination is tried once regardless of its back-off.
///
/// Holds the lock of an ended session only meanwhile: of several concurrent processes one gets it, and none blocks a
/// `queue flush` while a backend is down.
pub async fn deliver_leftovers(context: &LeftoversContext<'_>, urgent: bool) -> Result<bool, StoreError> {
    let LeftoversContext { workspace, store, .. } = *context;
    let recipients = context.waiting().await?;
    let (unfinished, backoffs) =
        store.read(|connection| Ok((sessions::unfinished(connection)?, backoff::all(connection)?))).await?;
    let disk = Disk::new(&workspace.places.spool());
    let mut ids: BTreeSet<_> = recipients.iter().map(|recipient| recipient.session.clone()).collect();
    ids.extend(unfinished);
    ids.extend(locked(&workspace.places));
    ids.extend(disk.sessions().unwrap_or_default());
    #[expect(clippy::disallowed_methods, reason = "the moment at which it happens, in a process that lives for days")]
    let now = Timestamp::now().as_millisecond();
    let is_left_alone = |recipient: &Recipient| {
        let backoff = backoffs.get(&recipient.fingerprint);
        !urgent && backoff.is_some_and(|backoff| not_before(*backoff, now).is_some())
    };
    let mut known = KnownDestinations::default();
    let mut any_left = false;
    let ids: Vec<_> = ids.into_iter().collect();
    for ids in ids.chunks(AT_ONCE) {
        let mut held = Vec::new();
        let mut leftovers: BTreeMap<Key, DestinationLeftovers> = BTreeMap::new();
        for id in ids {
            let path = workspace.places.lock(id);
            // A running session delivers its own data.
            let Ok(Some(lock)) = SessionLock::take(&path) else { continue };
            let session = end(&workspace.places, store, id).await?;
            let (later, mine): (Vec<_>, Vec<_>) =
                recipients.iter().filter(|recipient| recipient.session == *id).cloned().partition(is_left_alone);
            any_left |= !later.is_empty();
            let profile = session.as_ref().map(|session| session.profile.clone()).unwrap_or_default();
            let owned;
            (known, owned) = known.of(workspace.clone(), session, mine).await;
            let this = Held { id: id.clone(), lock, path };
            if owned.is_empty() {
                // At once: a new session may be waiting for its lock.
                context.let_go(vec![this]).await;
                continue;
            }
            held.push(this);
            let row = SessionRow::of(&disk, id)?;
            for (recipient, target) in owned {
                let (fingerprint, destination) = (recipient.fingerprint.clone(), recipient.destination.clone());
                let key = (fingerprint, destination, profile.clone(), target.1.clone());
                let leftovers =
                    leftovers.entry(key).or_insert_with(|| DestinationLeftovers { target, subscriptions: Vec::new() });
                leftovers.subscriptions.push(subscription(row.as_ref(), recipient));
            }
        }
        any_left |= deliver(context, leftovers, urgent).await;
        context.let_go(held).await;
    }
    shutdown_summary::withdraw(&workspace.places, store).await?;
    Ok(any_left)
}

/// Delivers orphaned data of ended sessions to this destination, up to the first failure. Only the signals that it
/// accepts are sent. `profile` is the name of its profile.
pub async fn deliver_orphaned(
    context: &LeftoversContext<'_>,
    profile: &str,
    target: &TrustedDestination,
) -> Result<(), StoreError> {
    let LeftoversContext { workspace, store, .. } = *context;
    let (destination, _) = target;
    let Ok(key) = state::key(&workspace.places) else { return Ok(()) };
    let fingerprint = fingerprint(&key, destination, workspace);
    let mut by_session: BTreeMap<String, Vec<Recipient>> = BTreeMap::new();
    for recipient in context.waiting().await? {
        by_session.entry(recipient.session.clone()).or_default().push(recipient);
    }
    let disk = Disk::new(&workspace.places.spool());
    let mut known = KnownDestinations::default();
    let sessions: Vec<_> = by_session.into_iter().collect();
    for sessions in sessions.chunks(AT_ONCE) {
        let (mut held, mut orphans) = (Vec::new(), Vec::new());
        for (id, mine) in sessions {
            let path = workspace.places.lock(id);
            let Ok(Some(lock)) = SessionLock::take(&path) else { continue };
            held.push(Held { id: id.clone(), lock, path });
            let session = end(&workspace.places, store, id).await?;
            let owned;
            (known, owned) = known.of(workspace.clone(), session, mine.clone()).await;
            let is_owned = |recipient: &Recipient| owned.iter().any(|(owned, _)| owned == recipient);
            let row = SessionRow::of(&disk, id)?;
            let orphaned = mine.iter().filter(|recipient| !is_owned(recipient)).cloned();
            orphans.extend(orphaned.map(|recipient| subscription(row.as_ref(), recipient)));
        }
        if !orphans.is_empty() {
            let forwarder = context.forwarder(orphans, &fingerprint, profile, target);
            forwarder.instead(fingerprint.clone(), destination.signals.clone()).run_once(true).await;
        }
        context.let_go(held).await;
    }
    Ok(())
}

/// An ended session whose lock is held.
struct Held {
    id: String,
    lock: SessionLock,
    path: PathBuf,
}

/// The part of a session's log for a recipient. Without a log, it makes no difference.
fn subscription(row: Option<&SessionRow>, to: Recipient) -> Subscription {
    let known = row.and_then(|row| row.subscriptions.iter().find(|of| of.to == to).cloned());
    known.unwrap_or(Subscription { to, signals: Signal::ALL.into(), is_cumulative: false })
}

/// What data must have in common to be delivered together: the destination's fingerprint and name, the profile's name,
/// and the digest of the project files that it depends on.
type Key = (Vec<u8>, String, String, TrustedDigest);

/// What several ended sessions left for one destination, delivered together.
struct DestinationLeftovers {
    target: TrustedDestination,
    subscriptions: Vec<Subscription>,
}

/// Delivers all leftovers concurrently, and returns whether anything is left.
async fn deliver(context: &LeftoversContext<'_>, leftovers: BTreeMap<Key, DestinationLeftovers>, urgent: bool) -> bool {
    let mut forwarding = JoinSet::new();
    let mut owned = BTreeSet::new();
    for ((fingerprint, _, profile, _), DestinationLeftovers { target, subscriptions }) in leftovers {
        owned.extend(subscriptions.iter().map(|of| of.to.clone()));
        forwarding.spawn(context.forwarder(subscriptions, &fingerprint, &profile, &target).run_once(urgent));
    }
    while forwarding.join_next().await.is_some() {}
    if owned.is_empty() {
        return false;
    }
    let left = context.waiting().await;
    left.map_or(true, |left| left.iter().any(|left| owned.contains(left)))
}

/// Sessions with a lock file. This includes those whose collector was killed before it stored anything.
fn locked(places: &Places) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(places.locks()).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Recipients whose destination still exists, cached because many sessions have the same profile.
#[derive(Default)]
struct KnownDestinations {
    known: BTreeMap<(String, String, Vec<u8>), Option<TrustedDestination>>,
}

impl KnownDestinations {
    /// The recipients of a session whose destination still exists. Runs on its own thread, because a profile may run a
    /// command.
    async fn of(
        mut self,
        workspace: Workspace,
        session: Option<Session>,
        mine: Vec<Recipient>,
    ) -> (Self, Vec<(Recipient, TrustedDestination)>) {
        let (Some(session), false) = (session, mine.is_empty()) else { return (self, Vec::new()) };
        let find = move || {
            let selection = serde_json::to_string(&session.selection).unwrap_or_default();
            let owned = mine.into_iter().filter_map(|mine| {
                let key = (selection.clone(), mine.destination.clone(), mine.fingerprint.clone());
                let known = self.known.entry(key).or_insert_with(|| destination_of(&workspace, &session, &mine));
                Some((mine, known.clone()?))
            });
            let owned = owned.collect();
            (self, owned)
        };
        spawn_blocking(find).await.unwrap_or_default()
    }
}

/// The destination that a delivery was meant for, if the ended session's own profile, resolved again, still has it with
/// the same name and fingerprint. Any other destination may belong to another party.
pub fn destination_of(workspace: &Workspace, session: &Session, recipient: &Recipient) -> Option<TrustedDestination> {
    let key = state::key(&workspace.places).ok()?;
    // Read again, because a collector may have been running for days.
    let config = read_config(&workspace.places.config, &workspace.places.system).ok()?;
    let (resolved, _, trusted_digest) = workspace.resolve_with_digest(&session.selection, &config).ok()?;
    let mut destinations = resolved.profile.destinations.into_iter();
    let found = destinations.find(|destination| {
        destination.name == recipient.destination && fingerprint(&key, destination, workspace) == recipient.fingerprint
    });
    Some((found?, trusted_digest))
}

/// Ends a session whose collector may have been killed, as the collector would have done. The end time is the current
/// time.
async fn end(places: &Places, store: &Store, session: &str) -> Result<Option<Session>, StoreError> {
    #[expect(clippy::disallowed_methods, reason = "the moment at which it happens, in a process that lives for days")]
    let (id, now) = (session.to_owned(), Timestamp::now().as_millisecond());
    let disk = Disk::new(&places.spool());
    let marked = store.commit(move |connection| {
        // A session that the store does not know is known from its log.
        if let Some(row) = SessionRow::of(&disk, &id)? {
            sessions::insert(connection, &row.session)?;
        }
        sessions::end(connection, &id, now)?;
        counters::release(connection, &id, now)?;
        sessions::find(connection, &id)
    });
    let found = marked.await?;
    // A session that is in neither may be about to start, and needs its settings unchanged.
    if found.is_some() {
        claude::end_settings(&places.settings(session));
        drop(std::fs::remove_file(places.hook(session)));
    }
    Ok(found)
}
