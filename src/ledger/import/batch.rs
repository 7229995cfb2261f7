//! Reads transcripts in batches, each of which is one commit of the ledger.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use super::Mark;
use super::item::Item;
use super::read::{Faults, Reading, Summary};
use crate::claude::transcript::Transcript;

/// How many facts are committed at once.
const FACTS: usize = 2000;

/// How many sessions are committed at once, at most.
const SESSIONS: usize = 100;

/// Data that was read and is not in the ledger yet.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) parts: Vec<Part>,
    /// The number of sessions whose last part is here.
    pub(super) sessions: usize,
    /// The number of bytes read for it.
    pub(super) bytes: u64,
    /// The faults of these sessions.
    pub(super) faults: Faults,
    items: usize,
}

/// A session's items, or some of them.
pub(super) struct Part {
    /// The session's id by its files' names; may be empty.
    pub(super) session: Arc<str>,
    pub(super) items: Vec<Item>,
    /// Set in a session's last part.
    pub(super) done: Option<(Summary, Mark)>,
}

/// Reads the transcripts from the `next` one on, except those with an `unchanged` mark, until no batches are taken any
/// more. Several threads may share `next`.
pub(super) fn read(
    transcripts: &[Transcript],
    next: &AtomicUsize,
    unchanged: &HashSet<i64>,
    batches: &SyncSender<Batch>,
) {
    let (mut batch, mut buffer) = (Batch::default(), Vec::new());
    while let Some(transcript) = transcripts.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mark = Mark::of(transcript);
        if unchanged.contains(&mark.path) {
            continue;
        }
        if batch.session(transcript, mark, &mut buffer, batches).is_break() {
            return;
        }
    }
    // If it is not taken, neither is anything else.
    drop(batches.send(batch));
}

impl Batch {
    /// Reads a session's files. Sends the batch whenever it is full.
    fn session(
        &mut self,
        transcript: &Transcript,
        mark: Mark,
        buffer: &mut Vec<u8>,
        batches: &SyncSender<Self>,
    ) -> ControlFlow<()> {
        let mut reading = Reading::default();
        reading.buffer = std::mem::take(buffer);
        let session: Arc<str> = transcript.session.as_str().into();
        let mut before = 0;
        for (index, file) in transcript.files().enumerate() {
            let is_main = index == 0 && transcript.main.is_some();
            reading.file(file, is_main, |reading| {
                if reading.items.len() < FACTS {
                    return ControlFlow::Continue(());
                }
                self.bytes += reading.bytes - before;
                before = reading.bytes;
                let items = std::mem::take(&mut reading.items);
                self.take(Part { session: Arc::clone(&session), items, done: None }, batches)
            })?;
        }
        *buffer = std::mem::take(&mut reading.buffer);
        self.bytes += reading.bytes - before;
        self.sessions += 1;
        self.faults.add(reading.faults);
        self.take(Part { session, items: reading.items, done: Some((reading.summary, mark)) }, batches)
    }

    fn take(&mut self, part: Part, batches: &SyncSender<Self>) -> ControlFlow<()> {
        self.items += part.items.len();
        self.parts.push(part);
        if self.items < FACTS && self.parts.len() < SESSIONS {
            return ControlFlow::Continue(());
        }
        match batches.send(std::mem::take(self)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
