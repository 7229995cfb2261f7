//! What a crash can leave of the log: any part of what was not synced yet, torn in the middle of a write.

use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::batches::{self, Recipient};
use super::{create, open};
use crate::otlp::Signal;

const NAME: &str = "store-1.db";

/// A store in use, and how long its log was after each commit: so much of it was synced before anybody was answered.
struct Written {
    directory: TempDir,
    _connection: Connection,
    synced: Vec<usize>,
}

fn written(bodies: &[Vec<u8>]) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let connection = open(&directory.path().join(NAME)).unwrap();
    let log = |directory: &TempDir| usize::try_from(log(directory.path()).metadata().unwrap().len()).unwrap();
    let transaction = connection.unchecked_transaction().unwrap();
    create(&transaction).unwrap();
    transaction.commit().unwrap();
    let mut synced = vec![log(&directory)];
    let to = Recipient { session: "s".to_owned(), destination: "d".to_owned(), fingerprint: vec![1] };
    for body in bodies {
        let transaction = connection.unchecked_transaction().unwrap();
        batches::insert(&transaction, Signal::Logs, body, 0, std::slice::from_ref(&to)).unwrap();
        transaction.commit().unwrap();
        synced.push(log(&directory));
    }
    Written { directory, _connection: connection, synced }
}

fn log(directory: &Path) -> std::path::PathBuf {
    directory.join(format!("{NAME}-wal"))
}

/// The bodies that are there when the machine is back, with their deliveries.
fn recovered(written: &Written, kept: usize, torn: &[u8]) -> Vec<Vec<u8>> {
    let after = tempfile::tempdir().unwrap();
    std::fs::copy(written.directory.path().join(NAME), after.path().join(NAME)).unwrap();
    let mut bytes = std::fs::read(log(written.directory.path())).unwrap();
    bytes.truncate(kept);
    bytes.extend_from_slice(torn);
    std::fs::write(log(after.path()), bytes).unwrap();
    let connection = open(&after.path().join(NAME)).unwrap();
    let transaction = connection.unchecked_transaction().unwrap();
    create(&transaction).unwrap();
    transaction.commit().unwrap();
    let intact: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(intact, "ok");
    let mut statement = connection
        .prepare("SELECT body FROM batch JOIN delivery ON delivery.batch = batch.id ORDER BY batch.id")
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_torn_log_loses_nothing_that_was_synced(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..6000), 1..8),
        at in any::<prop::sample::Index>(),
        torn in prop::collection::vec(any::<u8>(), 0..5000),
    ) {
        let written = written(&bodies);
        let kept = at.index(written.synced.last().unwrap() + 1);
        // A commit that was answered is in the log whole.
        let commits = written.synced.iter().filter(|synced| **synced <= kept).count();
        let expected = &bodies[..commits.saturating_sub(1)];
        prop_assert_eq!(&recovered(&written, kept, &torn), expected);
    }
}
