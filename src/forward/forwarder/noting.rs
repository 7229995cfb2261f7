//! What became of a request, noted in the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{AFTER_REFUSAL, Forwarder, PutOff, Receipt, Step, now};
use crate::forward::answer::Outcome;
use crate::forward::backoff::{self, Verdict};
use crate::otlp::halve;
use crate::random;
use crate::store::backoff::Trouble;
use crate::store::deliveries::{self, Delivery};
use crate::store::{self, StoreError, dead, sessions, tally};

/// No backend's limit is this low: a backend over gRPC that calls a single record of fewer bytes too large means
/// something else, a quota say.
const NEVER_TOO_LARGE: usize = 4096;

impl Forwarder {
    /// Does what an answer asks for. `told` is whether our counters went along, `made` what was known against the
    /// destination before.
    pub(super) async fn settle(
        &mut self,
        delivery: Delivery,
        outcome: Outcome,
        told: bool,
        made: Option<Trouble>,
    ) -> Result<Step, StoreError> {
        match outcome {
            Outcome::Delivered { rejected, message } => {
                let receipt = Receipt { delivery, rejected, message, told };
                // Where the disk is full for a day, the destination must not be given the same sums all day.
                self.receipt = Some(receipt.clone());
                self.note(receipt).await
            }
            Outcome::Refused { .. } if delivery.parts.len() > 1 => {
                self.gathering.refused(delivery.parts.len());
                self.answered(made).await
            }
            Outcome::TooLarge { .. } if delivery.parts.len() > 1 => {
                self.gathering.too_large(delivery.body.len());
                self.answered(made).await
            }
            Outcome::Refused { reason } => self.give_up(delivery, reason).await,
            Outcome::TooLarge { reason } => {
                self.gathering.too_large(delivery.body.len());
                self.answered(made).await?;
                self.split(delivery, reason, made).await
            }
            Outcome::Unauthorized { reason } => {
                self.journal.without_credentials(&reason);
                // It answers. When to come again with which credentials is their own business.
                self.answered(made).await?;
                self.wait(delivery, reason, AFTER_REFUSAL).await
            }
            Outcome::Held { reason, retry_after } => self.hold(delivery, reason, retry_after, made).await,
        }
    }

    /// Notes a delivery. One that cannot be noted is kept in mind, and noted before anything else is sent.
    pub(super) async fn note(&mut self, receipt: Receipt) -> Result<Step, StoreError> {
        let (recipients, fingerprint) = (Arc::clone(&self.recipients), self.fingerprint.clone());
        let was_put_off = is_put_off(&receipt.delivery);
        let committed = self.store.commit(move |connection| {
            let Receipt { delivery, rejected, message, told } = &receipt;
            let rejected = *rejected;
            let first = delivery.parts.first().and_then(|part| recipients.get(part.recipient));
            if let Some(to) = first.filter(|_| rejected > 0 || message.is_some()) {
                sessions::count_rejected(connection, &to.session, rejected, message.as_deref())?;
            }
            if let Some(teller) = recipients.first().filter(|_| *told) {
                tally::told(connection, teller)?;
            }
            deliveries::delivered(connection, &recipients, delivery, rejected, now())?;
            store::backoff::clear(connection, &fingerprint)
        });
        committed.await?;
        self.receipt = None;
        Ok(self.succeeded(was_put_off))
    }

    pub(super) async fn give_up(&mut self, delivery: Delivery, reason: String) -> Result<Step, StoreError> {
        let (recipients, fingerprint) = (Arc::clone(&self.recipients), self.fingerprint.clone());
        let was_put_off = is_put_off(&delivery);
        let given_up = self.store.commit(move |connection| {
            dead::give_up(connection, &recipients, &delivery, &reason, now())?;
            store::backoff::clear(connection, &fingerprint)
        });
        given_up.await?;
        Ok(self.succeeded(was_put_off))
    }

    /// The destination answers, and has dealt with what it was given.
    fn succeeded(&mut self, was_put_off: bool) -> Step {
        self.gathering.passed();
        self.backoff.after_success();
        if was_put_off {
            self.put_off = PutOff::default();
        }
        self.passed = true;
        self.journal.passing();
        Step::Sent
    }

    /// The destination answers, but has to be given something else: what was known against it is not so.
    pub(super) async fn answered(&mut self, made: Option<Trouble>) -> Result<Step, StoreError> {
        if made.is_some() {
            let fingerprint = self.fingerprint.clone();
            self.store.commit(move |connection| store::backoff::clear(connection, &fingerprint)).await?;
        }
        Ok(Step::Sent)
    }

    /// Parts a batch that is too large, for good: what is delivered of it then is not sent again, whatever happens. A
    /// single record is given up.
    pub(super) async fn split(
        &mut self,
        delivery: Delivery,
        reason: String,
        made: Option<Trouble>,
    ) -> Result<Step, StoreError> {
        let (Some(part), Ok(halves)) = (delivery.parts.first().cloned(), halve(delivery.signal, &delivery.body)) else {
            return self.give_up(delivery, reason).await;
        };
        let Some((first, second)) = halves else {
            if self.is_grpc && delivery.body.len() < NEVER_TOO_LARGE {
                self.gathering.forget_sizes();
                return self.hold(delivery, reason, None, made).await;
            }
            return self.give_up(delivery, reason).await;
        };
        let recipients = Arc::clone(&self.recipients);
        let replaced = self.store.commit(move |connection| match recipients.get(part.recipient) {
            Some(to) => deliveries::replace(connection, to, &part, delivery.signal, [&first, &second], now()),
            None => Ok(()),
        });
        replaced.await?;
        Ok(Step::Sent)
    }

    /// Keeps a request for later. One that fails again while others pass goes behind them.
    pub(super) async fn hold(
        &mut self,
        delivery: Delivery,
        reason: String,
        asked: Option<Duration>,
        made: Option<Trouble>,
    ) -> Result<Step, StoreError> {
        let (recipients, fingerprint) = (Arc::clone(&self.recipients), self.fingerprint.clone());
        let failed_before = delivery.parts.iter().all(|part| part.attempts > 0);
        let behind = is_put_off(&delivery) || (failed_before && self.passed);
        // Before the store hears of it, which may not take anything either.
        self.journal.held(&reason);
        let next = backoff::after_failure(made, now(), asked, random::jitter());
        let held = self.store.commit(move |connection| {
            deliveries::held(connection, &recipients, &delivery, &reason, now())?;
            if behind {
                deliveries::put_off(connection, &recipients, &delivery.parts)?;
            }
            store::backoff::failed(connection, &fingerprint, made, next)
        });
        held.await?;
        self.passed = false;
        if behind {
            self.put_off.until = Some(Instant::now() + self.put_off.backoff.after_failure(random::jitter()));
        }
        Ok(match backoff::verdict(Some(next), now()) {
            Verdict::Wait(pause) => Step::Failed(pause),
            Verdict::Free | Verdict::Try => Step::Failed(Duration::ZERO),
        })
    }

    /// Keeps a request until there are credentials that are accepted. That is no trouble of the destination's: other
    /// sessions may have what this one waits for.
    pub(super) async fn wait(
        &mut self,
        delivery: Delivery,
        reason: String,
        pause: Duration,
    ) -> Result<Step, StoreError> {
        let recipients = Arc::clone(&self.recipients);
        let held =
            self.store.commit(move |connection| deliveries::held(connection, &recipients, &delivery, &reason, now()));
        held.await?;
        self.passed = false;
        Ok(Step::Failed(pause))
    }
}

/// Whether a request was put off for the sake of others.
fn is_put_off(delivery: &Delivery) -> bool {
    delivery.parts.iter().any(|part| part.turn > part.batch)
}
