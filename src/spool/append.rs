//! The thread that writes a session's log: all waiting appends go into one write and one sync, and later arrivals form
//! the next group.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use super::prepare::Made;
use super::writer::copy;
use super::{Entry, Files, Position, Writer};
use crate::otlp::Signal;

/// How many appends may wait; further callers wait for a place in the queue.
const QUEUE: usize = 256;

/// The largest group, in appends.
const GROUP: usize = 64;

/// The stack of a thread of the spool, in bytes.
const STACK: usize = 128 << 10;

/// An append to the log.
#[derive(Clone, Debug)]
pub struct Append {
    /// The request's signal.
    pub signal: Signal,
    /// When it was received, in Unix milliseconds.
    pub time: i64,
    /// How many log records, data points or spans it holds.
    pub records: u32,
    /// How many more records the profile refused.
    pub refused: u32,
    /// The part for the ledger only.
    pub ledger: Vec<u8>,
    /// The rewritten request.
    pub body: Bytes,
}

/// Why an append is not in the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk does not accept it.
    #[error("the spool: {0}")]
    Disk(Arc<io::Error>),
    /// The thread has ended.
    #[error("the spool is closed")]
    Closed,
}

/// An append and the sender that reports its result; `None` ends the log.
type Waiting = Option<(Append, oneshot::Sender<Result<Position, AppendError>>)>;

/// The position up to which a worker's log is on the disk. Nothing behind it may be delivered.
#[derive(Clone, Debug)]
pub struct Durable(Arc<Mutex<Position>>);

impl Durable {
    /// The current position.
    pub fn position(&self) -> Position {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, position: Position) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }
}

/// A handle to the thread. When the last one is dropped, the thread cuts the last segment and ends.
#[derive(Clone, Debug)]
pub struct Spool {
    queue: mpsc::Sender<Waiting>,
    durable: Durable,
    over: Arc<Notify>,
}

impl Spool {
    /// Starts a writer's thread. `opened` is called whenever a segment has been started. The second handle ends with
    /// the thread.
    pub fn start<S: Files>(
        writer: Writer<S>,
        opened: impl FnMut() + Send + 'static,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let durable = Durable(Arc::new(Mutex::new(writer.begin())));
        let over = Arc::new(Notify::new());
        let (durable_too, over_too) = (durable.clone(), Arc::clone(&over));
        let thread = Thread { writer, spare: None, durable: durable_too, over: over_too, opened: Box::new(opened) };
        let running = std::thread::Builder::new().stack_size(STACK).spawn(move || thread.run(receiver))?;
        Ok((Self { queue, durable, over }, running))
    }

    /// Appends, and returns where the append ends in the log once it is on the disk. It is appended even if its caller
    /// goes away.
    pub async fn append(&self, append: Append) -> Result<Position, AppendError> {
        let (sender, receiver) = oneshot::channel();
        self.queue.send(Some((append, sender))).await.map_err(|_| AppendError::Closed)?;
        receiver.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Ends the log, even if others hold a handle to it.
    pub async fn close(&self) {
        // If the queue is closed, the thread has ended already.
        drop(self.queue.send(None).await);
    }

    /// Waits until another worker has taken over, which the first append after that reveals.
    pub async fn is_over(&self) {
        self.over.notified().await;
    }

    /// The position up to which this worker's log is on the disk.
    pub fn durable(&self) -> Durable {
        self.durable.clone()
    }
}

/// A segment that is prepared on a thread of its own.
type Making<S> = JoinHandle<io::Result<Made<<S as Files>::File>>>;

struct Thread<S: Files> {
    writer: Writer<S>,
    spare: Option<Making<S>>,
    durable: Durable,
    over: Arc<Notify>,
    opened: Box<dyn FnMut() + Send>,
}

impl<S: Files> Thread<S> {
    fn run(mut self, mut queue: mpsc::Receiver<Waiting>) {
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            let before = self.writer.durable().map(Position::segment);
            let appends: Vec<_> = group.iter().flatten().map(|(append, _)| append.entry()).collect();
            let is_last = appends.len() < group.len();
            let needed: u64 = appends.iter().map(Entry::length).sum();
            Self::take_spare(&mut self.spare, &mut self.writer, needed);
            let results = self.writer.append(&appends);
            drop(appends);
            if let Some(durable) = self.writer.durable() {
                self.durable.set(durable);
            }
            for ((_, waiting), result) in group.drain(..).flatten().zip(results) {
                // If the caller no longer waits, its data is in the log all the same.
                drop(waiting.send(result.map_err(|error| AppendError::Disk(Arc::new(error)))));
            }
            if self.writer.is_over() {
                self.over.notify_one();
            }
            self.make_ahead();
            if self.writer.durable().map(Position::segment) != before {
                (self.opened)();
            }
            if is_last {
                break;
            }
        }
        if let Some(Ok(Ok(made))) = self.spare.take().map(JoinHandle::join) {
            self.writer.offer(made);
        }
        self.writer.end();
    }

    /// Hands the writer the prepared segment: once it is done, or when it is needed.
    fn take_spare(spare: &mut Option<Making<S>>, writer: &mut Writer<S>, needed: u64) {
        let is_due = |making: &mut Making<S>| making.is_finished() || needed > writer.free();
        if let Some(making) = spare.take_if(is_due)
            && let Ok(Ok(made)) = making.join()
        {
            writer.offer(made);
        }
    }

    fn make_ahead(&mut self) {
        if self.spare.is_some() {
            return;
        }
        if let Some((place, number, size)) = self.writer.wanted() {
            // If no thread can be started, the writer makes a segment itself.
            let make = move || place.make(number, size);
            self.spare = std::thread::Builder::new().stack_size(STACK).spawn(make).ok();
        }
    }
}

impl Append {
    fn entry(&self) -> Entry<'_> {
        let Self { signal, time, records, refused, ref ledger, ref body } = *self;
        Entry { signal, time, records, refused, ledger, body }
    }
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        Self::Disk(Arc::new(copy(&error)))
    }
}
