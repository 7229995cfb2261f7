//! `ccrun queue flush`: delivers what ended sessions left. Running sessions deliver their own.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Entry, State, complain, entries, is_anything_kept, print, profile, refuse_inside_claude, repair, start,
    start_ledger, table,
};
use crate::cli::QueueFlush;
use crate::collector::{self, LeftoversContext, TrustedDestination, deliver_leftovers, deliver_orphaned};
use crate::commands::selection::selection;
use crate::credential::{Answers, Occasion, Vault};
use crate::forward::not_before;
use crate::profile::{Destination, Profile};
use crate::spool::Source;
use crate::state::clock::{self, Ages};
use crate::state::{self, SessionLock};
use crate::store::backlog::Waiting;
use crate::store::waiting::{self};
use crate::store::{Store, StoreError, backoff};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::printable::printable;
use crate::workspace::{Config, Workspace};

/// How long to try if no profile says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to check whether anything is left.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// How long to work before showing progress.
const QUIET: Duration = Duration::from_secs(1);

pub(super) fn flush(
    options: QueueFlush,
    workspace: &Workspace,
    config: &Config,
    process: &ProcessEnvironment,
) -> Result<ExitCode> {
    let QueueFlush { wait, to, which } = options;
    if to.is_some()
        && let Some(refusal) = refuse_inside_claude("queue flush --to", process)
    {
        return Ok(refusal);
    }
    let selection = selection(which.into(), process);
    let resolved = match workspace.resolve_with_digest(&selection, config) {
        Ok((resolved, _, trusted_digest)) => Some((resolved.profile, trusted_digest)),
        // The batches belong to other profiles, so an invalid one here does not matter.
        Err(_) if to.is_none() => None,
        Err(faults) => return Ok(profile::invalid(&faults, process)),
    };
    let usual = || resolved.as_ref().map_or(PATIENCE, |(profile, _)| profile.collector.drain_timeout);
    let patience = wait.unwrap_or_else(usual);
    let target = match (&to, &resolved) {
        (Some(name), Some((profile, trusted_digest))) => match destination(profile, name) {
            Some(destination) => Some((profile.name.clone(), (destination.clone(), trusted_digest.clone()))),
            None => return Ok(no_such_destination(profile, name)),
        },
        _ => None,
    };
    if !is_anything_kept(workspace) {
        print("nothing waits\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    state::prepare(&workspace.places)?;
    // Damage that nothing has met yet: this is what `doctor` advises.
    repair()?;
    deliver(workspace, target.as_ref(), patience, wait.is_some())?;
    say_what_is_left(entries(workspace)?, wait.is_some())
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

/// Delivers everything, and orphaned batches to `target` of the named profile if there is one.
fn deliver(
    workspace: &Workspace,
    target: Option<&(String, TrustedDestination)>,
    patience: Duration,
    is_waiting: bool,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let store = start(workspace)?;
        let vault = Vault::new(workspace.clone(), Answers::default());
        let ledger = start_ledger(workspace)?;
        let context = LeftoversContext::new(workspace, &vault, Occasion::Flush, &store, &ledger);
        let ages = Ages::default();
        #[expect(clippy::disallowed_methods, reason = "the moment at which it begins to look")]
        ages.begin(clock::judged(&workspace.places, SystemTime::now()));
        let context = context.aging(&ages);
        let deadline = Instant::now() + patience;
        let work = async {
            if let Some((profile, target)) = target {
                deliver_orphaned(&context, profile, target).await?;
            }
            deliver_all(&context, workspace, &store, deadline, is_waiting).await
        };
        let delivered = tokio::select! {
            delivered = timeout(patience, work) => delivered,
            () = show_progress(workspace, &store) => Ok(Ok(())),
        };
        clear_progress();
        // A delivery that was cut short may have delivered everything that a notice mentions. A notice that stays is
        // printed once too often, which is harmless.
        drop(collector::withdraw(&workspace.places, &store).await);
        // The caller reports what is left when the time is over.
        delivered.unwrap_or(Ok(())).map_err(anyhow::Error::from)
    });
    runtime.shutdown_background();
    result
}

/// Delivers until nothing deliverable is left, or until nothing can be tried again before the deadline. With
/// `is_waiting`, also waits for running sessions to deliver theirs.
async fn deliver_all(
    context: &LeftoversContext<'_>,
    workspace: &Workspace,
    store: &Store,
    deadline: Instant,
    is_waiting: bool,
) -> Result<(), StoreError> {
    let mut is_first = true;
    loop {
        let is_left = deliver_leftovers(context, is_first).await?;
        is_first = false;
        let others = is_waiting && any_running(workspace, store).await?;
        if !is_left && !others {
            return Ok(());
        }
        let next = if others { Duration::ZERO } else { next_try(workspace, store).await? };
        if Instant::now() + next > deadline {
            return Ok(());
        }
        sleep(next.max(BETWEEN_LOOKS)).await;
    }
}

/// Everything that waits, for any destination.
async fn waiting(workspace: &Workspace, store: &Store) -> Result<Vec<Waiting>, StoreError> {
    let source = Source::live(&workspace.places.spool());
    store.read(move |connection| waiting::waiting(connection, &source)).await
}

/// Whether a running session has anything left to deliver.
async fn any_running(workspace: &Workspace, store: &Store) -> Result<bool, StoreError> {
    Ok(waiting(workspace, store)
        .await?
        .iter()
        .any(|waiting| SessionLock::is_held(&workspace.places.lock(&waiting.recipient.session))))
}

/// Time until the next destination with waiting batches may be tried again.
async fn next_try(workspace: &Workspace, store: &Store) -> Result<Duration, StoreError> {
    let (waiting, backoffs) = (waiting(workspace, store).await?, store.read(backoff::all).await?);
    #[expect(clippy::disallowed_methods, reason = "read repeatedly while it waits")]
    let now = Timestamp::now().as_millisecond();
    let moments = waiting.iter().filter_map(|waiting| backoff::of(&backoffs, &waiting.recipient.fingerprint));
    let moments = moments.map(|backoff| not_before(backoff, now).unwrap_or(now));
    Ok(Duration::from_millis(moments.min().map_or(0, |moment| moment.abs_diff(now))))
}

/// On a terminal, shows how many batches wait once the flush takes a while. Never ends.
async fn show_progress(workspace: &Workspace, store: &Store) {
    let mut pause = QUIET;
    loop {
        sleep(pause).await;
        pause = BETWEEN_LOOKS;
        if io::stderr().is_terminal()
            && let Ok(count) = waiting(workspace, store).await.map(|left| left.iter().map(|left| left.batches).sum())
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

/// Prints what is left and returns the exit code.
fn say_what_is_left(entries: Vec<Entry>, is_waiting: bool) -> Result<ExitCode> {
    let waiting = entries.into_iter().filter(|entry| entry.state != State::Refused);
    let (running, left): (Vec<_>, Vec<_>) = waiting.partition(|entry| entry.state == State::Running && !is_waiting);
    if !left.is_empty() {
        complain("not everything could be delivered");
        print(&table(&left).text(terminal::width(&io::stdout())))?;
        return Ok(ExitCode::FAILURE);
    }
    match running.iter().map(|entry| entry.batches).sum() {
        0 => print("everything is delivered\n")?,
        1 => print("1 batch is left to running sessions\n")?,
        batches => print(&format!("{batches} batches are left to running sessions\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}
