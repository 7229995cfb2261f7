//! `ccrun queue retry` and `ccrun queue purge`: what becomes of what nobody delivers any more.

use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;

use super::{Entry, State, ask, complain, entries, print, refuse_inside_claude, start, table};
use crate::cli::QueuePurge;
use crate::collector;
use crate::setting::Setting;
use crate::state;
use crate::store::{Store, StoreError, batches, dead};
use crate::surroundings::Surroundings;

/// Puts what was refused for good back into the queue.
pub(super) fn retry(setting: &Setting) -> Result<ExitCode> {
    let revived =
        if setting.places.store().exists() { with_store(setting, async |store| revive(&store).await)? } else { 0 };
    match revived {
        0 => print("nothing was refused\n")?,
        1 => print("1 batch waits again: `ccrun queue flush` delivers what ended sessions left\n")?,
        count => {
            print(&format!("{count} batches wait again: `ccrun queue flush` delivers what ended sessions left\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One commit for each, so that no other writer waits for long. What is refused anew meanwhile stays where it is.
async fn revive(store: &Store) -> Result<u64, StoreError> {
    let newest = store.read(dead::newest).await?;
    let mut revived = 0;
    while store.commit(move |connection| dead::revive(connection, newest, now())).await?.is_some() {
        revived += 1;
    }
    Ok(revived)
}

/// Forgets what was chosen, once somebody has said yes.
pub(super) fn purge(options: &QueuePurge, setting: &Setting, surroundings: &Surroundings) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("queue purge", surroundings) {
        return Ok(refusal);
    }
    let chosen: Vec<_> = entries(setting)?.into_iter().filter(|entry| is_chosen(entry.state, options)).collect();
    if chosen.is_empty() {
        print("there is nothing to forget\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = table(&chosen);
    if !options.yes && ask::is_possible() {
        // What is asked about stands where the question does, wherever stdout goes.
        if !ask::ask(&format!("{shown}\nForget all of it? [y/N] "))? {
            return Ok(ExitCode::FAILURE);
        }
    } else if !options.yes {
        print(&format!("{shown}\n"))?;
        complain("nothing was forgotten: there is no terminal to ask on; use `--yes`");
        return Ok(ExitCode::FAILURE);
    }
    let forgotten = with_store(setting, async |store| {
        let forgotten = forget(&store, chosen).await?;
        collector::withdraw(&setting.places, &store).await?;
        Ok(forgotten)
    })?;
    print(&if forgotten == 1 { "forgot 1 batch\n".to_owned() } else { format!("forgot {forgotten} batches\n") })?;
    Ok(ExitCode::SUCCESS)
}

fn is_chosen(state: State, options: &QueuePurge) -> bool {
    let QueuePurge { dead, orphaned, all, .. } = *options;
    let both = !dead && !orphaned;
    match state {
        State::Refused => all || dead || both,
        State::Orphaned => all || orphaned || both,
        State::Running | State::Ended => all,
    }
}

async fn forget(store: &Store, chosen: Vec<Entry>) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    for Entry { state, recipient, .. } in chosen {
        forgotten += store
            .commit(move |connection| match state {
                State::Refused => dead::purge(connection, &recipient),
                _ => batches::purge(connection, &recipient, now()),
            })
            .await?;
    }
    Ok(forgotten)
}

fn with_store<T>(setting: &Setting, work: impl AsyncFnOnce(Store) -> Result<T, StoreError>) -> Result<T> {
    state::prepare(&setting.places)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Ok(work(start(setting)?).await?) })
}

/// In Unix milliseconds.
fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_still_be_delivered_is_forgotten_by_all_alone() {
        let options = |dead, orphaned, all| QueuePurge { dead, orphaned, all, yes: false };
        let chosen = |options| {
            [State::Running, State::Ended, State::Orphaned, State::Refused].map(|state| is_chosen(state, &options))
        };
        assert_eq!(chosen(options(false, false, false)), [false, false, true, true]);
        assert_eq!(chosen(options(true, false, false)), [false, false, false, true]);
        assert_eq!(chosen(options(false, true, false)), [false, false, true, false]);
        assert_eq!(chosen(options(true, true, false)), [false, false, true, true]);
        assert_eq!(chosen(options(false, false, true)), [true; 4]);
    }
}
