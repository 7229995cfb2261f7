//! When a session is over. Late rather than early: late costs a few megabytes, early loses data.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::carriers;
use super::connections::Connections;
use super::news::News;
use super::plan::Plan;
use crate::process::{Process, Watch};

/// The pause between the two looks that must both find nothing: a window that reloads is away for about 1.2 s.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// How long a session without its launched process may go without an export.
const SILENCE: Duration = Duration::from_hours(7 * 24);

/// How long after the last connection a session lasts where no process's environment can be read.
const BLIND: Duration = Duration::from_hours(1);

/// How long what the program handed over in its last moments may take to arrive.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// How long nobody may be connected for that to have arrived.
const QUIET: Duration = Duration::from_millis(50);

/// Waits until the session is over: until its launcher, having stayed, says so, or until nothing says any longer that
/// it lives.
pub(super) async fn over(plan: &Plan, launched: Watch, news: Option<watch::Receiver<News>>, connections: &Connections) {
    let Some(news) = news else { return nobody_sends(plan, launched.ended(), connections).await };
    tokio::select! {
        () = heard(news.clone(), |news| news.over) => drop(timeout(LAST_MOMENTS, quiet(connections)).await),
        () = nobody_sends(plan, program_ended(launched, news), connections) => {}
    }
}

/// Waits until the launcher has said so; for ever if it does not.
async fn heard(mut news: watch::Receiver<News>, so: impl FnMut(&News) -> bool) {
    if news.wait_for(so).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for the end of the program of a launcher that stays, or has been killed.
async fn program_ended(launcher: Watch, news: watch::Receiver<News>) {
    heard(news.clone(), |news| news.program.is_some() || news.gone).await;
    let program = news.borrow().program;
    program.map_or(launcher, Process::watch).ended().await;
}

/// Waits until nobody is connected, nor will be who has tried to.
async fn quiet(connections: &Connections) {
    connections.none().await;
    while timeout(QUIET, connections.some()).await.is_ok() {
        connections.none().await;
    }
}

/// Waits until nothing says any longer that the session lives: neither the program, nor an open connection that has
/// brought the token, nor a process that carries the endpoint, nor a job of Claude Code's background service.
async fn nobody_sends(plan: &Plan, program_ended: impl Future<Output = ()>, connections: &Connections) {
    program_ended.await;
    loop {
        if timeout(SILENCE, connections.none()).await.is_err() {
            return;
        }
        if !carriers::readable() {
            if timeout(BLIND, connections.some()).await.is_err() {
                return;
            }
            continue;
        }
        if nobody_left(plan, connections).await {
            return;
        }
    }
}

/// Looks until two looks in a row find nobody, or a connection is there again.
async fn nobody_left(plan: &Plan, connections: &Connections) -> bool {
    let silence = Instant::now() + SILENCE;
    let mut empty = 0;
    while empty < 2 {
        let carriers = carriers::find(plan);
        if carriers.is_empty() {
            empty += 1;
            if empty == 2 {
                break;
            }
            tokio::select! {
                () = connections.some() => return false,
                () = sleep(BETWEEN_LOOKS) => {}
            }
            continue;
        }
        empty = 0;
        let ended = async {
            for carrier in carriers {
                carrier.watch().ended().await;
            }
        };
        tokio::select! {
            () = connections.some() => return false,
            () = ended => {}
            () = sleep_until(silence) => return true,
        }
    }
    true
}
