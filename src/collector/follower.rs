//! Follows a session's log besides its destinations: updates the ledger and the counts of received records, and removes
//! what every reader has passed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::ledger;
use crate::spool::{Position, Source, segments};
use crate::state::{Places, SessionLock};
use crate::store::{Store, StoreError, intake, retention};

/// The shortest time between two writes to the ledger and the counts while requests arrive.
const PACE: Duration = Duration::from_millis(250);

/// How soon to check again whether segments that a destination still needs can be removed.
const KEPT: Duration = Duration::from_secs(5);

/// Reads logs into the ledger, and counts their records.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    places: Places,
    store: Store,
    ledger: Store,
}

impl Follower {
    /// A follower that writes to these databases.
    pub(super) fn new(places: &Places, store: &Store, ledger: &Store) -> Self {
        Self { places: places.clone(), store: store.clone(), ledger: ledger.clone() }
    }

    /// Follows the log of a running session until `ended` says that it is over. `received` notifies of every request,
    /// `opened` of each new segment.
    pub(super) async fn run(
        self,
        source: Source,
        session: String,
        received: Arc<Notify>,
        opened: Arc<Notify>,
        mut ended: watch::Receiver<bool>,
    ) {
        let mut has_several = false;
        while !*ended.borrow_and_update() {
            tokio::select! {
                () = received.notified() => drop(timeout(PACE, ended.changed()).await),
                () = opened.notified() => drop(self.keep_within(retention::MAXIMUM).await),
                () = sleep(KEPT), if has_several => {}
                _ = ended.changed() => {}
            }
            // A failure may not repeat with the next request.
            let followed = async {
                let position = self.follow(&source, &session).await?;
                self.trim(&source, &session, position).await
            };
            drop(followed.await);
            has_several = segments(&source.disk, &session).is_ok_and(|all| all.len() > 1);
        }
    }

    /// Reads new entries into the ledger, counts them, and returns the ledger's position.
    pub(super) async fn follow(&self, source: &Source, session: &str) -> Result<Position, StoreError> {
        loop {
            let (log, id) = (source.clone(), session.to_owned());
            let fold = move |connection: &Connection| {
                let is_all = ledger::fold(connection, &log, &id)?;
                Ok(is_all.then_some(ledger::position(connection, &id)?))
            };
            if let Some(position) = self.ledger.commit(fold).await? {
                self.count(source, session).await?;
                return Ok(position);
            }
        }
    }

    async fn count(&self, source: &Source, session: &str) -> Result<(), StoreError> {
        loop {
            let (source, session) = (source.clone(), session.to_owned());
            let count = move |connection: &Connection| intake::count(connection, &source, &session, now());
            if self.store.commit(count).await? {
                return Ok(());
            }
        }
    }

    /// Removes segments that every reader has passed, and returns whether nothing of the log is left.
    async fn trim(&self, source: &Source, session: &str, ledger: Position) -> Result<bool, StoreError> {
        let (source, session) = (source.clone(), session.to_owned());
        self.store.read(move |connection| retention::trim(connection, &source, &session, ledger)).await
    }

    /// Finishes the log of a session that is over. The caller holds its lock.
    pub(super) async fn settle(&self, session: &str) -> Result<(), StoreError> {
        let source = Source::ended(&self.places.spool());
        let position = self.follow(&source, session).await?;
        if self.trim(&source, session, position).await? {
            let id = session.to_owned();
            self.store.commit(move |connection| retention::forget(connection, &id)).await?;
        }
        Ok(())
    }

    /// Keeps the logs of all sessions within the cap: removes the oldest segments, after the ledger has read them and
    /// their undelivered records are counted.
    pub(super) async fn keep_within(&self, maximum: u64) -> Result<(), StoreError> {
        let source = Source::live(&self.places.spool());
        loop {
            let disk = source.disk.clone();
            if !self.store.read(move |connection| retention::is_over(connection, &disk, maximum)).await? {
                return Ok(());
            }
            let is_live = |session: &str| SessionLock::is_held(&self.places.lock(session));
            let Some((session, segment)) = retention::oldest(&source.disk, is_live) else { return Ok(()) };
            self.follow(&source, &session).await?;
            let (log, id) = (source.clone(), session.clone());
            let given_up = move |connection: &Connection| retention::give_up(connection, &log, &id, segment, now());
            self.store.commit(given_up).await?;
            retention::unlink(&source.disk, &session, segment);
        }
    }
}

/// The current time in Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "the moment at which it happens, in a process that lives for days")]
fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LEDGER;
    use crate::otlp::Signal;
    use crate::spool::{Disk, Entry, Files, Writer};
    use crate::store::fixture::{recipient, session};
    use crate::store::recipient::{SessionRow, Subscription};
    use crate::store::{STORE, sessions};

    /// Above the cap, the segments of an ended session are removed once they are counted and read.
    #[tokio::test]
    async fn above_the_cap_the_oldest_segment_is_removed_and_an_ended_session_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        let to = recipient("one");
        let subscriptions = vec![Subscription { to, signals: [Signal::Logs].into(), is_cumulative: false }];
        let row = SessionRow { session: session("one"), subscriptions };
        let disk = Disk::new(&places.spool());
        let mut writer = Writer::new(disk.clone(), "one", 1, row.encode());
        for time in 0..3 {
            let entry = Entry { signal: Signal::Logs, time, records: 2, refused: 1, ledger: b"", body: b"\x0a\x00" };
            writer.append(&[entry]).pop().unwrap().unwrap();
            writer.close();
        }
        let store = Store::start(&places.store(), STORE, |_| {}).unwrap();
        let kept = Store::start(&places.ledger(), LEDGER, |_| {}).unwrap();
        let follower = Follower::new(&places, &store, &kept);
        follower.keep_within(retention::MAXIMUM).await.unwrap();
        assert_eq!(segments(&disk, "one").unwrap().len(), 3, "below the cap");
        follower.keep_within(disk.bytes() - 1).await.unwrap();
        assert_eq!(segments(&disk, "one").unwrap(), [(1, 2), (1, 3)]);
        let record = store.read(|connection| sessions::latest(connection, 1)).await.unwrap().remove(0);
        assert_eq!((record.received, record.refused, record.dropped), (6, 3, 1));

        follower.settle("one").await.unwrap();
        assert_eq!(segments(&disk, "one").unwrap().len(), 2, "a destination needs the rest");
        follower.keep_within(0).await.unwrap();
        follower.settle("one").await.unwrap();
        assert_eq!(disk.sessions().unwrap(), [""; 0]);
        let read = kept.read(|connection| ledger::position(connection, "one")).await.unwrap();
        assert_eq!(read.segment(), (1, 3));
    }
}
