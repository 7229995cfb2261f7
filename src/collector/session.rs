//! Decides when a session is over. Rather late than early: late costs a few megabytes, early loses data.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::carriers;
use super::connections::Connections;
use super::plan::SessionPlan;
use crate::collector::control_channel::ControlChannel;
use crate::system::process::{Process, Watch};

/// The pause between two checks that must both find nothing: a window that reloads is gone for about 1.2 s.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// How long a session may go without an export after its launched process has ended.
const SILENCE: Duration = Duration::from_hours(7 * 24);

/// How long a session lasts after its last connection if environments of processes cannot be read.
const BLIND: Duration = Duration::from_hours(1);

/// How long the program's last exports may take to arrive.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// How long there must be no connection for those to have arrived.
const QUIET: Duration = Duration::from_millis(50);

/// Waits until the session is over: until a launcher that stays says so, or until there is no sign of life.
pub(super) async fn over(
    plan: &SessionPlan,
    launched: Watch,
    control_channel: Option<watch::Receiver<ControlChannel>>,
    connections: &Connections,
) {
    let Some(control_channel) = control_channel else {
        return nothing_sends(plan, launched.ended(), connections).await;
    };
    tokio::select! {
        () = heard(control_channel.clone(), |control_channel| control_channel.over) => drop(timeout(LAST_MOMENTS, quiet(connections)).await),
        () = nothing_sends(plan, program_ended(launched, control_channel), connections) => {}
    }
}

/// Waits until the launcher has said so; forever if it never does.
async fn heard(mut control_channel: watch::Receiver<ControlChannel>, so: impl FnMut(&ControlChannel) -> bool) {
    if control_channel.wait_for(so).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for the end of the program of a launcher that stays, or that was killed.
async fn program_ended(launcher: Watch, control_channel: watch::Receiver<ControlChannel>) {
    heard(control_channel.clone(), |control_channel| control_channel.program.is_some() || control_channel.gone).await;
    let program = control_channel.borrow().program;
    program.map_or(launcher, Process::watch).ended().await;
}

/// Waits until all connections, including pending ones, are closed.
async fn quiet(connections: &Connections) {
    connections.none().await;
    while timeout(QUIET, connections.some()).await.is_ok() {
        connections.none().await;
    }
}

/// Waits until there is no sign of life: no program, no open authenticated connection, no process with the endpoint,
/// and no job of Claude Code's background service.
async fn nothing_sends(plan: &SessionPlan, program_ended: impl Future<Output = ()>, connections: &Connections) {
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
        if none_left(plan, connections).await {
            return;
        }
    }
}

/// Checks until two checks in a row find nothing, or until there is a connection again.
async fn none_left(plan: &SessionPlan, connections: &Connections) -> bool {
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
