//! When a session is over. Late rather than early: late costs a few megabytes, early loses data.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::carriers;
use super::connections::Connections;
use super::plan::Plan;
use crate::process::Watch;

/// The pause between the two looks that must both find nothing: a window that reloads is away for about 1.2 s.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// How long a session without its launched process may go without an export.
const SILENCE: Duration = Duration::from_hours(7 * 24);

/// How long after the last connection a session lasts where no process's environment can be read.
const BLIND: Duration = Duration::from_hours(1);

/// Waits until nothing says any longer that the session lives: neither the launched process, nor an open connection
/// that has brought the token, nor a process that carries the endpoint, nor a job of Claude Code's background service.
pub(super) async fn over(plan: &Plan, launched: Watch, connections: &Connections) {
    launched.ended().await;
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
