//! Deltas become totals, and these are sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;

use super::{AFTER_REFUSAL, Forwarder, Step, WITHOUT_CREDENTIALS, now};
use crate::credential::Unavailable;
use crate::forward::answer::Outcome;
use crate::forward::backoff::{self, Verdict};
use crate::forward::counters;
use crate::forward::totals::{REPEAT, Snapshot, until_repeat};
use crate::otlp::{Signal, halve};
use crate::random;
use crate::state::SessionLock;
use crate::store::backoff::Trouble;
use crate::store::batches::Recipient;
use crate::store::deliveries::{self, Delivery, Part};
use crate::store::totals::{self, Batch, Chunk, Whose};
use crate::store::{self, StoreError, sessions, tally};
use crate::totals::{Sifted, sift};

/// How large a batch may be to be taken apart in one go, in bytes; a larger one is halved first.
const AT_ONCE: usize = 256 << 10;

/// How soon to look again whether somebody else has sent a snapshot that is under way.
const BUSY: Duration = Duration::from_millis(200);

impl Forwarder {
    /// Makes totals of the deltas in all batches that came since.
    pub(super) async fn fold(&mut self) -> Result<(), StoreError> {
        while let Some(totals) = &self.totals {
            let recipients = Arc::clone(&self.recipients);
            let (whose, installation) = (totals.whose.clone(), totals.installation);
            let look = move |connection: &Connection| {
                let Some(batch) = totals::next(connection, &recipients)? else { return Ok(None) };
                let body = totals::body(connection, &batch)?;
                Ok(body.map(|body| (batch, body)))
            };
            let Some((batch, body)) = self.store.read(look).await? else { return Ok(()) };
            if body.len() > AT_ONCE && self.halve(&batch, &body).await? {
                continue;
            }
            // One that cannot be read was never acknowledged; one of a single point that is so large goes as it is.
            let sifted = if body.len() > AT_ONCE { None } else { sift(&body, installation).ok() };
            let Some(sifted) = sifted.filter(|sifted| !sifted.deltas.is_empty()) else {
                self.store.commit(move |connection| totals::sifted(connection, batch.id)).await?;
                continue;
            };
            self.count(whose, batch, sifted).await?;
        }
        Ok(())
    }

    /// Parts a batch in two, and says whether that could be done.
    async fn halve(&self, batch: &Batch, body: &[u8]) -> Result<bool, StoreError> {
        let Ok(Some((first, second))) = halve(Signal::Metrics, body) else { return Ok(false) };
        let recipients = Arc::clone(&self.recipients);
        let Batch { recipient, id, turn, size } = *batch;
        let part = Part { recipient, batch: id, turn, size, attempts: 0 };
        let replaced = self.store.commit(move |connection| match recipients.get(recipient) {
            Some(to) => deliveries::replace(connection, to, &part, Signal::Metrics, [&first, &second], now()),
            None => Ok(()),
        });
        replaced.await?;
        Ok(true)
    }

    /// Adds deltas to the totals, and what was counted of the destination since then with them: totals of ours, too, but
    /// none for whose sake anything would be sent, for each delivery gives something to count.
    async fn count(&mut self, whose: Whose, batch: Batch, sifted: Sifted) -> Result<(), StoreError> {
        let recipients = Arc::clone(&self.recipients);
        let installation = self.totals.as_ref().map(|totals| totals.installation);
        let own = self.resource.clone().zip(installation);
        let counted = self.store.commit(move |connection| {
            let Some(to) = recipients.get(batch.recipient) else { return Ok(totals::Folded::default()) };
            let folded = totals::fold(connection, &whose, to, &batch, &sifted, now())?;
            if let Some(((resource, installation), teller)) = own.as_ref().zip(recipients.first()) {
                let tallies = tally::claim(connection, teller)?;
                let request = counters::request(&tallies, &teller.destination, resource, now());
                let Sifted { deltas, .. } = sift(&request, *installation).unwrap_or_default();
                if !deltas.is_empty() {
                    totals::count_in(connection, &whose, &deltas, now())?;
                }
                tally::told(connection, teller)?;
            }
            Ok(folded)
        });
        counted.await?;
        Ok(())
    }

    /// Sends the next request of the snapshot that is under way, or begins one if it is time for it.
    pub(super) async fn tell(&mut self, urgent: bool) -> Result<Step, StoreError> {
        let Some(totals) = &self.totals else { return Ok(Step::Empty) };
        let (is_begun, whose, key) = (totals.snapshot.is_some(), totals.whose.clone(), self.fingerprint.clone());
        let look = move |connection: &Connection| {
            Ok((totals::state(connection, &whose)?, store::backoff::find(connection, &key)?))
        };
        let (state, made) = self.store.read(look).await?;
        self.say_what_is_forgotten(state);
        if !is_begun {
            let Some(state) = state.filter(|state| self.is_due(*state)) else { return Ok(Step::Empty) };
            if !urgent && let Verdict::Wait(pause) = backoff::verdict(made, now()) {
                return Ok(Step::Failed(pause));
            }
            if state.series == 0 {
                // Nothing of what came had a value.
                return self.acknowledge(state.id, state.generation, false).await;
            }
            return self.begin().await;
        }
        let headers = match self.headers().await {
            Ok(headers) => headers,
            Err(Unavailable { reason, again }) => {
                if !self.credentials.is_fetching() {
                    self.journal.without_credentials(&reason);
                }
                return self.tell_later(reason, again.unwrap_or(WITHOUT_CREDENTIALS)).await;
            }
        };
        let Some(chunk) = self.next_chunk(urgent, made).await? else {
            self.credentials.undecided(&headers);
            return self.end().await;
        };
        let Some(chunk) = chunk else {
            self.credentials.undecided(&headers);
            return Ok(Step::Failed(BUSY));
        };
        let body = Bytes::from(chunk.body.clone());
        let delivery = Delivery { signal: Signal::Metrics, parts: Vec::new(), body };
        let outcome = self.send(&delivery, headers).await;
        self.told(chunk, outcome, made).await
    }

    fn say_what_is_forgotten(&mut self, state: Option<totals::State>) {
        let Some((totals, state)) = self.totals.as_mut().zip(state) else { return };
        let before = totals.forgotten.replace(state.forgotten).unwrap_or(state.forgotten);
        if state.forgotten > before {
            self.journal.forgotten(state.forgotten - before);
        }
    }

    fn is_due(&self, state: totals::State) -> bool {
        self.due(state).is_some()
    }

    fn due(&self, state: totals::State) -> Option<i64> {
        let (is_live, is_over) = (self.lives == Some(true), self.lives == Some(false));
        self.totals.as_ref().and_then(|totals| totals.due(state, is_live, is_over, now()))
    }

    /// Takes the lock, and begins a snapshot if there is still to be one once it is held.
    async fn begin(&mut self) -> Result<Step, StoreError> {
        let Some(totals) = &self.totals else { return Ok(Step::Empty) };
        let (path, whose) = (totals.lock.clone(), totals.whose.clone());
        let lock = match SessionLock::take(&path) {
            Ok(Some(lock)) => lock,
            // Somebody sends, perhaps what waits here; or the disk is full.
            Ok(None) => return Ok(Step::Failed(BUSY)),
            Err(error) => return Err(StoreError::Lock(Arc::new(error))),
        };
        let state = self.store.read(move |connection| totals::state(connection, &whose)).await?;
        let Some((state, above)) = state.and_then(|state| Some((state, self.due(state)?))) else {
            lock.remove(&path);
            return Ok(Step::Empty);
        };
        let is_last = self.lives == Some(false);
        if let Some(totals) = &mut self.totals {
            totals.snapshot = Some(Snapshot::begin(state, above, is_last, lock));
        }
        Ok(Step::Sent)
    }

    /// The next request; the inner none if somebody else tries the destination just now.
    async fn next_chunk(&self, urgent: bool, made: Option<Trouble>) -> Result<Option<Option<Chunk>>, StoreError> {
        let Some((totals, snapshot)) = self.totals.as_ref().and_then(|all| Some((all, all.snapshot.as_ref()?))) else {
            return Ok(None);
        };
        let (id, wanted, now) = (snapshot.totals, snapshot.wanted(), now());
        let before = totals.oldest(now);
        let claim = made.filter(|_| !urgent).map(|made| (self.fingerprint.clone(), made));
        let until = backoff::later(now, self.attempt);
        let take = move |connection: &Connection| {
            let chunk = totals::take(connection, id, wanted, now, before)?;
            let Some((fingerprint, made)) = claim.as_ref().filter(|_| chunk.is_some()) else {
                return Ok(chunk.map(Some));
            };
            let is_ours = store::backoff::claim(connection, fingerprint, *made, until)?;
            Ok(chunk.map(|chunk| is_ours.then_some(chunk)))
        };
        self.store.commit(take).await
    }

    /// What became of a request.
    async fn told(&mut self, chunk: Chunk, outcome: Outcome, made: Option<Trouble>) -> Result<Step, StoreError> {
        let Some(snapshot) = self.totals.as_mut().and_then(|totals| totals.snapshot.as_mut()) else {
            return Ok(Step::Empty);
        };
        match outcome {
            Outcome::Delivered { rejected, message } => {
                snapshot.passed();
                if !chunk.is_zero {
                    snapshot.go_on_behind(&chunk.places);
                }
                self.chunk_passed(chunk, rejected, message, made).await
            }
            Outcome::Refused { .. } | Outcome::TooLarge { .. } if chunk.places.len() > 1 => {
                snapshot.fewer(chunk.places.len());
                self.answered(made).await
            }
            Outcome::Refused { reason } | Outcome::TooLarge { reason } => {
                if snapshot.is_hopeless() {
                    return self.tell_again(reason, None, made).await;
                }
                if !chunk.is_zero {
                    snapshot.go_on_behind(&chunk.places);
                }
                self.leave_out(chunk, reason).await
            }
            Outcome::Unauthorized { reason } => {
                self.journal.without_credentials(&reason);
                self.answered(made).await?;
                self.tell_later(reason, AFTER_REFUSAL).await
            }
            Outcome::Held { reason, retry_after } => self.tell_again(reason, retry_after, made).await,
        }
    }

    async fn chunk_passed(
        &mut self,
        chunk: Chunk,
        rejected: u64,
        message: Option<String>,
        made: Option<Trouble>,
    ) -> Result<Step, StoreError> {
        let Some(totals) = &mut self.totals else { return Ok(Step::Empty) };
        let Some(id) = totals.snapshot.as_ref().map(|snapshot| snapshot.totals) else { return Ok(Step::Empty) };
        // The same points are left out of every snapshot: said and counted once.
        let complaint = message.or_else(|| (rejected > 0).then(String::new));
        let is_news = complaint.is_some() && totals.said != complaint;
        if is_news {
            totals.said.clone_from(&complaint);
        }
        let teller = self.recipients.first().filter(|_| is_news).cloned();
        let fingerprint = self.fingerprint.clone();
        let passed = self.store.commit(move |connection| {
            if let Some(to) = &teller {
                sessions::count_rejected(connection, &to.session, rejected, complaint.as_deref())?;
            }
            if made.is_some() {
                store::backoff::clear(connection, &fingerprint)?;
            }
            if chunk.is_zero {
                totals::begun(connection, id, &chunk.places)
            } else {
                totals::passed(connection, id, &chunk.places)
            }
        });
        passed.await?;
        Ok(Step::Sent)
    }

    /// A series was refused for itself: it is told, and the others go on.
    async fn leave_out(&mut self, chunk: Chunk, reason: String) -> Result<Step, StoreError> {
        let snapshot = self.totals.as_ref().and_then(|totals| totals.snapshot.as_ref());
        let Some(id) = snapshot.map(|snapshot| snapshot.totals) else { return Ok(Step::Empty) };
        self.journal.left_out(&chunk.metric, &reason);
        let teller: Option<Recipient> = self.recipients.first().cloned();
        let message = format!("a series of `{}` was refused: {reason}", chunk.metric);
        let left_out = self.store.commit(move |connection| {
            if let Some(to) = &teller {
                sessions::count_rejected(connection, &to.session, 1, Some(&message))?;
            }
            match chunk.places.first() {
                // The totals alone may pass.
                Some(place) if chunk.is_zero => totals::without_zero(connection, id, place),
                Some(place) => totals::refused(connection, id, place, now()),
                None => Ok(()),
            }
        });
        left_out.await?;
        Ok(Step::Sent)
    }

    /// The destination has the whole snapshot.
    async fn end(&mut self) -> Result<Step, StoreError> {
        let snapshot = self.totals.as_ref().and_then(|totals| totals.snapshot.as_ref());
        let Some(snapshot) = snapshot else { return Ok(Step::Empty) };
        let (id, generation, is_full, is_last) =
            (snapshot.totals, snapshot.generation, snapshot.is_full(), snapshot.is_last);
        let step = self.acknowledge(id, generation, is_full).await?;
        if let Some(totals) = &mut self.totals {
            totals.is_last_sent |= is_last && is_full;
            totals.abandon();
        }
        self.backoff.after_success();
        self.journal.passing();
        Ok(step)
    }

    async fn acknowledge(&self, id: i64, generation: i64, is_full: bool) -> Result<Step, StoreError> {
        let acknowledged =
            self.store.commit(move |connection| totals::acknowledge(connection, id, generation, is_full, now()));
        acknowledged.await?;
        Ok(Step::Sent)
    }

    /// The destination is in trouble: the snapshot is sent anew once it may be well.
    async fn tell_again(
        &mut self,
        reason: String,
        asked: Option<Duration>,
        made: Option<Trouble>,
    ) -> Result<Step, StoreError> {
        let snapshot = self.totals.as_ref().and_then(|totals| totals.snapshot.as_ref());
        let Some(id) = snapshot.map(|snapshot| snapshot.totals) else { return Ok(Step::Empty) };
        self.journal.held(&reason);
        let fingerprint = self.fingerprint.clone();
        let next = backoff::after_failure(made, now(), asked, random::jitter());
        let held = self.store.commit(move |connection| {
            totals::failed(connection, id, &reason, now())?;
            store::backoff::failed(connection, &fingerprint, made, next)
        });
        held.await?;
        self.passed = false;
        Ok(match backoff::verdict(Some(next), now()) {
            Verdict::Wait(pause) => Step::Failed(pause),
            Verdict::Free | Verdict::Try => Step::Failed(Duration::ZERO),
        })
    }

    /// There are no credentials that are accepted.
    async fn tell_later(&mut self, reason: String, pause: Duration) -> Result<Step, StoreError> {
        let snapshot = self.totals.as_ref().and_then(|totals| totals.snapshot.as_ref());
        if let Some(id) = snapshot.map(|snapshot| snapshot.totals) {
            self.store.commit(move |connection| totals::failed(connection, id, &reason, now())).await?;
        }
        Ok(Step::Failed(pause))
    }

    /// How long until the totals are to be sent again; for ever where none are sent.
    pub(super) async fn until_repeat(&self) -> Option<Duration> {
        let whose = self.totals.as_ref()?.whose.clone();
        let state = self.store.read(move |connection| totals::state(connection, &whose)).await;
        let state = state.ok().flatten().filter(|state| state.series > 0);
        // Another session may be about to make the first.
        Some(state.map_or(REPEAT, |state| until_repeat(state, now())))
    }
}
