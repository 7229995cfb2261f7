//! `ccrun queue flush`: delivers what ended sessions left; sessions that run deliver their own.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::{Entry, State, complain, entries, print, profile, refuse_inside_claude, run, start, table};
use crate::cli::QueueFlush;
use crate::collector::{self, Means, Owner, deliver_leftovers, deliver_orphaned};
use crate::credential::{Answers, Occasion, Vault};
use crate::forward::not_before;
use crate::printable::printable;
use crate::profile::{Destination, Profile};
use crate::setting::Setting;
use crate::state::{self, SessionLock};
use crate::store::{Store, StoreError, backoff, batches};
use crate::surroundings::Surroundings;

/// How long to go on where no profile says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to look whether anything is left to do.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// After how long progress is shown.
const QUIET: Duration = Duration::from_secs(1);

pub(super) fn flush(options: QueueFlush, setting: &Setting, surroundings: &Surroundings) -> Result<ExitCode> {
    let QueueFlush { wait, to, launch } = options;
    if to.is_some()
        && let Some(refusal) = refuse_inside_claude("queue flush --to", surroundings)
    {
        return Ok(refusal);
    }
    let selection = run::selection(launch, surroundings);
    let resolved = match setting.resolve_sealed(&selection) {
        Ok((resolved, _, seal)) => Some((resolved.profile, seal)),
        // What was left belongs to other profiles.
        Err(_) if to.is_none() => None,
        Err(faults) => return Ok(profile::invalid(&faults, surroundings)),
    };
    let usual = || resolved.as_ref().map_or(PATIENCE, |(profile, _)| profile.collector.drain_timeout);
    let patience = wait.unwrap_or_else(usual);
    let target = match (&to, &resolved) {
        (Some(name), Some((profile, seal))) => match destination(profile, name) {
            Some(destination) => Some((profile.name.clone(), (destination.clone(), seal.clone()))),
            None => return Ok(no_such_destination(profile, name)),
        },
        _ => None,
    };
    if !setting.places.store().exists() {
        print("nothing waits\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    state::prepare(&setting.places)?;
    deliver(setting, target.as_ref(), patience, wait.is_some())?;
    say_what_is_left(entries(setting)?, wait.is_some())
}

fn destination<'a>(profile: &'a Profile, name: &str) -> Option<&'a Destination> {
    profile.destinations.iter().find(|destination| destination.name == name)
}

fn no_such_destination(profile: &Profile, name: &str) -> ExitCode {
    let known: Vec<_> = profile.destinations.iter().map(|destination| format!("`{}`", destination.name)).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    let profile = printable(&profile.name);
    complain(&format!("the profile `{profile}` has no destination `{}`: {known}", printable(name)));
    ExitCode::FAILURE
}

/// Delivers, what is orphaned to a `target` of the profile of that name, too, if there is one.
fn deliver(setting: &Setting, target: Option<&(String, Owner)>, patience: Duration, is_waiting: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let store = start(setting)?;
        let vault = Vault::new(setting.clone(), Answers::default());
        let means = Means::new(setting, &vault, Occasion::Flush, &store);
        let deadline = Instant::now() + patience;
        let work = async {
            if let Some((profile, target)) = target {
                deliver_orphaned(&means, profile, target).await?;
            }
            deliver_all(&means, setting, &store, deadline, is_waiting).await
        };
        let delivered = tokio::select! {
            delivered = timeout(patience, work) => delivered,
            () = show_progress(&store) => Ok(Ok(())),
        };
        clear_progress();
        // What was cut short may have delivered all that some notice speaks of. One that stays is said once too often.
        drop(collector::withdraw(&setting.places, &store).await);
        // What is left when the time is over is said afterwards.
        delivered.unwrap_or(Ok(())).map_err(anyhow::Error::from)
    });
    runtime.shutdown_background();
    result
}

/// Delivers until nothing is left that anybody delivers, or nothing more may be tried before the deadline. With
/// `is_waiting` what running sessions have is waited for, too.
async fn deliver_all(
    means: &Means<'_>,
    setting: &Setting,
    store: &Store,
    deadline: Instant,
    is_waiting: bool,
) -> Result<(), StoreError> {
    let mut is_first = true;
    loop {
        let is_left = deliver_leftovers(means, is_first).await?;
        is_first = false;
        let others = is_waiting && any_running(setting, store).await?;
        if !is_left && !others {
            return Ok(());
        }
        let next = if others { Duration::ZERO } else { next_try(store).await? };
        if Instant::now() + next > deadline {
            return Ok(());
        }
        sleep(next.max(BETWEEN_LOOKS)).await;
    }
}

/// Whether anything waits for a running session to deliver it.
async fn any_running(setting: &Setting, store: &Store) -> Result<bool, StoreError> {
    let waiting = store.read(batches::waiting).await?;
    Ok(waiting.iter().any(|waiting| SessionLock::is_held(&setting.places.lock(&waiting.recipient.session))))
}

/// How long until any of the destinations that something waits for may be tried again.
async fn next_try(store: &Store) -> Result<Duration, StoreError> {
    let (waiting, troubles) =
        store.read(|connection| Ok((batches::waiting(connection)?, backoff::all(connection)?))).await?;
    let now = Timestamp::now().as_millisecond();
    let moments = waiting.iter().filter_map(|waiting| troubles.get(&waiting.recipient.fingerprint));
    let moments = moments.map(|trouble| not_before(*trouble, now).unwrap_or(now));
    Ok(Duration::from_millis(moments.min().map_or(0, |moment| moment.abs_diff(now))))
}

/// Shows on a terminal how many batches wait, once that takes a while. Never ends.
async fn show_progress(store: &Store) {
    let mut pause = QUIET;
    loop {
        sleep(pause).await;
        pause = BETWEEN_LOOKS;
        if io::stderr().is_terminal()
            && let Ok(count) = store.read(batches::count).await
        {
            drop(write!(io::stderr().lock(), "\r{} left\u{1b}[K", batches_of(count)));
        }
    }
}

fn clear_progress() {
    if io::stderr().is_terminal() {
        drop(write!(io::stderr().lock(), "\r\u{1b}[K"));
    }
}

fn batches_of(count: u64) -> String {
    if count == 1 { "1 batch".to_owned() } else { format!("{count} batches") }
}

/// Says what is left, and gives the exit code that stands for it.
fn say_what_is_left(entries: Vec<Entry>, is_waiting: bool) -> Result<ExitCode> {
    let waiting = entries.into_iter().filter(|entry| entry.state != State::Refused);
    let (running, left): (Vec<_>, Vec<_>) = waiting.partition(|entry| entry.state == State::Running && !is_waiting);
    if !left.is_empty() {
        complain("not everything could be delivered");
        print(&format!("{}\n", table(&left)))?;
        return Ok(ExitCode::FAILURE);
    }
    match running.iter().map(|entry| entry.batches).sum() {
        0 => print("everything is delivered\n")?,
        1 => print("1 batch is left to sessions that run\n")?,
        batches => print(&format!("{batches} batches are left to sessions that run\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}
