//! The worker: connects all parts of a session's collector, and shuts them down.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::budgets::Budgets;
use super::connections::Connections;
use super::follower::Follower;
use super::guard::{self, Guard, GuardedDisk};
use super::plan::SessionPlan;
use super::prune::prune;
use super::receive::{self, Receiver};
use super::rules::{self, Rulebook};
use super::session;
use super::silence::Silence;
use crate::client::Proxies;
use crate::collector::leftovers::{LeftoversContext, deliver_leftovers};
use crate::collector::{control_channel, shutdown_summary};
use crate::credential::{Occasion, Vault};
use crate::forward::{Forwarder, fingerprint};
use crate::ledger::{self, LEDGER};
use crate::otlp::Signal;
use crate::profile::{Destination, Temporality};
use crate::secret::command;
use crate::spool::{Source, Spool, Writer};
use crate::state::backoff::{Backoff, LONGEST};
use crate::state::clock::{self, Ages};
use crate::state::log::Log;
use crate::state::{notice, unkept};
use crate::store::damage::Replaced;
use crate::store::recipient::{Recipient, SessionRow, Subscription};
use crate::store::sessions::Session;
use crate::store::{STORE, Store, StoreError, counters, sessions};
use crate::system::random;
use crate::{claude, state};

/// The time limit for closing the log: a disk that hangs must not keep the session alive.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// How long a removal of what a session needs may take: a directory that is being removed must not get new files.
const REMOVED_BY: Duration = Duration::from_secs(1);

/// Runs until the session is over and everything received is delivered or left in the store. The launcher is notified
/// as soon as exports are accepted.
pub(super) fn run(listener: TcpListener, plan: SessionPlan, launcher: Option<&UnixStream>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let result = runtime.block_on(serve(listener, plan, launcher));
    // Blocking name lookups may still be running; do not wait for them.
    runtime.shutdown_background();
    // A command that still runs for a fetch would be orphaned.
    command::end_all();
    result
}

async fn serve(listener: TcpListener, plan: SessionPlan, launcher: Option<&UnixStream>) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener).context("cannot listen")?;
    let plan = Arc::new(plan);
    let log = Log::of(&plan.workspace.places, &plan.session.id);
    log.clone().note_panics();
    log.note(&format!("worker started for `{}` with profile `{}`", plan.session.program, plan.profile.name));
    let places = &plan.workspace.places;
    let store = Store::start(&places.store(), STORE, damage(&plan, &log)).context("cannot start a thread")?;
    let ledger = Store::start(&places.ledger(), LEDGER, damage(&plan, &log)).context("cannot start a thread")?;
    let (ending, ended) = watch::channel(false);
    let mut forwarding = JoinSet::new();
    let vault = Arc::new(Vault::new(plan.workspace.clone(), plan.answers.clone()));
    let subscriptions = subscriptions(&plan)?;
    let (arrivals, opened) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let guard = Guard::new(places, &plan.session.id, installation_key(&plan)?, &log);
    let (spool, writing) = write_log(&plan, &subscriptions, &guard, &opened).context("cannot start a thread")?;
    let source = Source::own(&places.spool(), spool.durable());
    let ages = Ages::default();
    let context = Sending { plan: &plan, ages: &ages, vault: &vault, store: &store, source: &source, log: &log };
    let mut routes = context.forward(&subscriptions, &ended, &mut forwarding);
    let connections = Connections::default();
    let budgets = Budgets::of(&plan, &source, &log);
    routes.extend(budgets.as_ref().map(|budgets| watch_budgets(budgets, &ended, &mut forwarding)));
    let hook = hook(&plan, budgets);
    let rules = Rulebook::open(&plan, &store)?;
    let receiver = Receiver::new(&plan, rules, spool.clone(), routes, Arc::clone(&arrivals), hook);
    let receiving = tokio::spawn(receive::serve(listener, Arc::new(receiver), connections.clone()));
    let follower = Follower::new(places, &store, &ledger);
    forwarding.spawn(follower.clone().run(source, plan.session.id.clone(), arrivals, opened, ended.clone()));
    // Before the launcher gets its answer: until then its pid cannot be reused.
    let watch = plan.launched.watch();
    answer(launcher);
    sync_for_launcher(&plan);
    let staying = launcher.filter(|_| plan.stays).and_then(|launcher| launcher.try_clone().ok());
    let control_channel = staying.map(control_channel::hear);

    insert_session(&store, &plan);
    forwarding.spawn(leftovers(Arc::clone(&plan), vault, store.clone(), ledger, ages, ended));
    let known = tokio::spawn(stay_known(Arc::clone(&guard), store.clone(), plan.session.clone()));
    let silence = Silence::of(&plan, connections.clone(), log.clone());
    let watching = tokio::spawn(silence.clone().watch());

    tokio::select! {
        () = session::over(&plan, watch, control_channel, &connections) => {}
        () = spool.is_over() => {
            log.note("another worker has taken over");
            return Ok(());
        }
    }
    log.note("the session is over");
    receiving.abort();
    watching.abort();
    known.abort();
    silence.judge();
    ending.send_replace(true);
    drain(forwarding, plan.profile.collector.drain_timeout).await;
    spool.close().await;
    drop(timeout(CLOSED_WITHIN, spawn_blocking(|| writing.join())).await);
    shutdown_summary::say(&plan, &store, &log).await;
    guard.restore_key();
    finish(&plan, &store, &follower).await;
    Ok(())
}

/// Tells the launcher that the collector is ready. One that no longer listens has continued without an answer.
fn answer(launcher: Option<&UnixStream>) {
    if let Some(mut launcher) = launcher {
        drop(launcher.write_all(super::READY.as_bytes()));
    }
}

/// Records the session in the store. If the store cannot be written yet, exporters are told so.
fn insert_session(store: &Store, plan: &SessionPlan) {
    let (store, session) = (store.clone(), plan.session.clone());
    tokio::spawn(async move { store.commit(move |connection| sessions::insert(connection, &session)).await });
}

/// What answers the hooks, if the program has any.
fn hook(plan: &SessionPlan, budgets: Option<Arc<Budgets>>) -> Option<receive::Hook> {
    let (hook, budgets) = plan.hook.as_ref().zip(budgets)?;
    Some(receive::Hook { token: hook.token.clone(), budgets })
}

/// Does the work on the disk that the launcher did not wait for.
fn sync_for_launcher(plan: &SessionPlan) {
    let (settings, places) = (plan.settings.clone(), plan.workspace.places.clone());
    spawn_blocking(move || {
        settings.map(|settings| state::settle(&settings));
        unkept::prepare(&places);
    });
}

/// Waits up to `limit` for all deliveries. Undelivered data stays in the spool for the next session.
async fn drain(mut forwarding: JoinSet<()>, limit: Duration) {
    drop(timeout(limit, async { while forwarding.join_next().await.is_some() {} }).await);
    forwarding.abort_all();
}

/// Starts the thread that writes the session's log.
fn write_log(
    plan: &SessionPlan,
    subscriptions: &[Subscription],
    guard: &Arc<Guard>,
    opened: &Arc<Notify>,
) -> std::io::Result<(Spool, JoinHandle<()>)> {
    let row = SessionRow { session: plan.session.clone(), subscriptions: subscriptions.to_vec() };
    let disk = GuardedDisk::new(&plan.workspace.places.spool(), guard);
    let writer = Writer::new(disk, &plan.session.id, plan.worker, row.encode());
    let opened = Arc::clone(opened);
    Spool::start(writer, move || opened.notify_one())
}

/// Starts to watch what is spent of budgets. Returns what wakes the watch.
fn watch_budgets(budgets: &Arc<Budgets>, ended: &watch::Receiver<bool>, tasks: &mut JoinSet<()>) -> receive::Route {
    let wake = Arc::new(Notify::new());
    tasks.spawn(Arc::clone(budgets).watch(Arc::clone(&wake), ended.clone()));
    receive::Route { signals: [Signal::Logs, Signal::Metrics].into(), wake }
}

/// The key by which the session's destinations are known, if it has any.
fn installation_key(plan: &SessionPlan) -> Result<Option<[u8; 32]>> {
    if plan.profile.destinations.is_empty() { Ok(None) } else { state::key(&plan.workspace.places).map(Some) }
}

/// Keeps the session known as a running one, even if its lock or its row is removed.
async fn stay_known(guard: Arc<Guard>, store: Store, session: Session) {
    loop {
        let is_seen = tokio::select! {
            () = guard.taken_again.notified() => {
                let session = session.clone();
                // What follows the log tries again what fails here.
                drop(store.commit(move |connection| sessions::go_on(connection, &session)).await);
                continue;
            }
            is_seen = guard::gone(guard.path()) => is_seen,
        };
        if is_seen {
            tokio::time::sleep(REMOVED_BY).await;
            // Where another has the lock the next export tries again.
            drop(guard.ensure());
        } else {
            guard.taken_again.notified().await;
            guard.taken_again.notify_one();
        }
    }
}

/// Which part of the session's log each destination gets.
fn subscriptions(plan: &SessionPlan) -> Result<Vec<Subscription>> {
    let destinations = &plan.profile.destinations;
    let key = installation_key(plan)?.unwrap_or_default();
    let subscription = |destination: &Destination| Subscription {
        to: Recipient {
            session: plan.session.id.clone(),
            destination: destination.name.clone(),
            fingerprint: fingerprint(&key, destination, &plan.workspace),
        },
        signals: destination.signals.clone(),
        is_cumulative: destination.temporality == Temporality::Cumulative,
    };
    Ok(destinations.iter().map(subscription).collect())
}

/// Says that a database was damaged, and what became of it.
fn damage(plan: &Arc<SessionPlan>, log: &Log) -> impl Fn(&Replaced) + Send + use<> {
    let (plan, log) = (Arc::clone(plan), log.clone());
    move |replaced| {
        let line = replaced.line();
        log.note(&line);
        notice::leave(&plan.workspace.places, &line);
    }
}

/// What the session's forwarders share.
struct Sending<'a> {
    plan: &'a SessionPlan,
    ages: &'a Ages,
    vault: &'a Vault,
    store: &'a Store,
    source: &'a Source,
    log: &'a Log,
}

impl Sending<'_> {
    /// Starts a forwarder for each destination.
    fn forward(
        &self,
        subscriptions: &[Subscription],
        ended: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> Vec<receive::Route> {
        let Self { plan, ages, vault, store, source, log } = *self;
        // The launcher's proxies: the collector's environment has none, because they may contain passwords.
        let proxies = Proxies::named_by(&plan.workspace.variables);
        let mut routes = Vec::new();
        for (destination, of) in plan.profile.destinations.iter().zip(subscriptions) {
            let wake = Arc::new(Notify::new());
            let fingerprint = &of.to.fingerprint;
            let credentials = vault.credentials(fingerprint, destination, &plan.trusted_digest, Occasion::Session);
            let forwarder =
                Forwarder::new(vec![of.clone()], source.clone(), destination, &proxies, credentials, store.clone())
                    .totalling(&plan.workspace.places, &plan.profile.name, destination, fingerprint)
                    .aging(ages)
                    .noting(log.clone());
            let tells = destination.signals.contains(&Signal::Metrics);
            let forwarder = if tells { forwarder.telling(resource(plan)) } else { forwarder };
            tasks.spawn(forwarder.run(ended.clone(), Arc::clone(&wake)));
            routes.push(receive::Route { signals: destination.signals.clone(), wake });
        }
        routes
    }
}

/// The attributes of ccrun's own resource.
fn resource(plan: &SessionPlan) -> BTreeMap<String, String> {
    let stamp = rules::stamp(plan);
    stamp.absent.into_iter().chain(stamp.replace).collect()
}

/// Delivers what ended sessions left, while this one runs and once more when it is over.
async fn leftovers(
    plan: Arc<SessionPlan>,
    vault: Arc<Vault>,
    store: Store,
    ledger: Store,
    ages: Ages,
    mut ended: watch::Receiver<bool>,
) {
    let places = &plan.workspace.places;
    #[expect(clippy::disallowed_methods, reason = "the moment at which it happens, in a process that lives for days")]
    let judged = clock::judged(places, SystemTime::now());
    ages.begin(judged);
    prune(places, judged);
    drop(keep_within_days(&plan, &ledger, judged).await);
    let mut backoff = Backoff::default();
    let mut over = *ended.borrow_and_update();
    // A failing store may work later.
    let context = LeftoversContext::new(&plan.workspace, &vault, Occasion::Leftovers, &store, &ledger).aging(&ages);
    while deliver_leftovers(&context, over).await.unwrap_or(true) && !over {
        drop(timeout(backoff.pause(LONGEST, random::jitter()), ended.changed()).await);
        over = *ended.borrow_and_update();
    }
}

/// Deletes usage that is older than `[ledger] keep` as of `now`. After a failure, the next session does it.
async fn keep_within_days(plan: &SessionPlan, ledger: &Store, now: SystemTime) -> Result<(), StoreError> {
    let today = clock::milliseconds(now).div_euclid(ledger::DAY);
    let keep_from = plan.workspace.ledger.keep_days.map(|days| today - days);
    // A session that receives nothing leaves nothing.
    if !plan.workspace.places.ledger().exists() {
        return Ok(());
    }
    ledger.commit(move |connection| ledger::prune(connection, keep_from, today)).await.map(drop)
}

/// Marks the end, and removes ccrun's part from the settings file, which a background job may read again.
async fn finish(plan: &SessionPlan, store: &Store, follower: &Follower) {
    let session = plan.session.id.clone();
    #[expect(clippy::disallowed_methods, reason = "the moment at which the session ends")]
    let now = Timestamp::now().as_millisecond();
    let settled = follower.settle(&session).await;
    let (id, row) = (session.clone(), plan.session.clone());
    let marked = store.commit(move |connection| {
        // A store that was removed meanwhile knows nothing of it.
        sessions::insert(connection, &row)?;
        sessions::end(connection, &id, now)?;
        counters::release(connection, &id, now)
    });
    let marked = settled.and(marked.await);
    claude::end_settings(&plan.workspace.places.settings(&session));
    drop(std::fs::remove_file(plan.workspace.places.hook(&session)));
    // This process holds the lock. Removing the file says that the session needs no more attention.
    if marked.is_ok() {
        drop(std::fs::remove_file(plan.workspace.places.lock(&session)));
    }
}
