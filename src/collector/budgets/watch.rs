//! Notifies the receivers of budgets as soon as the spend reaches a percentage, without a prompt having to wait for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Budgets;
use crate::budget::{self, Audience, Reached, Told};
use crate::notify::{self, Message};
use crate::profile::Notify as Receiver;
use crate::report::render::{self, Look};
use crate::state::notice;
use crate::workspace::Workspace;

/// The shortest time between two looks at the spend while requests arrive. The ledger has them by then.
const PACE: Duration = Duration::from_secs(1);

/// How long receivers may take after the session has ended.
const AFTER_THE_END: Duration = Duration::from_secs(5);

impl Budgets {
    /// Watches the spend until `ended` says that the session is over. `arrived` is notified of every request.
    pub(in crate::collector) async fn watch(self: Arc<Self>, arrived: Arc<Notify>, mut ended: watch::Receiver<bool>) {
        if self.plan.profile.budgets.iter().all(|budget| budget.notify.is_empty()) {
            return;
        }
        let mut sending = JoinSet::new();
        let failed = Arc::default();
        while !*ended.borrow_and_update() {
            tokio::select! {
                () = arrived.notified() => drop(timeout(PACE, ended.changed()).await),
                _ = ended.changed() => {}
            }
            let budgets = Arc::clone(&self);
            for reached in self.aside(move |_| budgets.reached(), drop).await.unwrap_or_default() {
                let message = message(&reached, &self.plan.workspace, TimeZone::system());
                for receiver in reached.standing.budget.notify {
                    let budgets = Arc::clone(&self);
                    sending.spawn(budgets.send(receiver, message.clone(), ended.clone(), Arc::clone(&failed)));
                }
            }
        }
        while sending.join_next().await.is_some() {}
    }

    /// What receivers are to be notified of now, which then counts as told.
    fn reached(&self) -> Vec<Reached> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // What fails now is tried again with the next request.
        let Ok((mut standings, now)) = self.look(last.as_deref()) else { return Vec::new() };
        standings.retain(|standing| !standing.budget.notify.is_empty());
        let told = Told::open(&self.plan.workspace.places).map(|told| told.to(Audience::Receivers));
        told.map(|told| budget::check(&standings, &told, now.time_zone()).0.reached).unwrap_or_default()
    }

    /// Notifies a receiver. The first failure of each is reported, in the log and at the next launch.
    async fn send(
        self: Arc<Self>,
        receiver: Receiver,
        message: Message,
        ended: watch::Receiver<bool>,
        failed: Arc<Mutex<Vec<Receiver>>>,
    ) {
        let plan = &self.plan;
        let sent = tokio::select! {
            sent = notify::send(&receiver, &message, &plan.workspace, &plan.trusted_digest) => sent,
            () = long_after(ended) => Err("a receiver had not answered when the session ended".to_owned()),
        };
        let Err(reason) = sent else { return };
        {
            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.contains(&receiver) {
                return;
            }
            failed.push(receiver);
        }
        let line = format!("a message about a budget was not delivered: {reason}");
        self.log.note(&line);
        notice::leave(&plan.workspace.places, &line);
    }
}

/// Waits until receivers have had their time after the end of the session.
async fn long_after(mut ended: watch::Receiver<bool>) {
    // A sender that is gone has ended as well.
    drop(ended.wait_for(|ended| *ended).await);
    sleep(AFTER_THE_END).await;
}

fn message(reached: &Reached, workspace: &Workspace, zone: TimeZone) -> Message {
    let Reached { standing, tier, text } = reached;
    let look = Look { width: None, colour: false, home: workspace.places.home.clone(), zone };
    let mut details = render::budgets_json(std::slice::from_ref(standing), &look)[0].take();
    details["tier"] = json!(tier);
    // Receivers hear from several people and projects.
    let of = standing.of.as_ref().map(|of| format!(" ({of})")).unwrap_or_default();
    Message { text: format!("ccrun: {text}{of}"), details }
}
