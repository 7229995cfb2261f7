//! Fetches what must be known before the program starts: secrets among its variables, and values that only its user can
//! enter. Everything else is left to the collector, so that nothing slow delays the program.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::credential::Answers;
use crate::profile::Profile;
use crate::secret;
use crate::secret::command::FetchContext;
use crate::secret::{Source, command};
use crate::workspace::Workspace;

/// How long fetching may delay the program. Prompts on the terminal may take longer.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long killing and reaping a command may take.
const GRACE: Duration = Duration::from_millis(200);

/// Asks the user on the terminal for the values of variables and headers that need it. Also returns messages about
/// those that could not be asked for.
pub fn ask(profile: &Profile, workspace: &Workspace, now: Timestamp) -> (Answers, Vec<String>) {
    let (mut answers, mut faults) = ask_for_variables(profile, workspace, now);
    let context = workspace.context();
    for destination in &profile.destinations {
        let is_given = |before: &[Source]| is_given(before, workspace, now);
        let asked = answers.ask(destination.headers.values(), context, now.as_millisecond(), is_given);
        let asked = asked.into_iter().chain(answers.ask_helper(destination, context, now.as_millisecond()));
        faults.extend(asked.map(|reason| {
            format!("telemetry for destination `{}` waits for the next launch: {reason}", destination.name)
        }));
    }
    (answers, faults)
}

/// The same for variables only.
pub fn ask_for_variables(profile: &Profile, workspace: &Workspace, now: Timestamp) -> (Answers, Vec<String>) {
    let mut answers = Answers::default();
    let is_given = |before: &[Source]| is_given(before, workspace, now);
    let faults = answers.ask(profile.env.values(), workspace.context(), now.as_millisecond(), is_given);
    (answers, faults)
}

/// Whether a source that precedes an interactive one has the value.
fn is_given(sources: &[Source], workspace: &Workspace, now: Timestamp) -> bool {
    let sources = [("value".to_owned(), sources.to_vec())].into();
    fetch(&sources, workspace, &Answers::default(), now).into_values().all(|fetched| fetched.is_ok())
}

/// Fetches the values of variables concurrently, within the deadline. Slower ones have no value.
pub fn fetch(
    variables: &BTreeMap<String, Vec<Source>>,
    workspace: &Workspace,
    answers: &Answers,
    now: Timestamp,
) -> BTreeMap<String, Result<String, String>> {
    let deadline = Instant::now() + DEADLINE;
    let (sender, receiver) = mpsc::channel();
    let mut fetched = BTreeMap::new();
    for (name, sources) in variables {
        let sources: Vec<_> =
            answers.put(sources, now.as_millisecond()).sources.iter().map(|source| source.hurried(DEADLINE)).collect();
        if sources.iter().all(|source| matches!(source, Source::Literal(_) | Source::Env(..))) {
            fetched.insert(name.clone(), value(&sources, workspace.context()));
            continue;
        }
        let (name, workspace, sender) = (name.clone(), workspace.clone(), sender.clone());
        // A keyring may hang forever. The thread ends when the process becomes the program.
        let fetch = move || {
            let context = FetchContext { patience: DEADLINE, ..workspace.context() };
            drop(sender.send((name, value(&sources, context))));
        };
        drop(std::thread::Builder::new().spawn(fetch));
    }
    drop(sender);
    let mut collect = |until: Instant| {
        while let Ok((name, value)) = receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            fetched.insert(name, value);
        }
        fetched.len() == variables.len()
    };
    // Each command has the deadline to itself. If a value has several, the later ones have less time.
    if !collect(deadline + GRACE) {
        // The program must not inherit child processes.
        command::end_all();
        collect(deadline + GRACE * 2);
    }
    for name in variables.keys() {
        let late = || Err(format!("it took longer than {} s", DEADLINE.as_secs()));
        fetched.entry(name.clone()).or_insert_with(late);
    }
    fetched
}

fn value(sources: &[Source], context: FetchContext<'_>) -> Result<String, String> {
    let fetched = secret::fetch(sources, context).map_err(|error| error.to_string())?;
    Ok(fetched.value.expose().to_owned())
}
