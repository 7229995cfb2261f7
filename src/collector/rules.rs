//! The rules of a session's profile for every request, and the hash key, which may take time to fetch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::plan::SessionPlan;
use crate::claude::hooks::Event;
use crate::otlp::{HashKey, OwnHooks, PartialSuccess, Pattern, Redact, Rules, Stamp, Switch, Withheld};
use crate::profile::{Content, Profile};
use crate::state::backoff::{Backoff, LONGEST};
use crate::store::{Store, sessions};
use crate::system::random;
use crate::workspace::repository;
use crate::{secret, state};

/// How long requests wait for the key of `redact.hash`. After that, attributes to hash are dropped instead, so that no
/// clear value gets through and no telemetry is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The rules, as soon as there are any.
#[derive(Clone)]
pub(crate) struct Rulebook {
    rules: watch::Receiver<Option<Arc<Rules>>>,
    accept: Arc<[String]>,
}

impl Rulebook {
    /// The rules of a plan. Starts fetching the key if needed.
    pub(super) fn open(plan: &Arc<SessionPlan>, store: &Store) -> Result<Self> {
        let redact = &plan.profile.redact;
        let (sender, receiver) = watch::channel(None);
        if redact.hash.is_empty() {
            sender.send_replace(Some(Arc::new(rules(plan, None))));
        } else if redact.key.is_empty() {
            let key = HashKey::of_installation(&state::key(&plan.workspace.places)?);
            sender.send_replace(Some(Arc::new(rules(plan, Some(key)))));
        } else {
            tokio::spawn(fetch(Arc::clone(plan), store.clone(), sender));
        }
        Ok(Self { rules: receiver, accept: accepted(&plan.profile).into() })
    }

    /// Fixed rules, for tests.
    #[cfg(test)]
    pub(super) fn of(rules: Rules) -> Self {
        let (sender, receiver) = watch::channel(Some(Arc::new(rules)));
        // The last value stays readable.
        drop(sender);
        Self { rules: receiver, accept: Arc::default() }
    }

    /// The current rules; waits for the first ones. `None` if there will never be any.
    pub(super) async fn rules(&self) -> Option<Arc<Rules>> {
        let mut rules = self.rules.clone();
        rules.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The answer about rejected records.
    pub(super) fn partial_success(&self, refused: u64) -> PartialSuccess {
        PartialSuccess {
            rejected: i64::try_from(refused).unwrap_or(i64::MAX),
            error_message: format!(
                "this ccrun session only accepts telemetry of `service.name` {}: see `[collector] accept`",
                self.accept.join(", ")
            ),
        }
    }
}

fn rules(plan: &SessionPlan, key: Option<HashKey>) -> Rules {
    let profile = &plan.profile;
    let patterns = |texts: &mut dyn Iterator<Item = &String>| texts.map(Pattern::new).collect::<Vec<_>>();
    let redact = Redact {
        drop: patterns(&mut profile.redact.drop.iter()),
        hash: patterns(&mut profile.redact.hash.iter()),
        key,
    };
    let withheld = Withheld::of(&off(&profile.content));
    Rules::new(patterns(&mut accepted(profile).iter()), stamp(plan), withheld, redact).without_hooks(own_hooks(plan))
}

/// The hooks that the session's settings have added.
fn own_hooks(plan: &SessionPlan) -> OwnHooks {
    let Some(hook) = &plan.hook else { return OwnHooks::default() };
    let names = |events: &[Event]| events.iter().map(|event| event.name()).collect();
    OwnHooks { events: names(&Event::ALL), kind: hook.caller.kind(), shared: names(&hook.shared) }
}

/// The services whose telemetry is accepted.
fn accepted(profile: &Profile) -> Vec<String> {
    profile.collector.accept.clone().unwrap_or_else(|| vec!["*".to_owned()])
}

/// The attributes that every resource gets.
pub(super) fn stamp(plan: &SessionPlan) -> Stamp {
    let own = [
        ("ccrun.profile", plan.profile.name.as_str()),
        ("ccrun.session", plan.session.id.as_str()),
        ("ccrun.version", env!("CARGO_PKG_VERSION")),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut absent = BTreeMap::from([("service.instance.id".to_owned(), plan.session.id.clone())]);
    if plan.profile.cardinality.repository {
        // Names from OpenTelemetry's semantic conventions, *VCS*. Claude Code's own are attributes of its data points.
        let name = repository::repository_name(Path::new(&plan.session.project));
        absent.extend(name.map(|name| ("vcs.repository.name".to_owned(), name)));
        absent.extend(plan.session.branch.clone().map(|branch| ("vcs.ref.head.name".to_owned(), branch)));
    }
    Stamp { replace: plan.profile.resource.clone().into_iter().chain(own).collect(), absent }
}

/// The switches that are off.
fn off(content: &Content) -> Vec<Switch> {
    let is_on = |switch: &Switch| match switch {
        Switch::UserPrompts => content.user_prompts,
        Switch::AssistantResponses => content.assistant_responses,
        Switch::ToolDetails => content.tool_details,
        Switch::ToolContent => content.tool_content,
        Switch::RawApiBodies => content.raw_api_bodies,
    };
    Switch::ALL.into_iter().filter(|switch| !is_on(switch)).collect()
}

/// Fetches the key until it is available. After a failure, or after too long, the rules do without it.
async fn fetch(plan: Arc<SessionPlan>, store: Store, rulebook: watch::Sender<Option<Arc<Rules>>>) {
    let mut backoff = Backoff::default();
    loop {
        let asked = Arc::clone(&plan);
        // A helper may be slow, and a keyring may prompt.
        let mut asking = spawn_blocking(move || {
            let fetched = secret::fetch(&asked.profile.redact.key, asked.workspace.context());
            let fetched = fetched.map_err(|error| error.to_string())?;
            if fetched.value.expose().is_empty() { Err("it is empty".to_owned()) } else { Ok(fetched.value) }
        });
        let answer = if let Ok(answer) = timeout(PATIENCE, &mut asking).await {
            answer
        } else {
            do_without(&plan, &store, &rulebook, "fetching it takes long").await;
            asking.await
        };
        match answer.unwrap_or_else(|_| Err("fetching it failed".to_owned())) {
            Ok(secret) => {
                let rules = rules(&plan, Some(HashKey::of_secret(secret.expose())));
                rulebook.send_replace(Some(Arc::new(rules)));
                return;
            }
            Err(reason) => do_without(&plan, &store, &rulebook, &reason).await,
        }
        sleep(backoff.pause(LONGEST, random::jitter())).await;
    }
}

/// Drops the attributes to hash instead, and records that in the session's row.
async fn do_without(plan: &SessionPlan, store: &Store, rulebook: &watch::Sender<Option<Arc<Rules>>>, reason: &str) {
    if rulebook.borrow().is_some() {
        return;
    }
    rulebook.send_replace(Some(Arc::new(rules(plan, None))));
    let message = format!("the attributes in `redact.hash` are dropped, because `redact.key` is unavailable: {reason}");
    let session = plan.session.clone();
    let noted = store.commit(move |connection| {
        sessions::insert(connection, &session)?;
        sessions::note(connection, &session.id, &message)
    });
    // If the store cannot be written, exporters are told so anyway.
    drop(noted.await);
}
