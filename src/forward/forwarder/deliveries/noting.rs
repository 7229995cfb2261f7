//! Records the outcome of a request in the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Deliveries, Last, Receipt, Rest, State};
use crate::forward::answer::Outcome;
use crate::forward::backoff::{self, Verdict};
use crate::forward::forwarder::Step;
use crate::forward::forwarder::link::{AFTER_REFUSAL, Link, now};
use crate::otlp::halve;
use crate::state::backoff::{Backoff, LONGEST, later};
use crate::store::deliveries::{self, Delivery};
use crate::store::failure::Failure;
use crate::store::{self, StoreError, set_aside};
use crate::system::random;

/// No backend has a limit this low: a backend over gRPC that calls a single record of fewer bytes too large means
/// something else, such as a quota.
const NEVER_TOO_LARGE: usize = 4096;

impl Deliveries {
    /// Acts on the outcome of a request. `told` says whether our counters went along, `made` is the destination's
    /// back-off before the attempt.
    pub(super) async fn settle(
        &mut self,
        link: &mut Link,
        delivery: Delivery,
        outcome: Outcome,
        reported: bool,
        made: Option<Backoff>,
    ) -> Result<Step, StoreError> {
        match outcome {
            // It reported success, but accepted nothing.
            Outcome::Delivered { rejected, message } if rejected > 0 && rejected >= records(&delivery) => {
                let message = message.unwrap_or_else(|| "it does not say why".to_owned());
                self.give_up(link, delivery, format!("every record was rejected: {message}")).await
            }
            Outcome::Delivered { rejected, message } => {
                let receipt = Receipt { delivery, rejected, message, reported };
                // If the disk is full for a day, the destination must not receive the same sums all day.
                self.state = State::Noting(receipt.clone());
                self.note(link, receipt).await
            }
            Outcome::Refused { .. } if delivery.parts.len() > 1 => {
                self.gathering.refused(delivery.parts.len());
                link.answered(made).await?;
                Ok(Step::Sent)
            }
            // Smaller requests are gathered from now on.
            Outcome::TooLarge { .. } if delivery.parts.len() > 1 => {
                link.answered(made).await?;
                Ok(Step::Sent)
            }
            Outcome::Refused { reason } => self.give_up(link, delivery, reason).await,
            Outcome::TooLarge { reason } => {
                link.answered(made).await?;
                self.split(link, delivery, reason, made).await
            }
            Outcome::Unauthorized { reason } => {
                link.journal.without_credentials(&reason);
                // The destination answers. The credentials decide when to try again, and with which of them.
                link.answered(made).await?;
                let next_try = Some(later(now(), AFTER_REFUSAL));
                self.wait(link, delivery, Failure { reason, next_try }, AFTER_REFUSAL).await
            }
            Outcome::Held { reason, retry_after } => self.hold(link, delivery, reason, retry_after, made).await,
        }
    }

    /// Records a delivery. If the store cannot record it, it is kept in memory and recorded before anything else is
    /// sent.
    pub(super) async fn note(&mut self, link: &mut Link, receipt: Receipt) -> Result<Step, StoreError> {
        let (route, source) = (Arc::clone(&self.route), self.source.clone());
        let fingerprint = link.fingerprint.clone();
        let delivery = receipt.delivery.clone();
        let committed = link.store.commit(move |connection| {
            let Receipt { delivery, rejected, message, reported } = &receipt;
            if let Some(of) = route.subscriptions.first().filter(|_| *reported) {
                store::counters::reported(connection, &of.to)?;
            }
            let rejected = (*rejected, message.as_deref());
            deliveries::delivered(connection, &source, &route, delivery, rejected, now())?;
            store::backoff::clear(connection, &fingerprint)
        });
        committed.await?;
        self.state = State::Looking;
        Ok(self.succeeded(link, &delivery))
    }

    pub(super) async fn give_up(
        &mut self,
        link: &mut Link,
        delivery: Delivery,
        reason: String,
    ) -> Result<Step, StoreError> {
        let (route, source) = (Arc::clone(&self.route), self.source.clone());
        let (fingerprint, refused) = (link.fingerprint.clone(), delivery.clone());
        let ages = link.ages.clone();
        let given_up = link.store.commit(move |connection| {
            deliveries::given_up(connection, &source, &route, &refused, &reason, now())?;
            set_aside::prune(connection, now(), ages.now_in_milliseconds(now()))?;
            store::backoff::clear(connection, &fingerprint)
        });
        given_up.await?;
        Ok(self.succeeded(link, &delivery))
    }

    /// The destination answers, and has dealt with the request.
    fn succeeded(&mut self, link: &mut Link, delivery: &Delivery) -> Step {
        self.gathering.passed();
        if delivery.is_deferred() {
            self.rest = Rest::default();
        }
        self.has_left(delivery);
        self.last = Last::Passed;
        link.journal.passing();
        Step::Sent
    }

    /// Splits a batch that is too large, durably: a part that is delivered is never sent again. A single record is
    /// given up.
    pub(super) async fn split(
        &mut self,
        link: &mut Link,
        delivery: Delivery,
        reason: String,
        made: Option<Backoff>,
    ) -> Result<Step, StoreError> {
        let Ok(halves) = halve(delivery.signal, &delivery.body) else {
            return self.give_up(link, delivery, reason).await;
        };
        let Some((first, second)) = halves else {
            if link.is_grpc && delivery.body.len() < NEVER_TOO_LARGE {
                self.gathering.forget_sizes();
                return self.hold(link, delivery, reason, None, made).await;
            }
            return self.give_up(link, delivery, reason).await;
        };
        let (route, source, whole) = (Arc::clone(&self.route), self.source.clone(), delivery.clone());
        let split = link
            .store
            .commit(move |connection| deliveries::split(connection, &source, &route, &whole, [&first, &second], now()));
        split.await?;
        self.has_left(&delivery);
        Ok(Step::Sent)
    }

    /// Keeps a request for later. A request that fails again while others pass goes behind them.
    pub(super) async fn hold(
        &mut self,
        link: &mut Link,
        delivery: Delivery,
        reason: String,
        asked: Option<Duration>,
        made: Option<Backoff>,
    ) -> Result<Step, StoreError> {
        let (route, source) = (Arc::clone(&self.route), self.source.clone());
        let fingerprint = link.fingerprint.clone();
        let is_probe = delivery.is_probe;
        let failed_before = delivery.parts.iter().all(|part| part.attempts > 0);
        let behind = delivery.is_deferred() || (failed_before && self.last == Last::Passed);
        // Written before the store is asked, because the store may fail too.
        link.journal.held(&reason);
        let next = backoff::after_failure(made, now(), asked, random::jitter());
        let held = link.store.commit(move |connection| {
            deliveries::held(connection, &route, &delivery, &Failure::new(&reason), now())?;
            if behind {
                deliveries::deferred(connection, &source, &route, &delivery, &reason, now())?;
            }
            store::backoff::failed(connection, &fingerprint, made, next)
        });
        held.await?;
        self.last = if is_probe { Last::ProbeFailed } else { Last::FirstFailed };
        if behind {
            self.rest.until = Some(Instant::now() + self.rest.backoff.pause(LONGEST, random::jitter()));
        }
        Ok(match backoff::verdict(Some(next), now()) {
            Verdict::Wait(pause) => Step::Failed(pause),
            Verdict::Free | Verdict::Try => Step::Failed(Duration::ZERO),
        })
    }

    /// Keeps a request until credentials are accepted. This is not the destination's failure: other sessions may have
    /// the credentials that this one waits for.
    pub(super) async fn wait(
        &mut self,
        link: &mut Link,
        delivery: Delivery,
        failure: Failure,
        pause: Duration,
    ) -> Result<Step, StoreError> {
        let route = Arc::clone(&self.route);
        let held =
            link.store.commit(move |connection| deliveries::held(connection, &route, &delivery, &failure, now()));
        held.await?;
        self.last = Last::Nothing;
        Ok(Step::Failed(pause))
    }
}

/// How many log records, data points or spans a request carries.
fn records(delivery: &Delivery) -> u64 {
    delivery.parts.iter().map(|part| part.records).fold(0, u64::saturating_add)
}
