//! What has to be known before the program starts: the secrets among its variables, and what only its user can give.
//! All else is left to the collector, so that nothing slow delays the program.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::credential::{self, Answers, Source};
use crate::helper::{self, Ground};
use crate::profile::Profile;
use crate::setting::Setting;

/// How long fetching may delay the program. Whoever is asked on the terminal may take longer.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long killing a command and reaping it may take.
const GRACE: Duration = Duration::from_millis(200);

/// Asks on the terminal what only the user can give, for variables and for headers, and says what could not be asked.
pub fn ask(profile: &Profile, setting: &Setting) -> (Answers, Vec<String>) {
    let (mut answers, mut faults) = ask_for_variables(profile, setting);
    let (ground, now) = (setting.ground(), Timestamp::now().as_millisecond());
    for destination in &profile.destinations {
        let asked = answers.ask(destination.headers.values(), ground, now, |before| is_given(before, setting));
        let asked = asked.into_iter().chain(answers.ask_helper(destination, ground, now));
        faults.extend(asked.map(|reason| {
            format!("what is for destination `{}` waits for the next launch: {reason}", destination.name)
        }));
    }
    (answers, faults)
}

/// The same for variables alone.
pub fn ask_for_variables(profile: &Profile, setting: &Setting) -> (Answers, Vec<String>) {
    let mut answers = Answers::default();
    let now = Timestamp::now().as_millisecond();
    let faults = answers.ask(profile.env.values(), setting.ground(), now, |before| is_given(before, setting));
    (answers, faults)
}

/// Whether sources that come before one which talks to the user have the value.
fn is_given(sources: &[Source], setting: &Setting) -> bool {
    let sources = [("value".to_owned(), sources.to_vec())].into();
    fetch(&sources, setting, &Answers::default()).into_values().all(|fetched| fetched.is_ok())
}

/// Fetches variables' values side by side, within the deadline. What takes longer has no value.
pub fn fetch(
    variables: &BTreeMap<String, Vec<Source>>,
    setting: &Setting,
    answers: &Answers,
) -> BTreeMap<String, Result<String, String>> {
    let deadline = Instant::now() + DEADLINE;
    let now = Timestamp::now().as_millisecond();
    let (sender, receiver) = mpsc::channel();
    let mut fetched = BTreeMap::new();
    for (name, sources) in variables {
        let sources: Vec<_> = answers.put(sources, now).sources.iter().map(|source| source.hurried(DEADLINE)).collect();
        if sources.iter().all(|source| matches!(source, Source::Literal(_) | Source::Env(..))) {
            fetched.insert(name.clone(), value(&sources, setting.ground()));
            continue;
        }
        let (name, setting, sender) = (name.clone(), setting.clone(), sender.clone());
        // A keyring may hang for ever; the thread ends when the process becomes the program.
        let fetch = move || {
            let ground = Ground { patience: DEADLINE, ..setting.ground() };
            drop(sender.send((name, value(&sources, ground))));
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
    // A command has the deadline for itself; of several that one value may come from the later ones have less.
    if !collect(deadline + GRACE) {
        // The program must find no child that it did not start.
        helper::end_all();
        collect(deadline + GRACE * 2);
    }
    for name in variables.keys() {
        let late = || Err(format!("it took longer than {} s", DEADLINE.as_secs()));
        fetched.entry(name.clone()).or_insert_with(late);
    }
    fetched
}

fn value(sources: &[Source], ground: Ground<'_>) -> Result<String, String> {
    credential::fetch(sources, ground).map(|fetched| fetched.value.0)
}
