//! The worker: the wiring of everything that a session's collector does, and its end.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::adopt::{Means, deliver_leftovers};
use super::balance;
use super::connections::Connections;
use super::news;
use super::plan::Plan;
use super::prune::prune;
use super::receive::{self, Receiver};
use super::rules::{self, Rulebook};
use super::session;
use crate::claude;
use crate::client::Proxies;
use crate::credential::{Occasion, Vault};
use crate::forward::{Backoff, Forwarder, fingerprint};
use crate::helper;
use crate::log::Log;
use crate::notice;
use crate::otlp::Signal;
use crate::random;
use crate::state;
use crate::store::batches::Recipient;
use crate::store::{Store, ledger, sessions, tally, totals};

/// Runs until the session is over and what it received is delivered or left in the store. The launcher hears as soon as
/// exports are accepted.
pub(super) fn run(listener: TcpListener, plan: Plan, launcher: Option<&UnixStream>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let result = runtime.block_on(serve(listener, plan, launcher));
    // Blocking look-ups of host names may still be under way; nobody waits for them.
    runtime.shutdown_background();
    // Whatever still runs for a fetch would be nobody's child.
    helper::end_all();
    result
}

async fn serve(listener: TcpListener, plan: Plan, launcher: Option<&UnixStream>) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener).context("cannot listen")?;
    let plan = Arc::new(plan);
    let log = Log::of(&plan.setting.places, &plan.session.id);
    log.clone().note_panics();
    log.note(&format!("a worker begins, for `{}` with profile `{}`", plan.session.program, plan.profile.name));
    let store =
        Store::start(&plan.setting.places.store(), damage(&plan, &log)).context("cannot start the store's thread")?;
    let (ending, ended) = watch::channel(false);
    let mut forwarding = JoinSet::new();
    let vault = Arc::new(Vault::new(plan.setting.clone(), plan.answers.clone()));
    let routes = forward(&plan, &vault, &store, &log, &ended, &mut forwarding)?;
    let connections = Connections::default();
    let receiver = Receiver::new(&plan, Rulebook::open(&plan, &store)?, store.clone(), routes, log.clone());
    let receiving = tokio::spawn(receive::serve(listener, Arc::new(receiver), connections.clone()));
    // Before the launcher hears of us: until then its pid cannot be anybody else's.
    let watch = plan.launched.watch();
    if let Some(mut launcher) = launcher {
        // One that no longer listens has gone on without an answer.
        drop(launcher.write_all(super::READY.as_bytes()));
    }
    let staying = launcher.filter(|_| plan.stays).and_then(|launcher| launcher.try_clone().ok());
    let news = staying.map(news::hear);

    let begun = store.clone();
    let session = plan.session.clone();
    // A store that cannot be written yet is told to whoever exports.
    tokio::spawn(async move { begun.commit(move |connection| sessions::insert(connection, &session)).await });
    forwarding.spawn(leftovers(Arc::clone(&plan), vault, store.clone(), ended));

    session::over(&plan, watch, news, &connections).await;
    log.note("the session is over");
    receiving.abort();
    ending.send_replace(true);
    let drained =
        timeout(plan.profile.collector.drain_timeout, async { while forwarding.join_next().await.is_some() {} });
    // What is not delivered by now stays in the store, for the next session.
    drop(drained.await);
    forwarding.abort_all();
    balance::say(&plan, &store, &log).await;
    finish(&plan, &store).await;
    Ok(())
}

/// What to do about a store that is none.
fn damage(plan: &Arc<Plan>, log: &Log) -> impl Fn(&Path) + Send + use<> {
    let (plan, log) = (Arc::clone(plan), log.clone());
    move |aside| {
        let text = format!("the store was no database any more; it was set aside as `{}`", aside.display());
        log.note(&text);
        notice::leave(&plan.setting.places, &text);
    }
}

/// Starts a forwarder for each destination.
fn forward(
    plan: &Plan,
    vault: &Vault,
    store: &Store,
    log: &Log,
    ended: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> Result<Vec<receive::Route>> {
    let key = if plan.profile.destinations.is_empty() { [0; 32] } else { state::key(&plan.setting.places.key())? };
    // The launcher's own: the collector's environment has none, for people write passwords into them.
    let proxies = Proxies::named_by(&plan.setting.variables);
    let mut routes = Vec::new();
    for destination in &plan.profile.destinations {
        let recipient = Recipient {
            session: plan.session.id.clone(),
            destination: destination.name.clone(),
            fingerprint: fingerprint(&key, destination, &plan.setting),
        };
        let wake = Arc::new(tokio::sync::Notify::new());
        let credentials = vault.credentials(&recipient.fingerprint, destination, &plan.seal, Occasion::Session);
        let forwarder = Forwarder::new(vec![recipient.clone()], destination, &proxies, credentials, store.clone())
            .totalling(&plan.setting.places, &plan.profile.name, destination, &recipient.fingerprint)
            .noting(log.clone());
        let forwarder =
            if destination.signals.contains(&Signal::Metrics) { forwarder.telling(resource(plan)) } else { forwarder };
        tasks.spawn(forwarder.run(ended.clone(), Arc::clone(&wake)));
        routes.push(receive::Route { to: recipient, signals: destination.signals.clone(), wake });
    }
    Ok(routes)
}

/// The attributes of our own resource.
fn resource(plan: &Plan) -> BTreeMap<String, String> {
    let stamp = rules::stamp(plan);
    stamp.absent.into_iter().chain(stamp.replace).collect()
}

/// Looks after what ended sessions left, while this one lives and once more when it is over.
async fn leftovers(plan: Arc<Plan>, vault: Arc<Vault>, store: Store, mut ended: watch::Receiver<bool>) {
    prune(&plan.setting.places, SystemTime::now());
    let mut backoff = Backoff::default();
    let mut over = *ended.borrow_and_update();
    // A store that fails now may do better later.
    let means = Means::new(&plan.setting, &vault, Occasion::Leftovers, &store);
    while deliver_leftovers(&means, over).await.unwrap_or(true) && !over {
        drop(timeout(backoff.after_failure(random::jitter()), ended.changed()).await);
        over = *ended.borrow_and_update();
    }
}

/// Marks the end, and takes our part out of the settings file, which a background job may read again.
async fn finish(plan: &Plan, store: &Store) {
    let session = plan.session.id.clone();
    let now = Timestamp::now().as_millisecond();
    let marked = store.commit(move |connection| {
        sessions::end(connection, &session, now)?;
        tally::release(connection, &session, now)?;
        totals::release(connection, &session)?;
        ledger::settle(connection, &session)
    });
    let marked = marked.await;
    claude::end_settings(&plan.setting.places.settings(&plan.session.id));
    // The file is locked by ourselves; removing it says that the session needs no more attention.
    if marked.is_ok() {
        drop(std::fs::remove_file(plan.setting.places.lock(&plan.session.id)));
    }
}
