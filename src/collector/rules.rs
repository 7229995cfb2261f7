//! What a session's profile wants done to every request, and the key for it that may take time to fetch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::plan::Plan;
use crate::credential;
use crate::forward::Backoff;
use crate::otlp::{HashKey, PartialSuccess, Pattern, Redact, Rules, Stamp, Switch, Withheld};
use crate::profile::{Content, Profile};
use crate::store::{Store, sessions};
use crate::{git, random, state};

/// How long requests wait for the key of `redact.hash`. After that what was to be hashed is taken out instead, so that
/// no clear value gets by and no telemetry is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The rules, as soon as there are any.
#[derive(Clone)]
pub(crate) struct Rulebook {
    rules: watch::Receiver<Option<Arc<Rules>>>,
    accept: Arc<[String]>,
}

impl Rulebook {
    /// Those of a plan. A key that has to be fetched is, meanwhile.
    pub(super) fn open(plan: &Arc<Plan>, store: &Store) -> Result<Self> {
        let redact = &plan.profile.redact;
        let (sender, receiver) = watch::channel(None);
        if redact.hash.is_empty() {
            sender.send_replace(Some(Arc::new(rules(plan, None))));
        } else if redact.key.is_empty() {
            let key = HashKey::of_installation(&state::key(&plan.setting.places.key())?);
            sender.send_replace(Some(Arc::new(rules(plan, Some(key)))));
        } else {
            tokio::spawn(fetch(Arc::clone(plan), store.clone(), sender));
        }
        Ok(Self { rules: receiver, accept: accepted(&plan.profile).into() })
    }

    /// These and no others.
    #[cfg(test)]
    pub(super) fn of(rules: Rules) -> Self {
        let (sender, receiver) = watch::channel(Some(Arc::new(rules)));
        // The last value stays readable.
        drop(sender);
        Self { rules: receiver, accept: Arc::default() }
    }

    /// The rules of the moment; waits for the first ones. None if there will never be any.
    pub(super) async fn rules(&self) -> Option<Arc<Rules>> {
        let mut rules = self.rules.clone();
        rules.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// What a sender is told of records that were refused.
    pub(super) fn partial_success(&self, refused: u64) -> PartialSuccess {
        PartialSuccess {
            rejected: i64::try_from(refused).unwrap_or(i64::MAX),
            error_message: format!(
                "ccrun takes telemetry of `service.name` {} alone in this session: `[collector] accept`",
                self.accept.join(", ")
            ),
        }
    }
}

fn rules(plan: &Plan, key: Option<HashKey>) -> Rules {
    let profile = &plan.profile;
    let patterns = |texts: &mut dyn Iterator<Item = &String>| texts.map(Pattern::new).collect::<Vec<_>>();
    let redact = Redact {
        drop: patterns(&mut profile.redact.drop.iter()),
        hash: patterns(&mut profile.redact.hash.iter()),
        key,
    };
    Rules::new(patterns(&mut accepted(profile).iter()), stamp(plan), Withheld::of(&off(&profile.content)), redact)
}

/// Whose telemetry is taken.
fn accepted(profile: &Profile) -> Vec<String> {
    profile.collector.accept.clone().unwrap_or_else(|| vec!["*".to_owned()])
}

/// The attributes that every resource gets.
pub(super) fn stamp(plan: &Plan) -> Stamp {
    let own = [
        ("ccrun.profile", plan.profile.name.as_str()),
        ("ccrun.session", plan.session.id.as_str()),
        ("ccrun.version", env!("CARGO_PKG_VERSION")),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut absent = BTreeMap::from([("service.instance.id".to_owned(), plan.session.id.clone())]);
    if plan.profile.cardinality.repository {
        // Names of OpenTelemetry's semantic conventions, *VCS*; Claude Code's own are among its data points' attributes.
        let name = git::repository_name(Path::new(&plan.session.project));
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

/// Fetches the key until it is there. Without it after a failure, or for too long, the rules do without.
async fn fetch(plan: Arc<Plan>, store: Store, rulebook: watch::Sender<Option<Arc<Rules>>>) {
    let mut backoff = Backoff::default();
    loop {
        let asked = Arc::clone(&plan);
        // A helper takes as long as it takes, and a keyring may ask its user.
        let mut asking = spawn_blocking(move || {
            let fetched = credential::fetch(&asked.profile.redact.key, asked.setting.ground())?;
            if fetched.value.0.is_empty() { Err("it is empty".to_owned()) } else { Ok(fetched.value) }
        });
        let answer = if let Ok(answer) = timeout(PATIENCE, &mut asking).await {
            answer
        } else {
            do_without(&plan, &store, &rulebook, "it takes long").await;
            asking.await
        };
        match answer.unwrap_or_else(|_| Err("asking for it failed".to_owned())) {
            Ok(secret) => {
                let rules = rules(&plan, Some(HashKey::of_secret(&secret.0)));
                rulebook.send_replace(Some(Arc::new(rules)));
                return;
            }
            Err(reason) => do_without(&plan, &store, &rulebook, &reason).await,
        }
        sleep(backoff.after_failure(random::jitter())).await;
    }
}

/// Takes out what was to be hashed, and says so in the session's row.
async fn do_without(plan: &Plan, store: &Store, rulebook: &watch::Sender<Option<Arc<Rules>>>, reason: &str) {
    if rulebook.borrow().is_some() {
        return;
    }
    rulebook.send_replace(Some(Arc::new(rules(plan, None))));
    let message = format!("what `redact.hash` names is dropped, for `redact.key` is not to be had: {reason}");
    let session = plan.session.clone();
    let noted = store.commit(move |connection| {
        sessions::insert(connection, &session)?;
        sessions::note(connection, &session.id, &message)
    });
    // A store that cannot be written is told to whoever exports.
    drop(noted.await);
}
