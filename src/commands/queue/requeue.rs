//! `ccrun queue retry` and `ccrun queue purge`: requeue or delete batches that are no longer being delivered.

use std::io;
use std::process::ExitCode;

use anyhow::Result;

use super::{Entry, State, complain, entries, is_anything_kept, print, refuse_inside_claude, start, table};
use crate::cli::QueuePurge;
use crate::spool::Source;
use crate::store::{Store, StoreError, set_aside, waiting};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::prompt;
use crate::workspace::Workspace;
use crate::{collector, state, terminal};

/// Requeues permanently rejected batches.
pub(super) fn retry(workspace: &Workspace, process: &ProcessEnvironment) -> Result<ExitCode> {
    let now = process.started_at.as_millisecond();
    let exists = is_anything_kept(workspace);
    let revived = if exists { with_store(workspace, async |store| revive(&store, now).await)? } else { 0 };
    match revived {
        0 => print("nothing was rejected\n")?,
        1 => print("1 batch waits again: `ccrun queue flush` delivers what ended sessions left\n")?,
        count => {
            print(&format!("{count} batches wait again: `ccrun queue flush` delivers what ended sessions left\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Commits one batch at a time, so that no other writer waits for long. Batches rejected in the meantime stay where
/// they are. `now` is in Unix milliseconds.
async fn revive(store: &Store, now: i64) -> Result<u64, StoreError> {
    let newest = store.read(set_aside::newest).await?;
    let mut revived = 0;
    while store.commit(move |connection| set_aside::revive(connection, newest, now)).await?.is_some() {
        revived += 1;
    }
    Ok(revived)
}

/// Deletes the chosen batches after confirmation.
pub(super) fn purge(options: &QueuePurge, workspace: &Workspace, process: &ProcessEnvironment) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("queue purge", process) {
        return Ok(refusal);
    }
    let chosen: Vec<_> = entries(workspace)?.into_iter().filter(|entry| is_chosen(entry.state, options)).collect();
    if chosen.is_empty() {
        print("there is nothing to delete\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = |width| table(&chosen).text(width);
    if !options.yes && prompt::is_possible() {
        // Print the list where the question is printed, even if stdout is redirected.
        let shown = shown(terminal::width(&io::stderr()));
        if !prompt::ask(&format!("{shown}Delete all of it? [y/N] "))? {
            return Ok(ExitCode::FAILURE);
        }
    } else if !options.yes {
        print(&shown(terminal::width(&io::stdout())))?;
        complain("nothing was deleted: there is no terminal to confirm on; use `--yes`");
        return Ok(ExitCode::FAILURE);
    }
    let forgotten = with_store(workspace, async |store| {
        let forgotten = forget(workspace, &store, chosen, process.started_at.as_millisecond()).await?;
        collector::withdraw(&workspace.places, &store).await?;
        Ok(forgotten)
    })?;
    print(&if forgotten == 1 { "deleted 1 batch\n".to_owned() } else { format!("deleted {forgotten} batches\n") })?;
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

async fn forget(workspace: &Workspace, store: &Store, chosen: Vec<Entry>, now: i64) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    for Entry { state, recipient, .. } in chosen {
        let source = Source::live(&workspace.places.spool());
        forgotten += store
            .commit(move |connection| match state {
                State::Refused => set_aside::purge_dead(connection, &recipient),
                _ => waiting::purge(connection, &source, &recipient, now),
            })
            .await?;
    }
    Ok(forgotten)
}

fn with_store<T>(workspace: &Workspace, work: impl AsyncFnOnce(Store) -> Result<T, StoreError>) -> Result<T> {
    state::prepare(&workspace.places)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Ok(work(start(workspace)?).await?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_deletes_batches_that_would_still_be_delivered() {
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
